// A device host for tests: time moves when the test says so, and everything a device does outside is recorded.
import { ManualTimers, type TracePort, type WallClockPort } from "../base/index.ts";
import type { IrqLine } from "./port.ts";

export class TestHost {
  readonly timers: ManualTimers;
  /** Wall clock at time 0. */
  wallStartUnixNs = 0n;
  readonly guestErrors: string[] = [];
  readonly trace: TracePort = {
    guestError: (source, message) => void this.guestErrors.push(`${source}: ${message}`),
  };
  readonly wallClock: WallClockPort = {
    nowUnixNs: () => this.wallStartUnixNs + BigInt(this.timers.clock.nowNs()),
  };

  constructor(nowNs = 0) {
    this.timers = new ManualTimers(nowNs);
  }

  /** The earliest deadline of any armed timer; Infinity when there is none. */
  get nextDeadlineNs(): number {
    return this.timers.nextDeadlineNs();
  }

  advanceNs(durationNs: number): void {
    this.timers.advanceByNs(durationNs);
  }
}

/** An irq line that remembers its level and how often it rose. */
export class TestLine implements IrqLine {
  level = false;
  risen = 0;

  set(level: boolean): void {
    if (level && !this.level) this.risen++;
    this.level = level;
  }
}
