// How long harts run at a time and how guest time goes on meanwhile: with the host's clock, or with instructions.
import type { Vcpu } from "../accel/port.ts";
import type { ClockPort, TimerQueue } from "../base/index.ts";

/** The guest's clock as its machine sees it. */
export interface GuestClock extends ClockPort {
  /** The machine goes on; starting twice changes nothing. */
  start(): void;
  stop(): void;
  /** Sets the time, for saved state; the machine is stopped. */
  load(elapsedNs: number): void;
}

/** What the scheduler asks between runs. */
export interface Pace {
  /** `vcpu` is about to run: at most how many instructions. */
  begin(vcpu: Vcpu): number;
  /** That run is over; the times are the host's. */
  end(executed: number, startNs: number, endNs: number): void;
  /** Whether the present run must be cut short, because a timer was armed for `deadlineNs` of guest time. */
  cuts(deadlineNs: number): boolean;
  /** No hart is runnable: host nanoseconds to sleep (Infinity: until woken), or 0 to look again at once. */
  idle(): number;
  /** The sleep that `idle` asked for has ended, perhaps early. */
  woke(): void;
  /** Host nanoseconds by which guest time is too far ahead of the host's; 0 when it need not wait. */
  aheadNs(): number;
}

/** How long one run may keep guest timers and the other harts waiting. */
const RUN_NS = 500_000;
const MIN_BUDGET = 20_000;
const MAX_BUDGET = 250_000;
/** Shorter runs say nothing about speed. */
const MEASURED_INSTRUCTIONS = 5_000;

/** Guest time is the host's; runs last about half a millisecond, whatever the speed. */
export class HostPace implements Pace {
  readonly #timers: TimerQueue;
  #budget: number = MIN_BUDGET;

  constructor(timers: TimerQueue) {
    this.#timers = timers;
  }

  begin(): number {
    return this.#budget;
  }

  end(executed: number, startNs: number, endNs: number): void {
    if (executed < MEASURED_INSTRUCTIONS || endNs <= startNs) return;
    const wanted = (executed / (endNs - startNs)) * RUN_NS;
    // A quarter of the way at a time: one run that was all device accesses says little of the next.
    const moved = this.#budget + (wanted - this.#budget) / 4;
    this.#budget = Math.round(Math.min(MAX_BUDGET, Math.max(MIN_BUDGET, moved)));
  }

  cuts(): boolean {
    return false;
  }

  idle(): number {
    return Math.max(0, this.#timers.nextDeadlineNs() - this.#timers.clock.nowNs());
  }

  woke(): void {}

  aheadNs(): number {
    return 0;
  }
}
