// What every context of a host shares: physical frames, accounting, and the fault injector.
import { Accounting } from "./accounting.ts";
import { FrameSpace, PAGE_SIZE } from "./frames.ts";

/**
 * Steps that can be made to fail. The later ones are calls of device drivers: `open` and `reset` of a device, `irq` (getting
 * a vector), `state` (an arc of migration), `data` (reading or writing its stream), `log` (of DMA).
 */
export const FAIL_POINTS = [
  "alloc",
  "lookup",
  "pin",
  "account",
  "attach",
  "reply",
  "open",
  "reset",
  "irq",
  "state",
  "data",
  "log",
] as const;
export type FailPoint = (typeof FAIL_POINTS)[number];

export class HostMemory {
  readonly frames: FrameSpace;
  readonly accounting: Accounting = new Accounting();
  /** Counts down; the step that reaches zero fails, once. */
  readonly #countdown = new Map<FailPoint, number>();
  #serial = 0;

  constructor(memoryBytes: number) {
    this.frames = new FrameSpace(Math.floor(memoryBytes / PAGE_SIZE));
  }

  /** A number that names one thing of this host, in the order of creation. */
  nextSerial(): number {
    return ++this.#serial;
  }

  /** Makes the `nth` next step of this kind fail (1 is the very next). */
  failNext(point: FailPoint, nth: number): void {
    this.#countdown.set(point, nth);
  }

  /** True when this step is the one that was to fail. */
  failAt(point: FailPoint): boolean {
    if (this.#countdown.size === 0) return false;
    const left = this.#countdown.get(point);
    if (left === undefined) return false;
    if (left > 1) {
      this.#countdown.set(point, left - 1);
      return false;
    }
    this.#countdown.delete(point);
    return true;
  }
}
