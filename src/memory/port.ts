// What the rest of the machine asks of physical memory: MMIO handlers, RAM blocks, bus accesses, write notes.

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
  /** A ROM: the bus refuses guest stores. */
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
   * True when a store to this page needs no report: no open epoch still waits for it and no code watcher holds it.
   * A software TLB may keep a direct store entry exactly as long as this holds.
   */
  isQuiet(page: number): boolean;
  /** Asks that `onPageArmed` be told whenever quiet pages may have ceased to be quiet (an epoch opened or was read). */
  addArmListener(onArmed: () => void): () => void;
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
