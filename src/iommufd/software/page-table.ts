// hot: bench/iommufd-dma.ts
// An I/O page table: a radix tree of 512-entry tables in typed arrays. A leaf may sit at any level whose page size the
// format has. Addresses and physical pages are counted in granules (the smallest page), which fit a double exactly.
import { assert } from "../../base/index.ts";

const BITS = 9;
const ENTRIES = 512;

export const PteFlag = { READ: 1, WRITE: 2, DIRTY: 4 } as const;

interface Table {
  readonly level: number;
  /** Physical granule + 1 of a leaf; 0 for none. */
  readonly leaves: Float64Array;
  readonly flags: Uint8Array;
  readonly children: (Table | undefined)[] | undefined;
  /** Leaves and children in this table. */
  live: number;
  /** Dirty leaves in this table and below. */
  dirty: number;
}

function makeTable(level: number): Table {
  return {
    level,
    leaves: new Float64Array(ENTRIES),
    flags: new Uint8Array(ENTRIES),
    children: level === 0 ? undefined : new Array<Table | undefined>(ENTRIES).fill(undefined),
    live: 0,
    dirty: 0,
  };
}

export interface PageTableFormat {
  /** log2 of the granule in bytes: 11 for the mock, 12 for the others. */
  readonly granuleShift: number;
  /** Levels that may hold leaves: 0 for the granule, 1 for 512 granules, … */
  readonly leafLevels: readonly number[];
}

export class PageTable {
  readonly granuleShift: number;
  readonly #leafLevels: readonly number[];
  readonly #root: Table;
  readonly #path: (Table | undefined)[];
  /** Result of the last `walk`: physical granule, flags, and how many granules from it on lie in the same leaf. */
  hitGranule = 0;
  hitFlags = 0;
  hitSpan = 0;
  /** Raised whenever translations may have gone or changed; a cached walk of another value is stale. */
  generation = 0;

  constructor(format: PageTableFormat) {
    this.granuleShift = format.granuleShift;
    this.#leafLevels = [...format.leafLevels].sort((a, b) => b - a);
    const levels = Math.ceil((64 - format.granuleShift) / BITS);
    this.#root = makeTable(levels - 1);
    this.#path = new Array<Table | undefined>(levels).fill(undefined);
  }

  /**
   * Maps `count` granules from `at` to `physical`, in leaves of at most `maxLeafGranules`. False when something is there
   * already; then nothing changed.
   */
  map(at: number, physical: number, count: number, flags: number, maxLeafGranules: number): boolean {
    let g = at;
    let p = physical;
    let left = count;
    while (left > 0) {
      const level = this.#bestLevel(g, p, left, maxLeafGranules);
      const table = this.#tableFor(g, level);
      if (table === undefined) return this.#undoMap(at, g);
      if (level === 0) {
        const from = g % ENTRIES;
        // As many granule-sized leaves as this table takes, unless a larger leaf becomes possible on the way.
        let n = Math.min(left, ENTRIES - from);
        const bigger = this.#nextBigBoundary(g, p, left, maxLeafGranules);
        if (bigger < n) n = bigger;
        for (let i = from; i < from + n; i++) if (table.leaves[i] !== 0) return this.#undoMap(at, g);
        for (let i = from; i < from + n; i++) {
          table.leaves[i] = p + 1 + (i - from);
          table.flags[i] = flags;
        }
        table.live += n;
        g += n;
        p += n;
        left -= n;
        continue;
      }
      const span = ENTRIES ** level;
      const index = Math.floor(g / span) % ENTRIES;
      if (table.leaves[index] !== 0 || table.children![index] !== undefined) return this.#undoMap(at, g);
      table.leaves[index] = p + 1;
      table.flags[index] = flags;
      table.live++;
      g += span;
      p += span;
      left -= span;
    }
    return true;
  }

  #undoMap(from: number, to: number): false {
    if (to > from) this.#unmapBelow(this.#root, from, to);
    return false;
  }

  /** Removes the leaves of `count` granules from `at`; holes are fine, a leaf that sticks out is our mistake. */
  unmap(at: number, count: number): void {
    this.generation++;
    this.#unmapBelow(this.#root, at, at + count);
  }

  /** Looks `at` up; false when nothing is there. */
  walk(at: number): boolean {
    let table = this.#root;
    for (;;) {
      const span = ENTRIES ** table.level;
      const index = Math.floor(at / span) % ENTRIES;
      const leaf = table.leaves[index]!;
      if (leaf !== 0) {
        const inside = at % span;
        this.hitGranule = leaf - 1 + inside;
        this.hitFlags = table.flags[index]!;
        this.hitSpan = span - inside;
        return true;
      }
      const child = table.children?.[index];
      if (child === undefined) return false;
      table = child;
    }
  }

  /** Sets the dirty bit of the leaf at `at`; false when nothing is there or it may not be written. */
  setDirty(at: number): boolean {
    let table = this.#root;
    let depth = 0;
    for (;;) {
      this.#path[depth++] = table;
      const index = Math.floor(at / ENTRIES ** table.level) % ENTRIES;
      if (table.leaves[index] !== 0) {
        const flags = table.flags[index]!;
        if ((flags & PteFlag.WRITE) === 0) return false;
        if ((flags & PteFlag.DIRTY) === 0) {
          table.flags[index] = flags | PteFlag.DIRTY;
          for (let i = 0; i < depth; i++) this.#path[i]!.dirty++;
        }
        return true;
      }
      const child = table.children?.[index];
      if (child === undefined) return false;
      table = child;
    }
  }

  /** Reports the dirty leaves of `count` granules from `at`, and makes them clean if told to. */
  readDirty(at: number, count: number, clear: boolean, report: (at: number, count: number) => void): void {
    if (clear) this.generation++;
    this.#dirtyBelow(this.#root, at, at + count, clear, report);
  }

  /** Visits the leaves in ascending order: where, to what, how many granules, flags. */
  eachLeaf(visit: (at: number, granule: number, count: number, flags: number) => void): void {
    this.#leavesBelow(this.#root, 0, visit);
  }

  #leavesBelow(
    table: Table,
    base: number,
    visit: (at: number, granule: number, count: number, flags: number) => void,
  ): void {
    const span = ENTRIES ** table.level;
    for (let i = 0; i < ENTRIES; i++) {
      if (table.leaves[i] !== 0) visit(base + i * span, table.leaves[i]! - 1, span, table.flags[i]!);
      const child = table.children?.[i];
      if (child !== undefined) this.#leavesBelow(child, base + i * span, visit);
    }
  }

  /** True when nothing is mapped. */
  get isEmpty(): boolean {
    return this.#root.live === 0;
  }

  #bestLevel(g: number, p: number, left: number, maxLeaf: number): number {
    for (let i = 0; i < this.#leafLevels.length; i++) {
      const level = this.#leafLevels[i]!;
      const span = ENTRIES ** level;
      if (span <= maxLeaf && span <= left && g % span === 0 && p % span === 0) return level;
    }
    return 0;
  }

  /** Granules until `g` and `p` are both aligned for the smallest large leaf; Infinity when they never are. */
  #nextBigBoundary(g: number, p: number, left: number, maxLeaf: number): number {
    for (let i = this.#leafLevels.length - 1; i >= 0; i--) {
      const level = this.#leafLevels[i]!;
      if (level === 0) continue;
      const span = ENTRIES ** level;
      if (span > maxLeaf || g % span !== p % span) return Infinity;
      const until = (span - (g % span)) % span;
      return until > 0 && left - until >= span ? until : Infinity;
    }
    return Infinity;
  }

  /** The table of a level that covers `g`; undefined when a large leaf is in the way. */
  #tableFor(g: number, level: number): Table | undefined {
    let table = this.#root;
    while (table.level > level) {
      const index = Math.floor(g / ENTRIES ** table.level) % ENTRIES;
      let child = table.children![index];
      if (child === undefined) {
        if (table.leaves[index] !== 0) return undefined;
        child = makeTable(table.level - 1);
        table.children![index] = child;
        table.live++;
      }
      table = child;
    }
    return table;
  }

  /** Returns how many dirty leaves went. */
  #unmapBelow(table: Table, from: number, to: number): number {
    const span = ENTRIES ** table.level;
    const reach = span * ENTRIES;
    const base = Math.floor(from / reach) * reach;
    const first = Math.floor((from - base) / span);
    const last = Math.min(ENTRIES - 1, Math.floor((to - 1 - base) / span));
    let gone = 0;
    for (let i = first; i <= last; i++) {
      const start = base + i * span;
      if (table.leaves[i] !== 0) {
        assert(start >= from && start + span <= to, "a large page is unmapped whole", start);
        if ((table.flags[i]! & PteFlag.DIRTY) !== 0) gone++;
        table.leaves[i] = 0;
        table.flags[i] = 0;
        table.live--;
        continue;
      }
      const child = table.children?.[i];
      if (child === undefined) continue;
      gone += this.#unmapBelow(child, Math.max(from, start), Math.min(to, start + span));
      if (child.live === 0) {
        table.children![i] = undefined;
        table.live--;
      }
    }
    table.dirty -= gone;
    return gone;
  }

  /** Returns how many leaves became clean. */
  #dirtyBelow(
    table: Table,
    from: number,
    to: number,
    clear: boolean,
    report: (at: number, count: number) => void,
  ): number {
    if (table.dirty === 0) return 0;
    const span = ENTRIES ** table.level;
    const reach = span * ENTRIES;
    const base = Math.floor(from / reach) * reach;
    const first = Math.floor((from - base) / span);
    const last = Math.min(ENTRIES - 1, Math.floor((to - 1 - base) / span));
    let cleaned = 0;
    for (let i = first; i <= last; i++) {
      const start = base + i * span;
      if (table.leaves[i] !== 0) {
        if ((table.flags[i]! & PteFlag.DIRTY) === 0) continue;
        // Dirty neighbours are reported as one; the flag is only ever set on a leaf.
        let end = i;
        while (end < last && (table.flags[end + 1]! & PteFlag.DIRTY) !== 0) end++;
        const a = Math.max(start, from);
        report(a, Math.min(base + (end + 1) * span, to) - a);
        if (clear) {
          for (let n = i; n <= end; n++) table.flags[n]! &= ~PteFlag.DIRTY;
          cleaned += end - i + 1;
        }
        i = end;
        continue;
      }
      const child = table.children?.[i];
      if (child === undefined) continue;
      cleaned += this.#dirtyBelow(child, Math.max(from, start), Math.min(to, start + span), clear, report);
    }
    table.dirty -= cleaned;
    return cleaned;
  }
}
