// hot: bench/memory.ts
// A set of pages as a bitmap over [0, pageCount).
import { assert } from "../base/index.ts";
import type { PageReport } from "./port.ts";

export const PAGE_SHIFT = 12;
export const PAGE_BYTES = 4096;

/** Number of one bits of a 32-bit word. */
export function popCount(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Ones in the bits of word `word` that belong to pages [first, end). */
export function maskOfRun(word: number, first: number, end: number): number {
  const low = Math.max(first - word * 32, 0);
  const high = Math.min(end - word * 32, 32);
  if (low >= high) return 0;
  const ones = high - low === 32 ? 0xffffffff : (1 << (high - low)) - 1;
  return (ones << low) >>> 0;
}

/** Pages by number; see `WriteNotes` for how pages are numbered. */
export class PageSet implements PageReport {
  readonly pageCount: number;
  /** Bit `page & 31` of word `page >>> 5`. */
  readonly words: Uint32Array;

  constructor(pageCount: number, words: Uint32Array = new Uint32Array(Math.ceil(pageCount / 32))) {
    assert(words.length * 32 >= pageCount, "the bitmap holds every page", words.length, pageCount);
    this.pageCount = pageCount;
    this.words = words;
  }

  add(firstPage: number, count: number = 1): void {
    const end = firstPage + count;
    assert(firstPage >= 0 && count >= 0 && end <= this.pageCount, "pages lie in the set", firstPage, count);
    if (count === 0) return;
    const lastWord = (end - 1) >>> 5;
    for (let w = firstPage >>> 5; w <= lastWord; w++) this.words[w]! |= maskOfRun(w, firstPage, end);
  }

  delete(firstPage: number, count: number = 1): void {
    const end = firstPage + count;
    assert(firstPage >= 0 && count >= 0 && end <= this.pageCount, "pages lie in the set", firstPage, count);
    if (count === 0) return;
    const lastWord = (end - 1) >>> 5;
    for (let w = firstPage >>> 5; w <= lastWord; w++) this.words[w]! &= ~maskOfRun(w, firstPage, end);
  }

  has(page: number): boolean {
    return page >= 0 && page < this.pageCount && (this.words[page >>> 5]! & (1 << (page & 31))) !== 0;
  }

  clear(): void {
    this.words.fill(0);
  }

  /** Number of pages in the set. */
  count(): number {
    let n = 0;
    for (let w = 0; w < this.words.length; w++) if (this.words[w] !== 0) n += popCount(this.words[w]!);
    return n;
  }

  /** The first page at or after `from`, and before `end`, that is in the set, or -1. */
  next(from: number, end: number = this.pageCount): number {
    if (from >= end) return -1;
    const lastWord = (end - 1) >>> 5;
    let w = from >>> 5;
    let word = this.words[w]! & (0xffffffff << (from & 31));
    while (word === 0) {
      w += 1;
      if (w > lastWord) return -1;
      word = this.words[w]!;
    }
    const page = w * 32 + (31 - Math.clz32(word & -word));
    return page < end ? page : -1;
  }

  /** The first page after `from` that is not in the set; `end` when there is none before it. */
  runEnd(from: number, end: number = this.pageCount): number {
    let page = from;
    while (page < end) {
      const missing = ~this.words[page >>> 5]! & (0xffffffff << (page & 31));
      if (missing !== 0) return Math.min((page & ~31) + (31 - Math.clz32(missing & -missing)), end);
      page = (page & ~31) + 32;
    }
    return end;
  }

  /** Calls `visit` for each maximal run of pages, in ascending order. */
  forEachRun(visit: (firstPage: number, pageCount: number) => void): void {
    for (let page = this.next(0); page !== -1;) {
      const end = this.runEnd(page);
      visit(page, end - page);
      page = this.next(end);
    }
  }

  /** Every page, ascending; for tests and small sets. */
  toArray(): number[] {
    const pages: number[] = [];
    for (let page = this.next(0); page !== -1; page = this.next(page + 1)) pages.push(page);
    return pages;
  }
}
