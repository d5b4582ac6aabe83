// How fast the machine writes to its memory, measured over a while: by what reports writes, or by looking at samples of pages
// (QEMU, migration/dirtyrate.c).
import type { Timer, TimerPort } from "../base/index.ts";
import { PAGE_BYTES, type DirtyEpoch } from "../memory/index.ts";
import { MigrationError } from "./errors.ts";
import type { MigratableMachine } from "./port.ts";
import { checksum } from "./stream/checksum.ts";

export interface DirtyRateRequest {
  readonly mode: "page-sampling" | "dirty-bitmap";
  readonly periodMs: number;
  /** Of each GiB. */
  readonly samplePages: number;
}

export interface DirtyRateResult extends DirtyRateRequest {
  readonly status: "unstarted" | "measuring" | "measured";
  readonly bytesPerSecond: number | undefined;
  /** By who wrote, where that is known. */
  readonly bySource: ReadonlyMap<string, number>;
}

type Finish = () => Pick<DirtyRateResult, "bytesPerSecond" | "bySource">;

const NEVER: DirtyRateResult = {
  mode: "page-sampling",
  periodMs: 0,
  samplePages: 0,
  status: "unstarted",
  bytesPerSecond: undefined,
  bySource: new Map(),
};
/** A step of the sequence that picks samples, odd and far from any guest's strides. */
const SAMPLE_STEP = 0x9e37_79b1;

export class DirtyRateMeter {
  readonly #machine: MigratableMachine;
  readonly #timers: TimerPort;
  readonly #timer: Timer;
  #result: DirtyRateResult = NEVER;
  #finish: Finish | undefined;
  #startNs = 0;

  constructor(machine: MigratableMachine, timers: TimerPort) {
    this.#machine = machine;
    this.#timers = timers;
    this.#timer = timers.create("migration.dirty-rate", () => this.#end());
  }

  get result(): DirtyRateResult {
    return this.#result;
  }

  /** Of the last measurement, by hart; bytes a second. */
  get byHart(): readonly number[] {
    return (this.#machine.hartSources ?? []).map((name) => this.#result.bySource.get(name) ?? 0);
  }

  /** Throws MigrationError while a measurement goes on, or when a tracker refuses. */
  start(request: DirtyRateRequest): void {
    if (this.#finish !== undefined) throw new MigrationError("refused", "the dirty rate is already being measured.");
    this.#startNs = this.#timers.clock.nowNs();
    this.#finish = request.mode === "dirty-bitmap" ? this.#byBitmap() : this.#bySamples(request.samplePages);
    this.#result = { ...NEVER, ...request, status: "measuring" };
    this.#timer.arm(this.#startNs + request.periodMs * 1e6);
  }

  #end(): void {
    const finish = this.#finish;
    this.#finish = undefined;
    if (finish !== undefined) this.#result = { ...this.#result, ...finish(), status: "measured" };
  }

  get #seconds(): number {
    return Math.max((this.#timers.clock.nowNs() - this.#startNs) / 1e9, 1e-3);
  }

  #byBitmap(): Finish {
    const epoch: DirtyEpoch = this.#machine.notes.openEpoch("dirty rate");
    return () => {
      try {
        const { dirtyPageCount, bySource } = epoch.read();
        const rate = (pages: number): number => (pages * PAGE_BYTES) / this.#seconds;
        return {
          bytesPerSecond: rate(dirtyPageCount),
          bySource: new Map([...bySource].map(([name, pages]) => [name, rate(pages)])),
        };
      } finally {
        epoch.close();
      }
    };
  }

  #bySamples(perGiB: number): Finish {
    const ram = this.#machine.blocks.filter(({ readOnly }) => !readOnly);
    const samples = ram.flatMap(({ bytes }) => {
      const pageCount = bytes.length / PAGE_BYTES;
      const count = Math.min(pageCount, Math.max(1, Math.round((pageCount * PAGE_BYTES * perGiB) / 2 ** 30)));
      return Array.from({ length: count }, (_, i) => {
        const at = (Math.imul(i + 1, SAMPLE_STEP) >>> 0) % pageCount;
        return bytes.subarray(at * PAGE_BYTES, (at + 1) * PAGE_BYTES);
      });
    });
    const before = samples.map((page) => checksum(page));
    const totalBytes = ram.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    return () => {
      const changed = samples.filter((page, i) => checksum(page) !== before[i]).length;
      return {
        bytesPerSecond: (totalBytes * changed) / samples.length / this.#seconds,
        bySource: new Map(),
      };
    };
  }
}
