// A second opinion on dirty tracking: a copy of guest memory, compared with the memory after each round. A page that
// changed, or that somebody is known to have written, and that the round does not have, was missed. For tests, and for
// people who debug a device model of their own; it costs a copy of guest memory and a look at all of it per round.
import type { DirtyRound } from "./dirty-epoch.ts";
import { PAGE_BYTES, PAGE_SHIFT, PageSet } from "./page-set.ts";
import type { RamBlock } from "./port.ts";
import type { World } from "./world.ts";

export interface MissedPage {
  /** Numbered as in `WriteNotes`. */
  readonly page: number;
  readonly block: string;
  readonly offsetInBlock: number;
  /** Who was seen writing it; empty when only its content tells. */
  readonly writers: readonly string[];
}

export interface OracleCounts {
  readonly rounds: number;
  /** Pages that were written, round by round. */
  readonly writtenPages: number;
  /** Pages that the rounds had; past `writtenPages` they were reported in vain. */
  readonly reportedPages: number;
  readonly missedPages: number;
}

interface Shadow {
  readonly block: RamBlock;
  readonly now: Uint32Array;
  readonly before: Uint32Array;
}

const WORDS_PER_PAGE = PAGE_BYTES / 4;

export class DirtyOracle {
  readonly #shadows: readonly Shadow[];
  readonly #pageCount: number;
  readonly #writers = new Map<string, PageSet>();
  #rounds = 0;
  #writtenPages = 0;
  #reportedPages = 0;
  #missedPages = 0;

  /** The first round begins now, as that of the epoch that is opened now. */
  constructor(world: { readonly blocks: World["blocks"]; readonly notes: Pick<World["notes"], "pageCount"> }) {
    this.#pageCount = world.notes.pageCount;
    this.#shadows = world.blocks
      .filter((block) => !block.readOnly)
      .map((block) => {
        const { buffer, byteOffset, byteLength } = block.bytes;
        const now = new Uint32Array(buffer, byteOffset, byteLength / 4);
        return { block, now, before: now.slice() };
      });
  }

  get counts(): OracleCounts {
    return {
      rounds: this.#rounds,
      writtenPages: this.#writtenPages,
      reportedPages: this.#reportedPages,
      missedPages: this.#missedPages,
    };
  }

  /** `writer` wrote at `offset` in the machine's memory, even if it wrote what was there. */
  noteWrite(writer: string, offset: number, lengthBytes: number): void {
    if (lengthBytes <= 0) return;
    let pages = this.#writers.get(writer);
    if (pages === undefined) this.#writers.set(writer, (pages = new PageSet(this.#pageCount)));
    const first = offset >>> PAGE_SHIFT;
    pages.add(first, ((offset + lengthBytes - 1) >>> PAGE_SHIFT) - first + 1);
  }

  /** Ends a round as the epoch's `read` ended it; what it missed. Nothing ran in between. */
  check(round: DirtyRound): readonly MissedPage[] {
    const missed: MissedPage[] = [];
    for (const shadow of this.#shadows) this.#checkBlock(shadow, round.pages, missed);
    for (const pages of this.#writers.values()) pages.clear();
    this.#rounds += 1;
    this.#missedPages += missed.length;
    return missed;
  }

  #checkBlock({ block, now, before }: Shadow, reported: PageSet, missed: MissedPage[]): void {
    const firstPage = block.offset >>> PAGE_SHIFT;
    const count = block.lengthBytes / PAGE_BYTES;
    for (let i = 0; i < count; i++) {
      const isReported = reported.has(firstPage + i);
      if (isReported) this.#reportedPages += 1;
      if (!differs(now, before, i) && !this.#isNoted(firstPage + i)) continue;
      this.#writtenPages += 1;
      before.set(now.subarray(i * WORDS_PER_PAGE, (i + 1) * WORDS_PER_PAGE), i * WORDS_PER_PAGE);
      if (!isReported) missed.push(this.#missed(block, i));
    }
  }

  #isNoted(page: number): boolean {
    for (const pages of this.#writers.values()) if (pages.has(page)) return true;
    return false;
  }

  #missed(block: RamBlock, index: number): MissedPage {
    const page = (block.offset >>> PAGE_SHIFT) + index;
    const writers = [...this.#writers].filter(([, pages]) => pages.has(page)).map(([writer]) => writer);
    return { page, block: block.name, offsetInBlock: index * PAGE_BYTES, writers };
  }
}

function differs(a: Uint32Array, b: Uint32Array, page: number): boolean {
  const end = (page + 1) * WORDS_PER_PAGE;
  for (let i = page * WORDS_PER_PAGE; i < end; i++) if (a[i] !== b[i]) return true;
  return false;
}
