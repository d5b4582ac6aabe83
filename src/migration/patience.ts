// Time as a migration spends it: short rests, and a limit on how long a channel may keep a stopped machine waiting.
import type { Timer, TimerPort } from "../base/index.ts";

export class Patience {
  readonly #timers: TimerPort;
  readonly #restTimer: Timer;
  readonly #limitTimer: Timer;
  #endRest: (() => void) | undefined;
  #limitNs = 0;
  #onOver: (() => void) | undefined;
  #isOver = false;

  constructor(timers: TimerPort) {
    this.#timers = timers;
    this.#restTimer = timers.create("migration.rest", () => this.#endRest?.());
    this.#limitTimer = timers.create("migration.stall", () => {
      this.#isOver = true;
      this.#onOver?.();
    });
  }

  /** The limit was reached. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** From now on at most so long between two calls of `feed`; 0 is no limit. */
  begin(limitMs: number, onOver: () => void): void {
    this.#limitNs = limitMs * 1e6;
    this.#onOver = onOver;
    this.feed();
  }

  feed(): void {
    if (this.#limitNs > 0) this.#limitTimer.arm(this.#timers.clock.nowNs() + this.#limitNs);
  }

  /** Resolves after so long, or at the end. */
  async rest(durationNs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#endRest = resolve;
      this.#restTimer.arm(this.#timers.clock.nowNs() + durationNs);
    });
    this.#endRest = undefined;
  }

  /** Resolves with the promise, or after so long without it. */
  async within(durationNs: number, promise: Promise<void>): Promise<void> {
    try {
      await Promise.race([promise, this.rest(durationNs)]);
    } finally {
      this.#restTimer.disarm();
      this.#endRest?.();
    }
  }

  end(): void {
    this.#limitNs = 0;
    this.#limitTimer.disarm();
    this.#restTimer.disarm();
    this.#endRest?.();
  }
}
