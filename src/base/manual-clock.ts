// Time that moves only when told: for tests, and for deterministic runs.
import { assert } from "./assert.ts";
import type { ClockPort, Timer, TimerPort } from "./ports.ts";
import { TimerQueue } from "./timer-queue.ts";

/** A clock that stands still until it is set. */
export class ManualClock implements ClockPort {
  #nowNs: number;

  constructor(nowNs = 0) {
    this.#nowNs = nowNs;
  }

  nowNs(): number {
    return this.#nowNs;
  }

  setNs(nowNs: number): void {
    assert(nowNs >= this.#nowNs, "a clock never goes back", nowNs, this.#nowNs);
    this.#nowNs = nowNs;
  }
}

/**
 * A TimerPort whose time is moved by hand.
 *
 *     const time = new ManualTimers();
 *     time.create("tick", fire).arm(100);
 *     time.advanceToNs(100); // fires
 */
export class ManualTimers implements TimerPort {
  readonly clock: ManualClock;
  readonly #queue: TimerQueue;

  constructor(nowNs = 0) {
    this.clock = new ManualClock(nowNs);
    this.#queue = new TimerQueue(this.clock);
  }

  create(name: string, fire: () => void): Timer {
    return this.#queue.create(name, fire);
  }

  nextDeadlineNs(): number {
    return this.#queue.nextDeadlineNs();
  }

  /** Moves time to `untilNs`, stopping at each deadline on the way; timers that re-arm on the way fire again. */
  advanceToNs(untilNs: number): void {
    while (this.nextDeadlineNs() <= untilNs) {
      this.clock.setNs(Math.max(this.clock.nowNs(), this.nextDeadlineNs()));
      this.#queue.runDue();
    }
    this.clock.setNs(untilNs);
  }

  advanceByNs(durationNs: number): void {
    this.advanceToNs(this.clock.nowNs() + durationNs);
  }

  /** Fires what is due now, once. */
  runDue(): number {
    return this.#queue.runDue();
  }
}
