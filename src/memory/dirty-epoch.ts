// hot: bench/memory.ts
// One consumer's view of what was written: pages since the epoch opened or was last read, and who wrote them.
import { assert } from "../base/index.ts";
import { PageSet, popCount } from "./page-set.ts";
import type { DirtySource } from "./port.ts";

/** What one `read` took. */
export interface DirtyRound {
  /** The set that `read` was given (with what it held before), or a new one. */
  readonly pages: PageSet;
  /** Pages written in this round. */
  readonly dirtyPageCount: number;
  /** Pages that each source reported in this round. Several sources may report one page. */
  readonly bySource: ReadonlyMap<string, number>;
  /** Who reported `page` in this round; valid until the epoch is read again. */
  sourcesOf(page: number): string[];
}

/** What an epoch asks of the notes that it belongs to. */
export interface EpochOwner {
  readonly pageCount: number;
  sourceName(source: DirtySource): string;
  /** Lets pulled sources report into all open epochs. */
  collect(): void;
  /** Says that a store to the pages in `bits` (one word of the bitmap) must be reported again. */
  armWord(word: number, bits: number): void;
  /** Tells whoever keeps direct store entries that pages were armed. */
  announceArmed(): void;
  /** Recomputes which pages some epoch still waits for. */
  refreshArmed(): void;
  release(epoch: DirtyEpoch): void;
  /** Pages of guest memory: [first, end). */
  readonly firstRamPage: number;
  readonly endRamPage: number;
}

/** Made by `DirtyNotes.openEpoch`. */
export class DirtyEpoch {
  readonly name: string;
  /** Which of the bitmaps in the WebAssembly memory it uses. */
  readonly slot: number;
  /** The bitmap: bit `page & 31` of word `page >>> 5`. */
  readonly words: Uint32Array;
  readonly #owner: EpochOwner;
  #sources: (PageSet | undefined)[] = [];
  #previous: (PageSet | undefined)[] = [];
  #open = true;
  /** How many pages more each limited source may report first in this round; undefined while none is limited. */
  #allowed: Int32Array | undefined;
  #onSpent: ((source: DirtySource) => void) | undefined;

  constructor(owner: EpochOwner, name: string, slot: number, words: Uint32Array) {
    this.#owner = owner;
    this.name = name;
    this.slot = slot;
    this.words = words;
  }

  /** Called by the notes for each reported page. */
  note(source: DirtySource, page: number): void {
    const word = page >>> 5;
    const mask = 1 << (page & 31);
    this.words[word]! |= mask;
    const written = this.#sources[source] ?? this.#startSource(source);
    if (this.#allowed !== undefined && (written.words[word]! & mask) === 0) this.#spend(this.#allowed, source);
    written.words[word]! |= mask;
  }

  /**
   * From now on `source` may report so many pages that it has not reported in this round: `onSpent`, one for all sources,
   * is called in the middle of the report that reaches the number. Asked for again, it counts from there.
   */
  allow(source: DirtySource, pageCount: number, onSpent: (source: DirtySource) => void): void {
    const allowed = this.#allowed ?? new Int32Array(0);
    const grown = source < allowed.length ? allowed : new Int32Array(source + 1);
    if (grown !== allowed) grown.set(allowed);
    grown[source] = pageCount;
    this.#allowed = grown;
    this.#onSpent = onSpent;
  }

  /**
   * Ends the round: pulls from collectors, adds the dirty pages to `into` (a new set when absent) and starts the next
   * round with every page clean. When a collector fails its error is thrown, and nothing is lost: the round goes on
   * with every page dirty.
   */
  read(into: PageSet = new PageSet(this.#owner.pageCount)): DirtyRound {
    assert(this.#open, "an open epoch is read", this.name);
    assert(into.pageCount === this.#owner.pageCount, "the set covers the world's pages", into.pageCount);
    this.#owner.collect();
    const dirtyPageCount = this.#take(into);
    const sources = this.#sources;
    this.#sources = this.#previous;
    this.#previous = sources;
    for (let i = 0; i < this.#sources.length; i++) this.#sources[i]?.clear();
    if (dirtyPageCount > 0) this.#owner.announceArmed();
    const owner = this.#owner;
    return {
      pages: into,
      dirtyPageCount,
      bySource: this.#count(sources),
      sourcesOf(page: number): string[] {
        const names: string[] = [];
        sources.forEach((set, source) => {
          if (set?.has(page) === true) names.push(owner.sourceName(source as DirtySource));
        });
        return names;
      },
    };
  }

  /** Lets collectors report without ending the round, so that `countDirty` and `bySource` know what they know. */
  pull(): void {
    assert(this.#open, "an open epoch is pulled", this.name);
    this.#owner.collect();
  }

  /** Pages written so far in this round, as far as reported. */
  countDirty(): number {
    assert(this.#open, "an open epoch is counted", this.name);
    let n = 0;
    for (let w = 0; w < this.words.length; w++) if (this.words[w] !== 0) n += popCount(this.words[w]!);
    return n;
  }

  /** Pages that each source reported so far in this round. */
  bySource(): ReadonlyMap<string, number> {
    assert(this.#open, "an open epoch is counted", this.name);
    return this.#count(this.#sources);
  }

  /** Counts pages as written by `source` in this epoch alone. */
  mark(source: DirtySource, firstPage: number, pageCount: number): void {
    assert(this.#open, "an open epoch is marked", this.name);
    const { firstRamPage, endRamPage } = this.#owner;
    assert(firstPage >= firstRamPage && firstPage + pageCount <= endRamPage, "marked pages are RAM", firstPage);
    for (let page = firstPage; page < firstPage + pageCount; page++) this.note(source, page);
    this.#owner.refreshArmed();
  }

  /** Counts all guest memory as written; `reason` is named as the source. */
  markAll(reason: DirtySource): void {
    const { firstRamPage, endRamPage } = this.#owner;
    this.mark(reason, firstRamPage, endRamPage - firstRamPage);
  }

  /** Ends the epoch; idempotent. Pages that only it waited for become quiet. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#sources = [];
    this.#previous = [];
    this.#owner.release(this);
  }

  #take(into: PageSet): number {
    const words = this.words;
    const target = into.words;
    let count = 0;
    for (let w = 0; w < words.length; w++) {
      if (words[w] === 0) continue;
      // Generated code on another thread may set bits inline, so a word is taken in one step.
      const taken = Atomics.exchange(words, w, 0);
      target[w]! |= taken;
      count += popCount(taken);
      this.#owner.armWord(w, taken);
    }
    return count;
  }

  #spend(allowed: Int32Array, source: DirtySource): void {
    const left = allowed[source];
    if (left === undefined || left <= 0) return;
    allowed[source] = left - 1;
    if (left === 1) this.#onSpent!(source);
  }

  #startSource(source: DirtySource): PageSet {
    const set = new PageSet(this.#owner.pageCount);
    // Filled, not sparse, so that the array keeps its fast form.
    while (this.#sources.length <= source) this.#sources.push(undefined);
    this.#sources[source] = set;
    return set;
  }

  #count(sources: readonly (PageSet | undefined)[]): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    sources.forEach((set, source) => {
      const n = set?.count() ?? 0;
      if (n > 0) counts.set(this.#owner.sourceName(source as DirtySource), n);
    });
    return counts;
  }
}
