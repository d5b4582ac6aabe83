// hot: bench/iommufd-map.ts
// Intervals [start, last] of 64-bit addresses in an AVL tree ordered by start. Each node knows the greatest end and the
// widest gap below it, so that overlap, successor and free-range searches take a logarithmic number of steps. Nodes are
// 64-byte records of one typed array (a cache line each): with a million intervals the walk is all cache misses.

/** An interval in a tree. */
export interface IntervalNode<T> {
  readonly start: bigint;
  readonly last: bigint;
  readonly value: T;
  /** Its record; the tree's own. */
  readonly slot: number;
}

// Words of a record. Addresses are two words each, low first; GAP is a double at word 12.
const START = 0;
const LAST = 2;
const LEFT = 4;
const RIGHT = 5;
const HEIGHT = 6;
const ORDER = 7;
const MIN_START = 8;
const MAX_LAST = 10;
const GAP = 12;
const WORDS = 16;

const TOP = 0xffff_ffff_ffff_ffffn;
const LOW_MASK = 0xffff_ffffn;
const TWO_32 = 2 ** 32;
/** Gaps are doubles, which round past 2^53: a search looks for a little less than it needs. */
const GAP_SLACK = 1 - 2 ** -48;
const MAX_DEPTH = 64;

export class IntervalTree<T> {
  #words: Uint32Array = new Uint32Array(8 * WORDS);
  #gaps: Float64Array = new Float64Array(this.#words.buffer);
  readonly #nodes: (IntervalNode<T> | undefined)[] = [undefined];
  readonly #free: number[] = [];
  readonly #path: Int32Array = new Int32Array(MAX_DEPTH);
  /** 0 stands for no node. */
  #root = 0;
  #nextOrder = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get isEmpty(): boolean {
    return this.#root === 0;
  }

  insert(start: bigint, last: bigint, value: T): IntervalNode<T> {
    const slot = this.#newSlot();
    const node: IntervalNode<T> = { start, last, value, slot };
    this.#nodes[slot] = node;
    const w = this.#words;
    const base = slot * WORDS;
    w.fill(0, base, base + WORDS);
    w[base + START] = Number(start & LOW_MASK);
    w[base + START + 1] = Number(start >> 32n);
    w[base + LAST] = Number(last & LOW_MASK);
    w[base + LAST + 1] = Number(last >> 32n);
    w[base + ORDER] = this.#nextOrder++;
    this.#refresh(slot);
    this.#size++;
    let depth = 0;
    let at = this.#root;
    while (at !== 0) {
      this.#path[depth++] = at;
      at = w[at * WORDS + (this.#before(slot, at) ? LEFT : RIGHT)]!;
    }
    if (depth === 0) this.#root = slot;
    else this.#link(this.#path[depth - 1]!, 0, slot, this.#before(slot, this.#path[depth - 1]!));
    this.#climb(depth - 1, -1);
    return node;
  }

  remove(node: IntervalNode<T>): void {
    const w = this.#words;
    const slot = node.slot;
    const path = this.#path;
    let depth = 0;
    for (let at = this.#root; at !== slot; at = w[at * WORDS + (this.#before(slot, at) ? LEFT : RIGHT)]!) {
      path[depth++] = at;
    }
    const left = w[slot * WORDS + LEFT]!;
    const right = w[slot * WORDS + RIGHT]!;
    const parentDepth = depth - 1;
    let heir = left === 0 ? right : left;
    let mustReach = -1;
    if (left !== 0 && right !== 0) {
      // The next in order takes the place.
      mustReach = depth;
      const place = depth++;
      heir = right;
      while (w[heir * WORDS + LEFT]! !== 0) {
        path[depth++] = heir;
        heir = w[heir * WORDS + LEFT]!;
      }
      if (heir !== right) {
        w[path[depth - 1]! * WORDS + LEFT] = w[heir * WORDS + RIGHT]!;
        w[heir * WORDS + RIGHT] = right;
      }
      w[heir * WORDS + LEFT] = left;
      path[place] = heir;
    }
    if (parentDepth < 0) this.#root = heir;
    else this.#link(path[parentDepth]!, slot, heir, false);
    this.#climb(depth - 1, mustReach);
    this.#nodes[slot] = undefined;
    this.#free.push(slot);
    this.#size--;
  }

  /** The first interval, by start, that touches [start, last]. */
  first(start: bigint, last: bigint): IntervalNode<T> | undefined {
    const w = this.#words;
    const startLow = Number(start & LOW_MASK);
    const startHigh = Number(start >> 32n);
    const lastLow = Number(last & LOW_MASK);
    const lastHigh = Number(last >> 32n);
    let at = this.#root;
    while (at !== 0) {
      const left = w[at * WORDS + LEFT]!;
      if (left !== 0 && !below(w, left * WORDS + MAX_LAST, startLow, startHigh)) {
        // Something to the left reaches `start`; it is the answer unless it begins past `last`.
        at = left;
      } else if (above(w, at * WORDS + START, lastLow, lastHigh)) {
        return undefined;
      } else if (!below(w, at * WORDS + LAST, startLow, startHigh)) {
        return this.#nodes[at];
      } else {
        at = w[at * WORDS + RIGHT]!;
      }
    }
    return undefined;
  }

  /** The interval after `node`, by start, that touches [start, last]. */
  next(node: IntervalNode<T>, start: bigint, last: bigint): IntervalNode<T> | undefined {
    return this.#nodes[this.#nextBelow(this.#root, node.slot, start, last)];
  }

  #nextBelow(at: number, after: number, start: bigint, last: bigint): number {
    if (at === 0) return 0;
    const w = this.#words;
    const base = at * WORDS;
    if (below(w, base + MAX_LAST, Number(start & LOW_MASK), Number(start >> 32n))) return 0;
    if (above(w, base + MIN_START, Number(last & LOW_MASK), Number(last >> 32n))) return 0;
    if (this.#before(after, at)) {
      const found = this.#nextBelow(w[base + LEFT]!, after, start, last);
      if (found !== 0) return found;
      const node = this.#nodes[at]!;
      if (node.start > last) return 0;
      if (node.last >= start) return at;
    }
    return this.#nextBelow(w[base + RIGHT]!, after, start, last);
  }

  /**
   * Visits, in ascending order, the free ranges of at least `lengthBytes` inside [from, to] of a tree without overlaps.
   * Stops at the first one that `accept` takes and returns what it returned.
   */
  findGap(
    from: bigint,
    to: bigint,
    lengthBytes: bigint,
    accept: (first: bigint, last: bigint) => bigint | undefined,
  ): bigint | undefined {
    if (from > to) return undefined;
    const search: GapSearch = { from, to, lengthBytes, least: Number(lengthBytes) * GAP_SLACK, accept };
    return this.#gapBelow(this.#root, 0n, TOP, search);
  }

  /** `lo` and `hi` bound the free space around this subtree. */
  #gapBelow(at: number, lo: bigint, hi: bigint, search: GapSearch): bigint | undefined {
    if (lo > hi || lo > search.to || hi < search.from) return undefined;
    if (at === 0) {
      const first = lo > search.from ? lo : search.from;
      const last = hi < search.to ? hi : search.to;
      return last - first >= search.lengthBytes - 1n ? search.accept(first, last) : undefined;
    }
    const w = this.#words;
    const base = at * WORDS;
    if (this.#gaps[(base + GAP) >> 1]! < search.least) {
      const ahead = w[base + MIN_START]! + w[base + MIN_START + 1]! * TWO_32 - Number(lo);
      const behind = Number(hi) - (w[base + MAX_LAST]! + w[base + MAX_LAST + 1]! * TWO_32);
      if (ahead < search.least && behind < search.least) return undefined;
    }
    const node = this.#nodes[at]!;
    if (node.start > lo) {
      const found = this.#gapBelow(w[base + LEFT]!, lo, node.start - 1n, search);
      if (found !== undefined) return found;
    }
    return node.last < hi ? this.#gapBelow(w[base + RIGHT]!, node.last + 1n, hi, search) : undefined;
  }

  #newSlot(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const slot = this.#nodes.length;
    this.#nodes.push(undefined);
    if ((slot + 1) * WORDS > this.#words.length) {
      const grown = new Uint32Array(this.#words.length * 2);
      grown.set(this.#words);
      this.#words = grown;
      this.#gaps = new Float64Array(grown.buffer);
    }
    return slot;
  }

  /** True when `a` comes before `b`: by start, then by order of insertion. */
  #before(a: number, b: number): boolean {
    const w = this.#words;
    const x = a * WORDS;
    const y = b * WORDS;
    if (w[x + START + 1] !== w[y + START + 1]) return w[x + START + 1]! < w[y + START + 1]!;
    if (w[x + START] !== w[y + START]) return w[x + START]! < w[y + START]!;
    return w[x + ORDER]! < w[y + ORDER]!;
  }

  /** Puts `now` where `parent` has `old`; for a new leaf (`old` 0) on the side that `onLeft` says. */
  #link(parent: number, old: number, now: number, onLeft: boolean): void {
    const w = this.#words;
    const isLeft = old === 0 ? onLeft : w[parent * WORDS + LEFT] === old;
    w[parent * WORDS + (isLeft ? LEFT : RIGHT)] = now;
  }

  /** Mends the path from `depth` up; stops where nothing changes any more, but not below `mustReach`. */
  #climb(depth: number, mustReach: number): void {
    for (let i = depth; i >= 0; i--) {
      const at = this.#path[i]!;
      const lean = this.#heightOf(at, LEFT) - this.#heightOf(at, RIGHT);
      if (lean > 1 || lean < -1) {
        const now = lean > 1 ? this.#leanLeft(at) : this.#leanRight(at);
        if (i === 0) this.#root = now;
        else this.#link(this.#path[i - 1]!, at, now, false);
      } else if (!this.#refresh(at) && (mustReach < 0 || i <= mustReach)) {
        return;
      }
    }
  }

  #heightOf(at: number, side: number): number {
    const child = this.#words[at * WORDS + side]!;
    return child === 0 ? 0 : this.#words[child * WORDS + HEIGHT]!;
  }

  #leanLeft(at: number): number {
    const left = this.#words[at * WORDS + LEFT]!;
    if (this.#heightOf(left, LEFT) < this.#heightOf(left, RIGHT)) {
      this.#words[at * WORDS + LEFT] = this.#rotate(left, RIGHT, LEFT);
    }
    return this.#rotate(at, LEFT, RIGHT);
  }

  #leanRight(at: number): number {
    const right = this.#words[at * WORDS + RIGHT]!;
    if (this.#heightOf(right, RIGHT) < this.#heightOf(right, LEFT)) {
      this.#words[at * WORDS + RIGHT] = this.#rotate(right, LEFT, RIGHT);
    }
    return this.#rotate(at, RIGHT, LEFT);
  }

  /** Lifts the child on side `up`; it takes `at` as its child on the other side. */
  #rotate(at: number, up: number, down: number): number {
    const w = this.#words;
    const child = w[at * WORDS + up]!;
    w[at * WORDS + up] = w[child * WORDS + down]!;
    w[child * WORDS + down] = at;
    this.#refresh(at);
    this.#refresh(child);
    return child;
  }

  /** Recomputes what a node knows of its subtree; true when something changed. */
  #refresh(at: number): boolean {
    const w = this.#words;
    const base = at * WORDS;
    const left = w[base + LEFT]! * WORDS;
    const right = w[base + RIGHT]! * WORDS;
    let height = 0;
    let minLow = w[base + START]!;
    let minHigh = w[base + START + 1]!;
    let maxLow = w[base + LAST]!;
    let maxHigh = w[base + LAST + 1]!;
    let gap = 0;
    if (left !== 0) {
      height = w[left + HEIGHT]!;
      minLow = w[left + MIN_START]!;
      minHigh = w[left + MIN_START + 1]!;
      gap = Math.max(this.#gaps[(left + GAP) >> 1]!, distance(w, left + MAX_LAST, base + START));
      if (!below(w, left + MAX_LAST, maxLow, maxHigh)) {
        maxLow = w[left + MAX_LAST]!;
        maxHigh = w[left + MAX_LAST + 1]!;
      }
    }
    if (right !== 0) {
      height = Math.max(height, w[right + HEIGHT]!);
      gap = Math.max(gap, this.#gaps[(right + GAP) >> 1]!, distance(w, base + LAST, right + MIN_START));
      if (!below(w, right + MAX_LAST, maxLow, maxHigh)) {
        maxLow = w[right + MAX_LAST]!;
        maxHigh = w[right + MAX_LAST + 1]!;
      }
    }
    height++;
    const changed =
      w[base + HEIGHT] !== height ||
      w[base + MIN_START] !== minLow ||
      w[base + MIN_START + 1] !== minHigh ||
      w[base + MAX_LAST] !== maxLow ||
      w[base + MAX_LAST + 1] !== maxHigh ||
      this.#gaps[(base + GAP) >> 1] !== gap;
    if (changed) {
      w[base + HEIGHT] = height;
      w[base + MIN_START] = minLow;
      w[base + MIN_START + 1] = minHigh;
      w[base + MAX_LAST] = maxLow;
      w[base + MAX_LAST + 1] = maxHigh;
      this.#gaps[(base + GAP) >> 1] = gap;
    }
    return changed;
  }
}

interface GapSearch {
  readonly from: bigint;
  readonly to: bigint;
  readonly lengthBytes: bigint;
  readonly least: number;
  readonly accept: (first: bigint, last: bigint) => bigint | undefined;
}

/** True when the address at word `at` is below high:low. */
function below(w: Uint32Array, at: number, low: number, high: number): boolean {
  return w[at + 1] === high ? w[at]! < low : w[at + 1]! < high;
}

/** True when the address at word `at` is above high:low. */
function above(w: Uint32Array, at: number, low: number, high: number): boolean {
  return w[at + 1] === high ? w[at]! > low : w[at + 1]! > high;
}

/** Free bytes between the end at word `last` and the start at word `next`; 0 when they touch or overlap. */
function distance(w: Uint32Array, last: number, next: number): number {
  const bytes = (w[next + 1]! - w[last + 1]!) * TWO_32 + (w[next]! - w[last]!) - 1;
  return bytes > 0 ? bytes : 0;
}
