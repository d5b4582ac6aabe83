// What every context of a host shares: physical frames, accounting, and the fault injector.
import { Accounting } from "./accounting.ts";
import { FrameSpace, PAGE_SIZE } from "./frames.ts";

/** Steps that can be made to fail, each once and with the kernel's errno for it. */
export const failSteps = {
  alloc: "memory for a context, an object or a mapping",
  lookup: "finding an object by its id",
  pin: "pinning pages",
  account: "billing pinned pages",
  map: "putting pages into a page table",
  domain: "the driver making a page table",
  attach: "the driver attaching a device",
  tracking: "the driver turning dirty tracking on or off",
  invalidate: "the driver invalidating caches",
  "hw-info": "the driver telling its registers",
  viommu: "the driver making a virtual IOMMU",
  queue: "the driver making a hardware queue",
  descriptor: "a descriptor for a new file",
  reply: "writing the answer to the caller's memory",
  open: "opening a device",
  reset: "resetting a device",
  irq: "getting an interrupt vector",
  state: "an arc of a device's migration",
  data: "reading or writing a device's migration stream",
  log: "a device's log of its DMA",
} as const;
export type FailPoint = keyof typeof failSteps;
export const FAIL_POINTS: readonly FailPoint[] = Object.keys(failSteps) as FailPoint[];

export class HostMemory {
  readonly frames: FrameSpace;
  readonly accounting: Accounting = new Accounting();
  /** Counts down; the step that reaches zero fails, once. */
  readonly #countdown = new Map<FailPoint, number>();
  #counts: Map<FailPoint, number> | undefined;
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

  /** What was to fail and was not reached does not fail any more. */
  forgetFailures(): void {
    this.#countdown.clear();
  }

  /** Counts steps from now on, into the map that it returns. */
  countSteps(): ReadonlyMap<FailPoint, number> {
    return (this.#counts = new Map());
  }

  /** Whether a step that was to fail has not been reached yet. */
  get awaitsFailure(): boolean {
    return this.#countdown.size > 0;
  }

  /** True when this step is the one that was to fail. */
  failAt(point: FailPoint): boolean {
    if (this.#counts !== undefined) this.#counts.set(point, (this.#counts.get(point) ?? 0) + 1);
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
