// A device host for tests: time moves when the test says so, and everything a device does outside is recorded.
import type { Timer, TimerPort, TracePort, WallClockPort } from "../base/index.ts";
import type { IrqLine } from "./port.ts";

interface TestTimer extends Timer {
  deadlineNs: number | undefined;
  fire(): void;
}

export class TestHost {
  nowNs = 0;
  /** Wall clock at `nowNs` 0. */
  wallStartUnixNs = 0n;
  readonly guestErrors: string[] = [];
  readonly trace: TracePort = {
    guestError: (source, message) => void this.guestErrors.push(`${source}: ${message}`),
  };
  readonly wallClock: WallClockPort = { nowUnixNs: () => this.wallStartUnixNs + BigInt(this.nowNs) };
  readonly #timers: TestTimer[] = [];
  readonly timers: TimerPort = {
    clock: { nowNs: () => this.nowNs },
    create: (_name, fire) => {
      const timer: TestTimer = {
        deadlineNs: undefined,
        fire,
        arm: (deadlineNs) => (timer.deadlineNs = deadlineNs),
        disarm: () => (timer.deadlineNs = undefined),
      };
      this.#timers.push(timer);
      return timer;
    },
  };

  /** The earliest deadline of any armed timer. */
  get nextDeadlineNs(): number | undefined {
    return this.#next()?.deadlineNs;
  }

  /** Moves time forward, firing timers in the order of their deadlines. */
  advanceNs(durationNs: number): void {
    const endNs = this.nowNs + durationNs;
    for (let timer = this.#next(); timer !== undefined && timer.deadlineNs! <= endNs; timer = this.#next()) {
      this.nowNs = Math.max(this.nowNs, timer.deadlineNs!);
      timer.deadlineNs = undefined;
      timer.fire();
    }
    this.nowNs = endNs;
  }

  #next(): TestTimer | undefined {
    let next: TestTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.deadlineNs !== undefined && timer.deadlineNs < (next?.deadlineNs ?? Infinity)) next = timer;
    }
    return next;
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
