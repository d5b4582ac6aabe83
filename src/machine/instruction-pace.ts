// The pace of `-icount`: runs of set lengths that end exactly at the next timer, so that what a guest sees follows from
// the instructions that it executes. QEMU, docs/devel/tcg-icount.rst; its option's text for sleep, align and auto.
import type { Vcpu } from "../accel/port.ts";
import type { TimerQueue } from "../base/index.ts";
import type { InstructionClock } from "./instruction-clock.ts";
import { MAX_ICOUNT_SHIFT } from "./instruction-clock.ts";
import type { Pace } from "./pace.ts";
import type { IcountConfig } from "./port.ts";

/** A hart's turn while others may want theirs: in instructions and in guest time, whichever is less. */
const TURN_INSTRUCTIONS = 100_000;
const TURN_NS = 1_000_000;

/** QEMU's first guess for `shift=auto`: 125 million instructions a second. */
export const AUTO_SHIFT = 3;
/** QEMU looks at an adaptive shift after so much host and so much guest time. */
const ADAPT_HOST_NS = 1e9;
const ADAPT_GUEST_NS = 1e8;
/** Differences below this do not change the shift (QEMU's ICOUNT_WOBBLE). */
const WOBBLE_NS = 1e8;

export interface InstructionPaceParts {
  readonly config: IcountConfig;
  readonly clock: InstructionClock;
  readonly timers: TimerQueue;
}

export class InstructionPace implements Pace {
  readonly #parts: InstructionPaceParts;
  #runEndNs = 0;
  #sleptFromNs = 0;
  #adaptHostNs: number = ADAPT_HOST_NS;
  #adaptGuestNs: number = ADAPT_GUEST_NS;
  #lastLeadNs = 0;

  constructor(parts: InstructionPaceParts) {
    this.#parts = parts;
  }

  begin(vcpu: Vcpu): number {
    const { clock, timers } = this.#parts;
    const turn = Math.min(TURN_INSTRUCTIONS, Math.floor(TURN_NS / 2 ** clock.shift));
    const budget = Math.min(turn, clock.instructionsUntil(timers.nextDeadlineNs()));
    this.#runEndNs = clock.nowNs() + budget * 2 ** clock.shift;
    clock.begin(vcpu);
    return budget;
  }

  end(executed: number): void {
    this.#parts.clock.end(executed);
    if (this.#parts.config.shift === "auto") this.#adapt();
  }

  cuts(deadlineNs: number): boolean {
    return deadlineNs < this.#runEndNs;
  }

  idle(): number {
    const { clock, timers, config } = this.#parts;
    const waitNs = Math.max(0, timers.nextDeadlineNs() - clock.nowNs());
    this.#sleptFromNs = clock.hostElapsed.nowNs();
    // Without a timer only the host can wake a guest, whatever the option says.
    return config.sleep || waitNs === Infinity ? waitNs : 0;
  }

  /**
   * Goes forward to the timer, exactly, whatever the host's clock says by now: two runs of a guest that only waits for
   * timers are the same. A guest that something else woke has waited as long as the host did.
   */
  woke(): void {
    const { clock, timers, config } = this.#parts;
    const deadlineNs = timers.nextDeadlineNs();
    const sleptNs = Math.floor(clock.hostElapsed.nowNs() - this.#sleptFromNs);
    const reachedNs = clock.nowNs() + sleptNs;
    if (!config.sleep && deadlineNs !== Infinity) clock.forwardToNs(deadlineNs);
    else if (config.shift === "auto") clock.forwardToNs(Math.min(reachedNs, clock.hostElapsed.nowNs(), deadlineNs));
    else clock.forwardToNs(Math.min(reachedNs, deadlineNs));
  }

  aheadNs(): number {
    const { clock, config } = this.#parts;
    return config.align ? clock.nowNs() - clock.hostElapsed.nowNs() : 0;
  }

  /** QEMU's icount_adjust: one step slower when the guest runs ever further ahead of the host, one faster when behind. */
  #adapt(): void {
    const { clock } = this.#parts;
    const hostNs = clock.hostElapsed.nowNs();
    const guestNs = clock.nowNs();
    if (hostNs < this.#adaptHostNs && guestNs < this.#adaptGuestNs) return;
    this.#adaptHostNs = hostNs + ADAPT_HOST_NS;
    this.#adaptGuestNs = guestNs + ADAPT_GUEST_NS;
    const leadNs = guestNs - hostNs;
    if (leadNs > 0 && this.#lastLeadNs + WOBBLE_NS < leadNs * 2 && clock.shift > 0) clock.setShift(clock.shift - 1);
    else if (leadNs < 0 && this.#lastLeadNs - WOBBLE_NS > leadNs * 2 && clock.shift < MAX_ICOUNT_SHIFT) {
      clock.setShift(clock.shift + 1);
    }
    this.#lastLeadNs = leadNs;
  }
}
