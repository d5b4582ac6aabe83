// hot: bench/boot.ts
// Which regions there are, where they can be entered, and which pages they were made of: entries of decoded code are turned
// into entries of regions and back.
import { type CodeCache, entryOffset, Handler } from "../code-cache.ts";
import { hotCount, recordBytes, recordCount, recordOffset } from "../region-entry.ts";

/** A page that a region was made of, and which 64 steps of 64 bytes of it. */
export interface RegionPage {
  readonly entries: number;
  low: number;
  high: number;
}

export interface RegionEntry {
  /** Address of the decoded entry. */
  readonly at: number;
  readonly label: number;
  readonly offset: number;
  readonly need: number;
}

export class Region {
  readonly tableIndex: number;
  readonly entries: readonly RegionEntry[];
  readonly pages: readonly RegionPage[];
  /** Where it was asked for, as offsets from its base. */
  readonly roots: readonly number[];
  /** Addresses of the decoded entries of its instructions, and their offsets. */
  readonly code: Int32Array;
  readonly offsets: Int32Array;
  readonly lengthBytes: number;
  /** The region that it takes the place of. */
  readonly replaces: Region | undefined;
  /** Number of each entry's record; 0 where another region took the entry over. */
  readonly records: Int32Array;
  isAlive = true;
  isCompiled = false;
  /** How often it was entered under other TLB tables than it was made for. */
  misfits = 0;

  constructor(parts: Omit<Region, "records" | "isAlive" | "isCompiled" | "misfits">) {
    this.tableIndex = parts.tableIndex;
    this.entries = parts.entries;
    this.pages = parts.pages;
    this.roots = parts.roots;
    this.code = parts.code;
    this.offsets = parts.offsets;
    this.replaces = parts.replaces;
    this.lengthBytes = parts.lengthBytes;
    this.records = new Int32Array(parts.entries.length);
  }
}

export class RegionRecords {
  private readonly base: number;
  private readonly halves: Uint16Array;
  private readonly words: Int32Array;
  private readonly onDropped: (region: Region) => void;
  private readonly free: Int32Array = new Int32Array(recordCount);
  private freeCount = 0;
  /** Who owns each record, and as which of its entries. */
  private readonly owners: (Region | undefined)[] = [];
  private readonly ownerEntry: Uint16Array = new Uint16Array(recordCount);
  private readonly ofPage: Map<number, Set<Region>> = new Map();

  constructor(options: {
    buffer: ArrayBufferLike;
    base: number;
    cache: CodeCache;
    onDropped: (region: Region) => void;
  }) {
    this.base = options.base;
    this.halves = new Uint16Array(options.buffer);
    this.words = new Int32Array(options.buffer);
    this.onDropped = options.onDropped;
    for (let record = 0; record < recordCount; record++) this.words[this.wordOf(record)] = -1;
    for (let record = recordCount - 1; record > hotCount; record--) this.free[this.freeCount++] = record;
    options.cache.isPrecious = (entries) => this.ofPage.has(entries);
    options.cache.onForget = (entries, granule) => this.forget(entries, granule);
  }

  private wordOf(record: number): number {
    return (this.base + record * recordBytes) >>> 2;
  }

  get freeRecords(): number {
    return this.freeCount;
  }

  /** The handler that a region took the place of at a decoded entry. */
  handlerUnder(entry: number): number {
    const record = this.halves[(entry + entryOffset.count) >>> 1]!;
    return this.halves[(this.base + record * recordBytes + recordOffset.handler) >>> 1]!;
  }

  /** How often the region at a decoded entry was entered right behind another one. */
  timesFollowed(entry: number): number {
    const record = this.halves[(entry + entryOffset.count) >>> 1]!;
    return this.words[this.wordOf(record) + recordOffset.followed / 4]!;
  }

  /** The region that is entered at a decoded entry. */
  regionAt(entry: number): Region {
    return this.owners[this.halves[(entry + entryOffset.count) >>> 1]!]!;
  }

  /** The region of the record at an address, as long as it lives. */
  ownerAt(address: number): Region | undefined {
    return this.owners[(address - this.base) / recordBytes];
  }

  /** The regions that have the instruction at a decoded entry, of the page at `entries`. */
  covering(entries: number, entry: number): readonly Region[] {
    return [...(this.ofPage.get(entries) ?? [])].filter(({ code }) => code.includes(entry));
  }

  /** Notes a region that is about to be compiled, so that it is dropped when its code changes. */
  add(region: Region): void {
    for (const { entries } of region.pages) {
      const there = this.ofPage.get(entries);
      if (there === undefined) this.ofPage.set(entries, new Set([region]));
      else there.add(region);
    }
  }

  /** Makes a compiled region enterable; entries that other regions have become its own. */
  enter(region: Region): void {
    region.entries.forEach(({ at, label, offset, need }, i) => {
      const isRegion = this.halves[at >>> 1] === Handler.region;
      const handler = isRegion ? this.handlerUnder(at) : this.halves[at >>> 1]!;
      if (isRegion) this.release(this.halves[(at + entryOffset.count) >>> 1]!);
      if (this.freeCount === 0) return;
      const record = this.free[--this.freeCount]!;
      const word = this.wordOf(record);
      this.words[word + recordOffset.function / 4] = region.tableIndex;
      this.words[word + recordOffset.label / 4] = label | (handler << 16);
      this.words[word + recordOffset.offset / 4] = offset;
      this.words[word + recordOffset.budget / 4] = need;
      this.words[word + recordOffset.followed / 4] = 0;
      // What is new has its time to show that it is used.
      this.words[word + recordOffset.entered / 4] = 1;
      this.halves[at >>> 1] = Handler.region;
      this.halves[(at + entryOffset.count) >>> 1] = record;
      this.owners[record] = region;
      this.ownerEntry[record] = i;
      region.records[i] = record;
    });
  }

  /** Whether the region was entered since the last call. */
  takeEntered({ records }: Region): boolean {
    let isEntered = false;
    for (let i = 0; i < records.length; i++) {
      if (records[i] === 0) continue;
      const word = this.wordOf(records[i]!) + recordOffset.entered / 4;
      if (this.words[word] !== 0) isEntered = true;
      this.words[word] = 0;
    }
    return isEntered;
  }

  /** Gives a record back; its decoded entry is plain again. */
  private release(record: number): void {
    const owner = this.owners[record]!;
    const i = this.ownerEntry[record]!;
    const { at } = owner.entries[i]!;
    // It may have been undone meanwhile, as the last of a granule before one that was written.
    const count = (at + entryOffset.count) >>> 1;
    if (this.halves[at >>> 1] === Handler.region && this.halves[count] === record) {
      this.halves[at >>> 1] = this.handlerUnder(at);
      this.halves[count] = 0;
    }
    this.words[this.wordOf(record)] = -1;
    this.owners[record] = undefined;
    owner.records[i] = 0;
    this.free[this.freeCount++] = record;
  }

  drop(region: Region): void {
    if (!region.isAlive) return;
    region.isAlive = false;
    for (let i = 0; i < region.records.length; i++) if (region.records[i] !== 0) this.release(region.records[i]!);
    for (const { entries } of region.pages) {
      const there = this.ofPage.get(entries);
      there?.delete(region);
      if (there?.size === 0) this.ofPage.delete(entries);
    }
    this.onDropped(region);
  }

  /** Decoded entries are undone: of one granule of a page, or of all (-1). */
  private forget(entries: number, granule: number): void {
    const there = this.ofPage.get(entries);
    if (there === undefined) return;
    for (const region of there) {
      const page = region.pages.find((candidate) => candidate.entries === entries)!;
      const bits = granule < 32 ? page.low : page.high;
      if (granule < 0 || ((bits >>> (granule & 31)) & 1) !== 0) this.drop(region);
    }
  }
}
