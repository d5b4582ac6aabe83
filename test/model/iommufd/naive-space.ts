// An I/O address space as plain lists and sets, page by page: slow, and simple enough to be believed.
import { Errno } from "../../../src/iommufd/index.ts";

export const LARGE_PAGES = 512;

export interface NaiveArea {
  readonly first: number;
  readonly count: number;
  /** Memory page behind the first. */
  readonly source: number;
  readonly writable: boolean;
  /** Whether the pages behind it may be written at all; a copy inherits it. */
  readonly sourceWritable: boolean;
  /** Which map call it comes from: copies share its pins. */
  readonly origin: object;
}

/** One page table that follows the space. */
export class NaiveTable {
  readonly hasDirtyBits: boolean;
  tracking = false;
  readonly dirty: Set<number> = new Set<number>();

  constructor(hasDirtyBits: boolean) {
    this.hasDirtyBits = hasDirtyBits;
  }

  setTracking(on: boolean): void {
    // Turning it on forgets what was dirty, also when it was on.
    if (on) this.dirty.clear();
    this.tracking = on;
  }
}

export class NaiveSpace {
  areas: NaiveArea[] = [];
  /** All that follow the space. */
  readonly tables: Set<NaiveTable> = new Set<NaiveTable>();
  readonly #largePages: boolean;

  constructor(largePages: boolean) {
    this.#largePages = largePages;
  }

  at(page: number): NaiveArea | undefined {
    return this.areas.find((a) => page >= a.first && page < a.first + a.count);
  }

  overlaps(first: number, count: number): boolean {
    return this.areas.some((a) => a.first < first + count && first < a.first + a.count);
  }

  map(first: number, count: number, source: number, writable: boolean): number {
    if (this.overlaps(first, count)) return Errno.EEXIST;
    this.areas.push({ first, count, source, writable, sourceWritable: writable, origin: {} });
    return 0;
  }

  copyFrom(from: NaiveSpace, sourceFirst: number, first: number, count: number, writable: boolean): number {
    const covered: NaiveArea[] = [];
    for (let i = 0; i < count; i++) {
      const area = from.at(sourceFirst + i);
      if (area === undefined) return Errno.ENOENT;
      if (covered.at(-1) !== area) covered.push(area);
    }
    if (this.overlaps(first, count)) return Errno.EEXIST;
    if (writable && covered.some((a) => !a.sourceWritable)) return Errno.EPERM;
    for (const area of covered) {
      const start = Math.max(area.first, sourceFirst);
      const end = Math.min(area.first + area.count, sourceFirst + count);
      this.areas.push({
        first: first + (start - sourceFirst),
        count: end - start,
        source: area.source + (start - area.first),
        writable,
        sourceWritable: area.sourceWritable,
        origin: area.origin,
      });
    }
    return 0;
  }

  /** The kernel's partial unmap: ascending, until one area sticks out. */
  unmap(first: number, count: number): { readonly errno: number; readonly unmapped: number } {
    let unmapped = 0;
    for (const area of [...this.areas].sort((x, y) => x.first - y.first)) {
      if (area.first + area.count <= first || area.first >= first + count) continue;
      if (area.first < first || area.first + area.count > first + count) return { errno: Errno.ENOENT, unmapped };
      this.areas.splice(this.areas.indexOf(area), 1);
      for (const { dirty } of this.tables) for (let i = 0; i < area.count; i++) dirty.delete(area.first + i);
      unmapped += area.count;
    }
    return { errno: unmapped === 0 ? Errno.ENOENT : 0, unmapped };
  }

  /** Where an automatic map of `count` pages from memory page `source` goes: the first place that keeps its alignment. */
  choose(count: number, source: number, topPage: number): number | undefined {
    const up = 2 ** Math.ceil(Math.log2(count));
    const lowestBit = source === 0 ? up : source & -source;
    const alignment = Math.min(up, lowestBit, LARGE_PAGES);
    for (let first = alignment; first + count <= topPage; first += alignment) {
      if (!this.overlaps(first, count)) return first;
    }
    return undefined;
  }

  /** The pages whose one table entry covers `page`. */
  leafOf(page: number): { readonly first: number; readonly count: number } {
    const area = this.at(page)!;
    const first = page - (page % LARGE_PAGES);
    const isLarge =
      this.#largePages &&
      first >= area.first &&
      first + LARGE_PAGES <= area.first + area.count &&
      (area.source + first - area.first) % LARGE_PAGES === 0;
    return isLarge ? { first, count: LARGE_PAGES } : { first: page, count: 1 };
  }

  /** A device behind `table` wrote to a mapped page. */
  wrote(table: NaiveTable, page: number): void {
    if (!table.hasDirtyBits || !table.tracking) return;
    const leaf = this.leafOf(page);
    for (let i = 0; i < leaf.count; i++) table.dirty.add(leaf.first + i);
  }

  /** Dirty pages of a range; what is reported becomes clean, with its whole table entry, unless it is to be kept. */
  query(table: NaiveTable, first: number, count: number, keep: boolean, stopsAtHole: boolean): number[] {
    const found: number[] = [];
    for (let page = first; page < first + count; page++) {
      if (this.at(page) === undefined) {
        if (stopsAtHole) break;
        continue;
      }
      if (table.dirty.has(page)) found.push(page);
    }
    if (!keep) {
      for (const page of found) {
        const leaf = this.leafOf(page);
        for (let i = 0; i < leaf.count; i++) table.dirty.delete(leaf.first + i);
      }
    }
    return found;
  }
}

/** How many pages are pinned for spaces that all have page tables: those of one map call once, however often copied. */
export function pinnedPages(spaces: readonly NaiveSpace[]): number {
  const pinned = new Map<object, Set<number>>();
  for (const { areas } of spaces) {
    for (const { origin, source, count } of areas) {
      let pages = pinned.get(origin);
      if (pages === undefined) pinned.set(origin, (pages = new Set()));
      for (let i = 0; i < count; i++) pages.add(source + i);
    }
  }
  let sum = 0;
  for (const pages of pinned.values()) sum += pages.size;
  return sum;
}
