// hot: bench/kernels.ts
// Decoded instructions, one page of 16-byte entries per 4 KiB page of guest code, shared by all vCPUs.
//
// entry: handler (u16) · dst, src1, src2, src3 (u16, byte offsets into the vCPU's block) · count (u16) · imm (i32)
//
// A page has an entry for each two bytes of code, so an entry's address follows from the pc; entry 0 means "not decoded
// yet", and one more entry past the page ends it. Pages are found by their place in the WebAssembly memory, so aliases
// share them. A page that holds decoded entries is watched for writes; a write into a decoded stretch
// undoes that stretch.
import type { WriteNotes } from "../memory/port.ts";

export const entryBytes = 16;
export const entryOffset = { handler: 0, dst: 2, src1: 4, src2: 6, src3: 8, count: 10, imm: 12 } as const;
export const entriesPerPage = 2048;
/** Entries of a page, the closing one, and one to keep pages aligned to two entries. */
export const codePageBytes: number = (entriesPerPage + 2) * entryBytes;
/** An entry's address grows by this for each byte of code. */
export const entryScale: number = entryBytes / 2;

/** Handlers that every interpreter has, at the start of its table. */
export const Handler = { decode: 0, refetch: 1, step: 2, region: 3, first: 4 } as const;

const pageShift = 12;
/** Decoded stretches are tracked in 64 steps of 64 bytes. */
const granuleShift = 6;

/** How many precious pages a search for room passes over. */
const passedOver = 64;

export interface CodeCacheFigures {
  readonly capacityPages: number;
  readonly pages: number;
  readonly evictions: number;
  readonly invalidations: number;
}

export class CodeCache {
  private readonly halves: Uint16Array;
  private readonly base: number;
  private readonly capacity: number;
  private readonly notes: WriteNotes;
  /** Slot of each page of the WebAssembly memory, or -1. */
  private readonly slotOfPage: Int32Array;
  private readonly pageOfSlot: Int32Array;
  /** Per slot: which granules hold decoded entries (low and high 32). */
  private readonly decoded: Int32Array;
  private hand = 0;
  private used = 0;
  private evictions = 0;
  private invalidations = 0;
  /** Told when a slot changes hands: addresses of its entries must be forgotten everywhere. */
  onEvict: () => void = () => {};
  /** Whether the page at `entries` is worth keeping longer than others. */
  isPrecious: (entries: number) => boolean = () => false;
  /** Told before decoded entries of the page at `entries` are undone: those of one granule, or all of them (-1). */
  onForget: (entries: number, granule: number) => void = () => {};

  constructor(options: { memory: WebAssembly.Memory; base: number; capacityPages: number; notes: WriteNotes }) {
    this.halves = new Uint16Array(options.memory.buffer);
    this.base = options.base;
    this.capacity = options.capacityPages;
    this.notes = options.notes;
    this.slotOfPage = new Int32Array(options.memory.buffer.byteLength >>> pageShift).fill(-1);
    this.pageOfSlot = new Int32Array(this.capacity).fill(-1);
    this.decoded = new Int32Array(this.capacity * 2);
    this.notes.setCodeWatcher((first, last) => this.written(first, last));
  }

  /** Where decoded entries lie. */
  get baseAddress(): number {
    return this.base;
  }

  get endAddress(): number {
    return this.base + this.capacity * codePageBytes;
  }

  /** Address of the entries of the page that the entry at `entry` belongs to. */
  pageOf(entry: number): number {
    return entry - ((entry - this.base) % codePageBytes);
  }

  static bytesFor(capacityPages: number): number {
    return capacityPages * codePageBytes;
  }

  /** Address of the first entry of the page `page` of the WebAssembly memory, made on first use. */
  entriesOf(page: number): number {
    let slot = this.slotOfPage[page]!;
    if (slot < 0) {
      slot = this.claim();
      this.slotOfPage[page] = slot;
      this.pageOfSlot[slot] = page;
      this.clear(slot);
    }
    return this.base + slot * codePageBytes;
  }

  /** Offset in the WebAssembly memory of the code that the entry at `entry` stands for. */
  codeAt(entry: number): number {
    const slot = ((entry - this.base) / codePageBytes) | 0;
    const inPage = (entry - this.base - slot * codePageBytes) / entryScale;
    return this.pageOfSlot[slot]! * 4096 + inPage;
  }

  /** Says that the entry at `entry` is going to be filled from up to four bytes of code. */
  noteDecoded(entry: number): void {
    const slot = ((entry - this.base) / codePageBytes) | 0;
    const inPage = (entry - this.base - slot * codePageBytes) / entryScale;
    const word = slot * 2;
    if (this.decoded[word] === 0 && this.decoded[word + 1] === 0) {
      this.notes.watchCode(this.pageOfSlot[slot]!);
    }
    this.mark(word, inPage >>> granuleShift);
    this.mark(word, Math.min(inPage + 3, 4095) >>> granuleShift);
  }

  private mark(word: number, granule: number): void {
    this.decoded[word + (granule >>> 5)]! |= 1 << (granule & 31);
  }

  private claim(): number {
    if (this.used < this.capacity) return this.used++;
    // Precious pages are passed over, but not for ever.
    for (let passed = 0; passed < passedOver && this.isPrecious(this.base + this.hand * codePageBytes); passed++) {
      this.hand = (this.hand + 1) % this.capacity;
    }
    const slot = this.hand;
    this.hand = (this.hand + 1) % this.capacity;
    const page = this.pageOfSlot[slot]!;
    this.onForget(this.base + slot * codePageBytes, -1);
    if (this.decoded[slot * 2] !== 0 || this.decoded[slot * 2 + 1] !== 0) this.notes.unwatchCode(page);
    this.slotOfPage[page] = -1;
    this.evictions++;
    this.onEvict();
    return slot;
  }

  private clear(slot: number): void {
    const first = (this.base + slot * codePageBytes) >>> 1;
    this.halves.fill(Handler.decode, first, first + (entriesPerPage * entryBytes) / 2);
    this.halves[first + (entriesPerPage * entryBytes) / 2] = Handler.refetch;
    this.decoded[slot * 2] = 0;
    this.decoded[slot * 2 + 1] = 0;
  }

  /** Bytes from `first` to `last` (offsets in the WebAssembly memory, on watched pages) were written. */
  private written(first: number, last: number): void {
    for (let page = first >>> pageShift; page <= last >>> pageShift; page++) {
      const slot = this.slotOfPage[page]!;
      if (slot < 0) continue;
      const from = Math.max(first, page * 4096) & 0xfff;
      const to = Math.min(last, page * 4096 + 4095) & 0xfff;
      let cleared = false;
      for (let granule = from >>> granuleShift; granule <= to >>> granuleShift; granule++) {
        const word = slot * 2 + (granule >>> 5);
        if (((this.decoded[word]! >>> (granule & 31)) & 1) === 0) continue;
        this.decoded[word]! &= ~(1 << (granule & 31));
        this.onForget(this.base + slot * codePageBytes, granule);
        this.clearGranule(slot, granule);
        cleared = true;
      }
      if (!cleared) continue;
      this.invalidations++;
      if (this.decoded[slot * 2] === 0 && this.decoded[slot * 2 + 1] === 0) this.notes.unwatchCode(page);
    }
  }

  /** Undoes the entries that read bytes of the granule: its own, and one before it that may reach into it. */
  private clearGranule(slot: number, granule: number): void {
    const start = (granule << granuleShift) >>> 1;
    const end = start + (1 << granuleShift) / 2;
    const page = (this.base + slot * codePageBytes) >>> 1;
    for (let i = Math.max(start - 1, 0); i < end; i++) this.halves[page + (i * entryBytes) / 2] = Handler.decode;
  }

  /** Forgets all decoded code. */
  flush(): void {
    for (let slot = 0; slot < this.used; slot++) {
      if (this.decoded[slot * 2] === 0 && this.decoded[slot * 2 + 1] === 0) continue;
      this.onForget(this.base + slot * codePageBytes, -1);
      this.notes.unwatchCode(this.pageOfSlot[slot]!);
      this.clear(slot);
    }
  }

  get figures(): CodeCacheFigures {
    return {
      capacityPages: this.capacity,
      pages: this.used,
      evictions: this.evictions,
      invalidations: this.invalidations,
    };
  }
}
