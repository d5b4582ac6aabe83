// Devices that are held for a part of the time, so that they write less: in P2P state, where they begin nothing.
import { VmError, type Timer, type TimerPort } from "../base/index.ts";
import type { MigratableMachine, StreamedPart } from "./port.ts";

const PERIOD_NS = 100_000_000;
/** Steps in which they are slowed. */
export const DEVICE_STEPS: readonly number[] = [50, 75, 90, 100];

export class DeviceThrottle {
  readonly #machine: MigratableMachine;
  readonly #parts: ReadonlyMap<string, StreamedPart>;
  readonly #timers: TimerPort;
  readonly #timer: Timer;
  #percent = 0;
  #isHeld = false;

  constructor(machine: MigratableMachine, timers: TimerPort) {
    this.#machine = machine;
    this.#parts = machine.streams;
    this.#timers = timers;
    this.#timer = timers.create("migration.device-throttle", () => this.#turn());
  }

  get percent(): number {
    return this.#percent;
  }

  /** Those that cannot be held. */
  get unheld(): readonly string[] {
    return [...this.#parts.values()].filter(({ hold }) => hold === undefined).map(({ label }) => label);
  }

  /** The next step, up to `most`; false when there is none. */
  more(most: number): boolean {
    const next = DEVICE_STEPS.find((step) => step > this.#percent && step <= most);
    if (next === undefined || this.unheld.length === this.#parts.size) return false;
    this.#percent = next;
    this.#turn();
    return true;
  }

  /** The machine stops: who is held stays so. */
  settle(): void {
    this.#timer.disarm();
  }

  /** Lets go of all. */
  end(): void {
    this.#timer.disarm();
    this.#percent = 0;
    this.#hold(false);
  }

  #turn(): void {
    if (this.#percent === 0) return;
    if (this.#percent === 100) return this.#hold(true);
    this.#hold(!this.#isHeld);
    const part = this.#isHeld ? this.#percent : 100 - this.#percent;
    this.#timer.arm(this.#timers.clock.nowNs() + (PERIOD_NS * part) / 100);
  }

  /** One that refuses writes on: slowing it was an attempt. Devices of a machine that stands still are the machine's. */
  #hold(isHeld: boolean): void {
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    if (!this.#machine.isRunning) return;
    for (const part of this.#parts.values()) {
      try {
        part.hold?.(isHeld);
      } catch (error) {
        if (!(error instanceof VmError)) throw error;
      }
    }
  }
}
