// Host requests of devices in a machine whose time is made of instructions. The guest must not see how long the host
// takes: a request is carried out at a set guest time, one after the other, while guest time stands still.
import type { Timer, TimerPort } from "../base/index.ts";
import type { WorkPort } from "../device/port.ts";

/** Guest time between a request and its end: about that of a good disk. */
const LATENCY_NS = 100_000;

export class HostWork implements WorkPort {
  readonly #timer: Timer;
  readonly #clock: TimerPort["clock"];
  #asked: (() => Promise<void>)[] = [];
  readonly #due: (() => Promise<void>)[] = [];
  readonly #awaited = new Set<Promise<void>>();

  constructor(timers: TimerPort) {
    this.#clock = timers.clock;
    this.#timer = timers.create("host-work", () => this.hurry());
  }

  start(task: () => Promise<void>): void {
    this.#asked.push(task);
    if (this.#timer.deadlineNs === undefined) this.#timer.arm(this.#clock.nowNs() + LATENCY_NS);
  }

  /** Guest time stands still until the host is `ready`: it has not taken the guest's output yet. */
  waitFor(ready: Promise<void>): void {
    const awaited = ready.finally(() => this.#awaited.delete(awaited));
    this.#awaited.add(awaited);
  }

  /** True when no hart may run before `finish` has resolved. */
  get isDue(): boolean {
    return this.#due.length > 0 || this.#awaited.size > 0;
  }

  /** Makes everything due that was asked for: its time has come, or the machine is being stopped. */
  hurry(): void {
    this.#timer.disarm();
    this.#due.push(...this.#asked);
    this.#asked = [];
  }

  /** Resolves when the host has taken all output. */
  async outputTaken(): Promise<void> {
    await Promise.all(this.#awaited);
  }

  /** Carries out what is due; `stopped` ends the wait for the host. Rejects when one of our own invariants broke. */
  async finish(stopped: Promise<void>): Promise<void> {
    await Promise.race([this.outputTaken(), stopped]);
    for (let task = this.#due.shift(); task !== undefined; task = this.#due.shift()) await task();
  }
}
