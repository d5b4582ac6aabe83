// Pages of guest memory as frames: runs of one kind, zero or not.
import { PAGE_BYTES, type PageSet, type RamBlock } from "../../memory/index.ts";
import { frame } from "./frame-writer.ts";
import { FrameKind, MAX_PAGES_PER_FRAME, PageEncoding, PagesHeader } from "./spec.ts";

const WORDS_PER_PAGE = PAGE_BYTES / 4;

/** What one call took. */
export interface TakenPages {
  readonly bytes: Uint8Array;
  readonly pageCount: number;
  readonly isZero: boolean;
}

/** Memory as a source of frames; pages are numbered as in `WriteNotes`. */
export class PageSource {
  readonly #blocks: readonly { readonly index: number; readonly block: RamBlock; readonly words: Uint32Array }[];

  constructor(blocks: readonly RamBlock[]) {
    this.#blocks = blocks.map((block, index) => {
      const { buffer, byteOffset, byteLength } = block.bytes;
      return { index, block, words: new Uint32Array(buffer, byteOffset, byteLength / 4) };
    });
  }

  get pageCount(): number {
    return this.#blocks.reduce((sum, { block }) => sum + block.lengthBytes / PAGE_BYTES, 0);
  }

  /** Puts every page into the set. */
  addAll(into: PageSet): void {
    for (const { block } of this.#blocks) into.add(block.offset / PAGE_BYTES, block.lengthBytes / PAGE_BYTES);
  }

  /** Takes the next pages at or after `from` out of the set, as one frame; undefined when there are none. */
  take(pending: PageSet, from: number): (TakenPages & { readonly next: number }) | undefined {
    const first = nextPage(pending, from);
    if (first === -1) return undefined;
    const { index, block, words } = this.#blocks.find(({ block: b }) => contains(b, first))!;
    const start = first - block.offset / PAGE_BYTES;
    const most = Math.min(MAX_PAGES_PER_FRAME, block.lengthBytes / PAGE_BYTES - start);
    const isZero = isZeroPage(words, start);
    let count = 1;
    while (count < most && pending.has(first + count) && isZeroPage(words, start + count) === isZero) count += 1;
    pending.delete(first, count);
    const header = PagesHeader.encode({
      block: index,
      encoding: isZero ? PageEncoding.zero : PageEncoding.bytes,
      pad: 0,
      firstPage: start,
      pageCount: count,
    });
    const parts = isZero ? [header] : [header, block.bytes.subarray(start * PAGE_BYTES, (start + count) * PAGE_BYTES)];
    return { bytes: frame(FrameKind.pages, parts), pageCount: count, isZero, next: first + count };
  }
}

function contains(block: RamBlock, page: number): boolean {
  const first = block.offset / PAGE_BYTES;
  return page >= first && page < first + block.lengthBytes / PAGE_BYTES;
}

/** Makes whole pages zero; those that are already stay as the host has them, which may be nowhere. */
export function clearPages(bytes: Uint8Array): void {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  for (let page = 0; page * WORDS_PER_PAGE < words.length; page++) {
    if (!isZeroPage(words, page)) words.fill(0, page * WORDS_PER_PAGE, (page + 1) * WORDS_PER_PAGE);
  }
}

function isZeroPage(words: Uint32Array, page: number): boolean {
  const end = (page + 1) * WORDS_PER_PAGE;
  for (let i = page * WORDS_PER_PAGE; i < end; i++) if (words[i] !== 0) return false;
  return true;
}

function nextPage(set: PageSet, from: number): number {
  const { words, pageCount } = set;
  let page = from;
  while (page < pageCount) {
    const word = words[page >>> 5]! >>> (page & 31);
    if (word === 0) page = (page | 31) + 1;
    else {
      page += 31 - Math.clz32(word & -word);
      return page < pageCount ? page : -1;
    }
  }
  return -1;
}
