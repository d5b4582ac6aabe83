// What the rest of the machine asks of physical memory: MMIO handlers, RAM blocks, bus accesses, DMA, write notes,
// dirty trackers.
import type { Iova } from "../base/index.ts";

export type AccessWidth = 1 | 2 | 4 | 8;

/** Outcome of one bus access. */
export const MemTx = { ok: 0, decodeError: 1, deviceError: 2 } as const;
export type MemTx = (typeof MemTx)[keyof typeof MemTx];

/** Which widths are accepted, in bytes; unaligned accesses only where said. */
export interface AccessRule {
  readonly min: AccessWidth;
  readonly max: AccessWidth;
  readonly unaligned?: boolean;
}

/**
 * Behaviour of a memory-mapped range. Offsets are relative to the region and inside it: the bus splits, widens or
 * refuses whatever breaks the rules, so a device never defends itself against widths or ends.
 */
export interface MmioHandler {
  /** What a guest may do; anything else is a bus error. Default: 1 to 8, aligned. */
  readonly valid?: AccessRule;
  /** What the handler implements; the bus splits or widens other valid accesses to it. Default: 1 to 4, aligned. */
  readonly impl?: AccessRule;
  /** Unsigned value of `width` bytes, or undefined for a bus error. */
  read(offset: number, width: 1 | 2 | 4): number | undefined;
  /** `value` is unsigned. Returns false for a bus error; nothing or true otherwise. */
  write(offset: number, width: 1 | 2 | 4, value: number): boolean | void;
  /** Needed when `impl.max` is 8. */
  read64?(offset: number): bigint | undefined;
  write64?(offset: number, value: bigint): boolean | void;
}

/** A run of guest memory inside the machine's WebAssembly memory. */
export interface RamBlock {
  readonly name: string;
  readonly lengthBytes: number;
  /** Byte offset of the block in the WebAssembly memory; page aligned. */
  readonly offset: number;
  /** The block's bytes. Writing through this view bypasses write notes: call `noteWrite` after it. */
  readonly bytes: Uint8Array;
  /** A ROM: stores of harts are dropped without a fault (as QEMU's TCG does), DMA writes get a decode error. */
  readonly readOnly: boolean;
}

/** Who wrote: one value per named source (a hart, a device), given out by `WriteNotes.source`. */
export type DirtySource = number & { readonly dirtySource: unique symbol };

/**
 * The one place where writes to guest RAM are reported. Pages are 4 KiB and numbered by their offset in the WebAssembly
 * memory (`offset >>> 12`), so that aliases of a block share them.
 */
export interface WriteNotes {
  /** The source named `name`, made on first use. */
  source(name: string): DirtySource;
  /** Reports a write of `lengthBytes` at `offset` in the WebAssembly memory: dirties open epochs, tells code watchers. */
  noteWrite(source: DirtySource, offset: number, lengthBytes: number): void;
  /**
   * Reports a write that somebody else keeps track of (an assigned device's, whose IOMMU or log is pulled): code watchers
   * are told, epochs are not.
   */
  noteForeignWrite(offset: number, lengthBytes: number): void;
  sourceName(source: DirtySource): string;
  /** Offset in the WebAssembly memory of one byte per page, indexed by page: zero exactly when the page is quiet. */
  readonly flagsOffset: number;
  /**
   * True when a store to this page needs no report: no open epoch still waits for it and no code watcher holds it.
   * A software TLB may keep a direct store entry exactly as long as this holds.
   */
  isQuiet(page: number): boolean;
  /**
   * Asks that `onArmed` be told whenever quiet pages may have ceased to be quiet: `page` is the one (it became watched),
   * or -1 for any (an epoch opened or was read). Returns the function that ends it.
   */
  addArmListener(onArmed: (page: number) => void): () => void;
  /** Holds `page` as containing translated code; any write to it calls the watcher, from any source. */
  watchCode(page: number): void;
  unwatchCode(page: number): void;
  /** The translator's callback; `first` and `last` are offsets in the WebAssembly memory of the bytes written. */
  setCodeWatcher(onCodeWritten: (first: number, last: number) => void): void;
}

/** What a hart asks of an address space. Nothing here allocates. */
export interface CpuBus {
  /** Offset in the WebAssembly memory of the 4 KiB page at `gpaPage` (a multiple of 4096), or -1 when it is not RAM or ROM throughout. */
  ramPage(gpaPage: number): number;
  /** True when that page may be stored to (RAM, not ROM). */
  isRamWritable(gpaPage: number): boolean;
  /** Loads from RAM or a device; the value is in `low` and `high` (unsigned 32-bit halves). */
  load(gpa: number, width: AccessWidth): MemTx;
  store(gpa: number, width: AccessWidth, low: number, high: number): MemTx;
  readonly low: number;
  readonly high: number;
  /** Called after any change of the flat view; translations of guest-physical pages must be dropped. */
  addChangeListener(onChanged: () => void): () => void;
}

/** Outcome of a DMA access; the device answers it the way its specification says (status, error bit, fault). */
export const DmaStatus = {
  ok: 0,
  /** unmapped or past memory */ decodeError: 1,
  /** permission */ accessError: 2,
} as const;
export type DmaStatus = (typeof DmaStatus)[keyof typeof DmaStatus];

/** The device's view of memory. Every write is reported under the device's name to whoever tracks dirty pages. */
export interface DmaPort {
  read(at: Iova, into: Uint8Array): DmaStatus;
  write(at: Iova, bytes: Uint8Array): DmaStatus;
  /**
   * A window on guest memory for reading, when the run is contiguous and directly reachable; undefined otherwise (use `read`).
   * Valid until the device gives the turn back: never keep it.
   */
  readWindow(at: Iova, lengthBytes: number): Uint8Array | undefined;
  /** As `readWindow`, for writing. The whole window is reported as written, so ask for no more than is written. */
  writeWindow(at: Iova, lengthBytes: number): Uint8Array | undefined;
  /** Orders earlier DMA before later ones, as seen by the harts. */
  fence(): void;
}

/** Where the bytes of one RAM block come from. One backend serves one block. */
export interface RamBackend {
  /** `anonymous`, `memfd`, … */
  readonly kind: string;
  /**
   * Called once, when the WebAssembly memory exists: `bytes` is the block. Afterwards they read as zero, or as the
   * backing file's content. Throws a typed error when the storage cannot be had.
   */
  attach(bytes: Uint8Array): void;
  /** Makes a run of whole pages read as zero and gives its storage back where the platform can. */
  discard(offsetBytes: number, lengthBytes: number): void;
  /** Lets go of host resources; idempotent. */
  close(): void;
}

/** Takes runs of pages (numbered as in `WriteNotes`). */
export interface PageReport {
  add(firstPage: number, pageCount: number): void;
}

/**
 * A mechanism that knows which pages were written: inline write notes, a kernel scan, a vCPU log, an IOMMU's dirty bits.
 * May report more than was written, never less.
 */
export interface DirtyTracker {
  readonly kind: string;
  /** From now on writes count. Throws a typed error when tracking cannot be had, with nothing left started. */
  start(): void;
  /** Reports the pages written since `start` or the last `read`, and forgets them. */
  read(into: PageReport): void;
  /** Idempotent; what was not read is lost. */
  stop(): void;
}
