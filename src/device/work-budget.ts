// Bounds how many bytes a device moves before the machine has its next turn: a guest may describe gigabytes in one
// notification, and the event loop must not wait for them.
import type { Timer, TimerPort } from "../base/index.ts";

export interface WorkBudgetOptions {
  readonly timers: TimerPort;
  /** Name of the timer, in traces. */
  readonly name: string;
  readonly bytesPerTurn: number;
  /** There is budget again after `spend` gave false. */
  readonly onRefill: () => void;
}

export class WorkBudget {
  readonly #options: WorkBudgetOptions;
  readonly #timer: Timer;
  #leftBytes: number;
  #unlimited = false;

  constructor(options: WorkBudgetOptions) {
    this.#options = options;
    this.#leftBytes = options.bytesPerTurn;
    this.#timer = options.timers.create(options.name, () => this.#refill());
  }

  /** Takes `bytes`, which may overdraw once; false when the next piece must wait for `onRefill`. */
  spend(bytes: number): boolean {
    if (this.#unlimited) return true;
    this.#leftBytes -= bytes;
    if (this.#leftBytes > 0) return true;
    this.waitATurn();
    return false;
  }

  /** Calls `onRefill` at the machine's next turn. */
  waitATurn(): void {
    if (this.#timer.deadlineNs === undefined) this.#timer.arm(this.#options.timers.clock.nowNs());
  }

  /** While true nothing waits: a machine that is being stopped has no more turns. */
  setUnlimited(unlimited: boolean): void {
    this.#unlimited = unlimited;
    if (unlimited && this.#timer.deadlineNs !== undefined) this.#refill();
  }

  close(): void {
    this.#timer.disarm();
  }

  #refill(): void {
    this.#timer.disarm();
    this.#leftBytes = this.#options.bytesPerTurn;
    this.#options.onRefill();
  }
}
