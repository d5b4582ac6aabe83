// The guest's clock: it goes on while the machine runs and stands still while it is stopped.
import type { ClockPort } from "../base/index.ts";

/** Nanoseconds of guest time; 0 when the machine is made. */
export class VirtualClock implements ClockPort {
  readonly #host: ClockPort;
  /** Guest time up to the last stop. */
  #elapsedNs = 0;
  #startedAtNs: number | undefined;

  constructor(host: ClockPort) {
    this.#host = host;
  }

  nowNs(): number {
    if (this.#startedAtNs === undefined) return this.#elapsedNs;
    return this.#elapsedNs + (this.#host.nowNs() - this.#startedAtNs);
  }

  start(): void {
    this.#startedAtNs ??= this.#host.nowNs();
  }

  stop(): void {
    this.#elapsedNs = this.nowNs();
    this.#startedAtNs = undefined;
  }

  /** Sets the time, for saved state; the clock is stopped. */
  load(elapsedNs: number): void {
    this.#elapsedNs = elapsedNs;
  }
}
