// A device's own log of what it writes: pages of the ranges that were asked for, read and cleared by reports.
import { assert } from "../base/index.ts";

const LEAST_PAGE_SHIFT = 12;
const MOST_PAGE_SHIFT = 21;
const CHUNK_BYTES = 4096;
const CHUNK_PAGES = CHUNK_BYTES * 8;

export interface LogRange {
  readonly start: bigint;
  /** Before `start` for a range of no length. */
  readonly last: bigint;
}

export class DmaLog {
  #ranges: readonly LogRange[] | undefined;
  #shift = LEAST_PAGE_SHIFT;
  /** Bits of pages that were written, by page number divided by `CHUNK_PAGES`. */
  readonly #chunks = new Map<number, Uint8Array>();

  get isRunning(): boolean {
    return this.#ranges !== undefined;
  }

  /** The page size that it takes for one that is wanted: a power of two from 4 KiB to 2 MiB. */
  static pageBytesFor(wanted: bigint): bigint {
    const shift = wanted === 0n ? MOST_PAGE_SHIFT : wanted.toString(2).length - 1;
    return 1n << BigInt(Math.min(MOST_PAGE_SHIFT, Math.max(LEAST_PAGE_SHIFT, shift)));
  }

  start(ranges: readonly LogRange[], pageBytes: bigint): void {
    assert(this.#ranges === undefined, "a log is started once");
    this.#ranges = ranges;
    this.#shift = pageBytes.toString(2).length - 1;
  }

  stop(): void {
    this.#ranges = undefined;
    this.#chunks.clear();
  }

  /** The device wrote there, or tried to. */
  note(iova: bigint, lengthBytes: number): void {
    if (this.#ranges === undefined || lengthBytes === 0) return;
    const last = iova + BigInt(lengthBytes) - 1n;
    for (const range of this.#ranges) {
      this.#mark(iova > range.start ? iova : range.start, last < range.last ? last : range.last);
    }
  }

  /** Visits what was written in a range, as whole pages cut to the range, and forgets it. */
  readAndClear(iova: bigint, lengthBytes: bigint, visit: (iova: bigint, lengthBytes: bigint) => void): void {
    if (lengthBytes === 0n) return;
    const shift = BigInt(this.#shift);
    const end = iova + lengthBytes;
    const first = Number(iova >> shift);
    const last = Number((end - 1n) >> shift);
    for (const [index, bits] of this.#chunks) {
      const base = index * CHUNK_PAGES;
      if (base > last || base + CHUNK_PAGES <= first) continue;
      const to = Math.min(last - base, CHUNK_PAGES - 1);
      for (let page = Math.max(first - base, 0); page <= to; page++) {
        if (((bits[page >> 3]! >> (page & 7)) & 1) === 0) continue;
        bits[page >> 3]! &= ~(1 << (page & 7));
        const from = BigInt(base + page) << shift;
        const upTo = from + (1n << shift);
        const begin = from > iova ? from : iova;
        visit(begin, (upTo < end ? upTo : end) - begin);
      }
      if (bits.every((byte) => byte === 0)) this.#chunks.delete(index);
    }
  }

  #mark(first: bigint, last: bigint): void {
    const shift = BigInt(this.#shift);
    const to = Number(last >> shift);
    for (let page = Number(first >> shift); page <= to; page++) {
      const index = Math.floor(page / CHUNK_PAGES);
      let bits = this.#chunks.get(index);
      if (bits === undefined) this.#chunks.set(index, (bits = new Uint8Array(CHUNK_BYTES)));
      const at = page - index * CHUNK_PAGES;
      bits[at >> 3]! |= 1 << (at & 7);
    }
  }
}
