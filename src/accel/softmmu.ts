// hot: bench/kernels.ts
// A vCPU's software TLB: direct-mapped tables of 4096 entries of 16 bytes, one per kind of access and MMU index.
//
// entry: tag (i64, the virtual page) · addend (i32) · unused (i32)
//
// Generated code looks where tag and address differ: in the page's bits, or in those that must be zero for its alignment.
// So one test finds misses and misaligned accesses; the host address is the low half of the virtual one plus the addend.
// The tag of an invalid entry is a page that belongs to another entry, so that every address differs from it.
// For fetches the addend is the address of the page's decoded entries. Every fill is noted in a journal, so that a flush
// costs as much as was filled since the last one, not the size of the tables.
import { assert } from "../base/index.ts";
import { LargePages } from "./large-pages.ts";

export const tlbEntryBytes = 16;
export const tlbEntryCount = 4096;
export const tlbTableBytes: number = tlbEntryBytes * tlbEntryCount;
/** `(va >>> tlbIndexShift) & tlbIndexMask` is the byte offset of the entry for `va`. */
export const tlbIndexShift = 8;
export const tlbIndexMask = 0xfff0;
export const tlbAddendOffset = 8;

export const TlbKind = { fetch: 0, load: 1, store: 2 } as const;
export type TlbKind = (typeof TlbKind)[keyof typeof TlbKind];

const journalCapacity = 4096;
const kinds = 3;

/** Bytes that the tables of one vCPU with `mmuIndexes` MMU indexes need. */
export function softMmuBytes(mmuIndexes: number): number {
  return kinds * mmuIndexes * tlbTableBytes;
}

export class SoftMmu {
  private readonly words: Int32Array;
  private readonly base: number;
  private readonly mmuIndexes: number;
  /** Per kind: entry addresses filled since the last flush, and how many; more than the capacity means all. */
  private readonly journals: Int32Array[];
  private readonly filled: Int32Array = new Int32Array(kinds);
  private readonly large = new LargePages();
  /** Counts flushes of translations, for whoever keeps parts of them. */
  generation = 0;

  constructor(words: Int32Array, base: number, mmuIndexes: number) {
    assert(base % tlbTableBytes === 0, "TLB tables are aligned to their size", base);
    this.words = words;
    this.base = base;
    this.mmuIndexes = mmuIndexes;
    this.journals = [0, 1, 2].map(() => new Int32Array(journalCapacity));
    for (let kind = 0; kind < kinds; kind++) this.wipe(kind as TlbKind);
  }

  table(kind: TlbKind, mmuIndex: number): number {
    return this.base + (kind * this.mmuIndexes + mmuIndex) * tlbTableBytes;
  }

  /** Enters the page of `va` (two halves): `target` is the host address of its first byte or of its decoded entries. */
  fill(kind: TlbKind, mmuIndex: number, low: number, high: number, target: number): void {
    const entry = this.table(kind, mmuIndex) + ((low >>> tlbIndexShift) & tlbIndexMask);
    const word = entry >>> 2;
    const page = low & ~0xfff;
    this.words[word] = page;
    this.words[word + 1] = high;
    this.words[word + 2] = kind === TlbKind.fetch ? target : (target - page) | 0;
    const count = this.filled[kind]!;
    if (count < journalCapacity) this.journals[kind]![count] = entry;
    this.filled[kind] = count + 1;
  }

  /** What `fill` entered as the target for the page of an address, or 0. */
  find(kind: TlbKind, mmuIndex: number, low: number, high: number): number {
    const word = (this.table(kind, mmuIndex) + ((low >>> tlbIndexShift) & tlbIndexMask)) >>> 2;
    const page = low & ~0xfff;
    if (this.words[word] !== page || this.words[word + 1] !== high) return 0;
    return kind === TlbKind.fetch ? this.words[word + 2]! : (this.words[word + 2]! + page) >>> 0;
  }

  /** Says that the page of an address was filled from a translation of `lengthBytes`, more than 4 KiB. */
  noteLarge(low: number, high: number, lengthBytes: number): void {
    this.large.note(low, high, lengthBytes);
  }

  private invalidate(entry: number): void {
    this.words[entry >>> 2] = (entry & tlbIndexMask) === tlbIndexMask ? 0 : -1;
  }

  flush(kind: TlbKind): void {
    const count = this.filled[kind]!;
    if (count > journalCapacity) {
      this.wipe(kind);
      return;
    }
    const journal = this.journals[kind]!;
    for (let i = 0; i < count; i++) this.invalidate(journal[i]!);
    this.filled[kind] = 0;
  }

  /** Drops every entry of `kind`, load or store, that leads to the page at the host address `target`. */
  flushTarget(kind: TlbKind, target: number): void {
    const count = this.filled[kind]!;
    if (count > journalCapacity) {
      this.wipe(kind);
      return;
    }
    const { words } = this;
    const journal = this.journals[kind]!;
    for (let i = 0; i < count; i++) {
      const entry = journal[i]!;
      const word = entry >>> 2;
      if (((words[word]! + words[word + 2]!) | 0) === (target | 0)) this.invalidate(entry);
    }
  }

  flushAll(): void {
    this.generation++;
    this.flush(TlbKind.fetch);
    this.flush(TlbKind.load);
    this.flush(TlbKind.store);
    this.large.clear();
  }

  /** Drops the page of `va` from every table. */
  flushPage(low: number, high: number): void {
    this.generation++;
    if (this.large.covers(low, high)) {
      this.flushAll();
      return;
    }
    const offset = (low >>> tlbIndexShift) & tlbIndexMask;
    const page = low & ~0xfff;
    const tables = kinds * this.mmuIndexes;
    for (let i = 0; i < tables; i++) {
      const entry = this.base + i * tlbTableBytes + offset;
      if (this.words[entry >>> 2] === page && this.words[(entry >>> 2) + 1] === high) this.invalidate(entry);
    }
  }

  private wipe(kind: TlbKind): void {
    const first = this.table(kind, 0) >>> 2;
    const end = first + (this.mmuIndexes * tlbTableBytes) / 4;
    this.words.fill(-1, first, end);
    for (let last = first + tlbTableBytes / 4; last <= end; last += tlbTableBytes / 4) {
      this.invalidate((last << 2) - tlbEntryBytes);
    }
    this.filled[kind] = 0;
  }
}
