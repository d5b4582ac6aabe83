// The supervisor's timer (Sstc, privileged spec §10.1.10): STIP is up while the time has reached stimecmp.
import type { ClockPort, Timer, TimerPort } from "../../base/index.ts";
import { F, Menvcfg, W, type HartCore } from "./hart-core.ts";
import type { TimebasePort } from "./port.ts";

const stipLine = 1 << 5;

export class StimecmpTimer {
  private readonly core: HartCore;
  private readonly hasSstc: boolean;
  private readonly timebase: TimebasePort;
  private readonly clock: ClockPort;
  private readonly timer: Timer;

  constructor(options: {
    core: HartCore;
    hasSstc: boolean;
    timebase: TimebasePort;
    /** Timers on the clock that drives the timebase. */
    timers: TimerPort;
  }) {
    this.core = options.core;
    this.hasSstc = options.hasSstc;
    this.timebase = options.timebase;
    this.clock = options.timers.clock;
    this.timer = options.timers.create(`hart${options.core.hartId}.stimecmp`, () => this.update());
    options.timebase.onSet?.(() => this.update());
  }

  /** After every change of stimecmp, of what enables it, or of the time. */
  update(): void {
    const { core } = this;
    const enabled = this.hasSstc && (core.get(F.menvcfg) & Menvcfg.stce) !== 0n;
    if (!enabled) {
      core.lines &= ~stipLine;
      this.timer.disarm();
      return;
    }
    // STIP is the comparison alone now: what software left in the bit does not count (§3.1.18).
    core.setWord(W.mip, core.word(W.mip) & ~stipLine);
    const leftTicks = Number(core.get(F.stimecmp) - BigInt(this.timebase.ticks()));
    const due = leftTicks <= 0;
    core.lines = due ? core.lines | stipLine : core.lines & ~stipLine;
    // The timebase counts from its last reset or from where it was set, the clock from the machine's beginning.
    const nsPerTick = 1e9 / this.timebase.frequencyHz;
    const deadlineNs = Math.ceil((Math.floor(this.clock.nowNs() / nsPerTick) + leftTicks) * nsPerTick);
    if (due || !Number.isSafeInteger(deadlineNs)) this.timer.disarm();
    else this.timer.arm(deadlineNs);
  }
}
