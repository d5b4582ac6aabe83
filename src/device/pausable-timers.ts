// Timers of a device that can be told to stand still: what is due waits until it goes on.
import type { ClockPort, Timer, TimerPort } from "../base/index.ts";

class PausableTimer implements Timer {
  readonly #timer: Timer;
  /** Armed while time stood still. */
  #waiting: number | undefined;
  #isPaused: boolean;

  constructor(timer: Timer, isPaused: boolean) {
    this.#timer = timer;
    this.#isPaused = isPaused;
  }

  get deadlineNs(): number | undefined {
    return this.#waiting ?? this.#timer.deadlineNs;
  }

  arm(deadlineNs: number): void {
    if (this.#isPaused) this.#waiting = deadlineNs;
    else this.#timer.arm(deadlineNs);
  }

  disarm(): void {
    this.#waiting = undefined;
    this.#timer.disarm();
  }

  setPaused(paused: boolean): void {
    if (paused === this.#isPaused) return;
    this.#isPaused = paused;
    const deadline = paused ? this.#timer.deadlineNs : this.#waiting;
    this.disarm();
    if (deadline !== undefined) this.arm(deadline);
  }
}

export class PausableTimers implements TimerPort {
  readonly clock: ClockPort;
  readonly #timers: TimerPort;
  readonly #made: PausableTimer[] = [];
  #isPaused = false;

  constructor(timers: TimerPort) {
    this.#timers = timers;
    this.clock = timers.clock;
  }

  create(name: string, fire: () => void): Timer {
    const timer = new PausableTimer(this.#timers.create(name, fire), this.#isPaused);
    this.#made.push(timer);
    return timer;
  }

  setPaused(paused: boolean): void {
    this.#isPaused = paused;
    for (const timer of this.#made) timer.setPaused(paused);
  }
}
