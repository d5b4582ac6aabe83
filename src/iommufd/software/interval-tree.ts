// hot: bench/iommufd-map.ts
// Intervals [start, last] of 64-bit addresses in an AVL tree ordered by start. Each node knows the greatest end and the
// widest gap below it, so that overlap, successor and free-range searches take a logarithmic number of steps.

export interface IntervalNode<T> {
  readonly start: bigint;
  readonly last: bigint;
  readonly value: T;
  /** The tree's own. */
  left: IntervalNode<T> | undefined;
  right: IntervalNode<T> | undefined;
  height: number;
  order: number;
  minStart: bigint;
  maxLast: bigint;
  maxGap: bigint;
}

/** Free bytes between the end of one interval and the start of the next; 0 when they touch or overlap. */
function gapBetween(last: bigint, nextStart: bigint): bigint {
  return nextStart > last ? nextStart - last - 1n : 0n;
}

function refresh<T>(n: IntervalNode<T>): void {
  const l = n.left;
  const r = n.right;
  const lh = l === undefined ? 0 : l.height;
  const rh = r === undefined ? 0 : r.height;
  n.height = (lh > rh ? lh : rh) + 1;
  let maxLast = n.last;
  let gap = 0n;
  if (l !== undefined) {
    n.minStart = l.minStart;
    if (l.maxLast > maxLast) maxLast = l.maxLast;
    gap = l.maxGap;
    const between = gapBetween(l.maxLast, n.start);
    if (between > gap) gap = between;
  } else {
    n.minStart = n.start;
  }
  if (r !== undefined) {
    if (r.maxLast > maxLast) maxLast = r.maxLast;
    if (r.maxGap > gap) gap = r.maxGap;
    const between = gapBetween(n.last, r.minStart);
    if (between > gap) gap = between;
  }
  n.maxLast = maxLast;
  n.maxGap = gap;
}

function rotateRight<T>(n: IntervalNode<T>): IntervalNode<T> {
  const l = n.left!;
  n.left = l.right;
  l.right = n;
  refresh(n);
  refresh(l);
  return l;
}

function rotateLeft<T>(n: IntervalNode<T>): IntervalNode<T> {
  const r = n.right!;
  n.right = r.left;
  r.left = n;
  refresh(n);
  refresh(r);
  return r;
}

function heightOf<T>(n: IntervalNode<T> | undefined): number {
  return n === undefined ? 0 : n.height;
}

function balance<T>(n: IntervalNode<T>): IntervalNode<T> {
  const lean = heightOf(n.left) - heightOf(n.right);
  if (lean > 1) {
    const l = n.left!;
    if (heightOf(l.left) < heightOf(l.right)) n.left = rotateLeft(l);
    return rotateRight(n);
  }
  if (lean < -1) {
    const r = n.right!;
    if (heightOf(r.right) < heightOf(r.left)) n.right = rotateRight(r);
    return rotateLeft(n);
  }
  refresh(n);
  return n;
}

/** True when `a` comes before `b`: by start, then by order of insertion. */
function before<T>(a: IntervalNode<T>, b: IntervalNode<T>): boolean {
  return a.start < b.start || (a.start === b.start && a.order < b.order);
}

function insertBelow<T>(at: IntervalNode<T> | undefined, n: IntervalNode<T>): IntervalNode<T> {
  if (at === undefined) return n;
  if (before(n, at)) at.left = insertBelow(at.left, n);
  else at.right = insertBelow(at.right, n);
  return balance(at);
}

function leftmost<T>(n: IntervalNode<T>): IntervalNode<T> {
  let at = n;
  while (at.left !== undefined) at = at.left;
  return at;
}

function removeBelow<T>(at: IntervalNode<T> | undefined, n: IntervalNode<T>): IntervalNode<T> | undefined {
  if (at === undefined) return undefined;
  if (at !== n) {
    if (before(n, at)) at.left = removeBelow(at.left, n);
    else at.right = removeBelow(at.right, n);
    return balance(at);
  }
  if (at.left === undefined) return at.right;
  if (at.right === undefined) return at.left;
  const heir = leftmost(at.right);
  heir.right = removeBelow(at.right, heir);
  heir.left = at.left;
  return balance(heir);
}

export class IntervalTree<T> {
  #root: IntervalNode<T> | undefined;
  #nextOrder = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get isEmpty(): boolean {
    return this.#root === undefined;
  }

  insert(start: bigint, last: bigint, value: T): IntervalNode<T> {
    const n: IntervalNode<T> = {
      start,
      last,
      value,
      left: undefined,
      right: undefined,
      height: 1,
      order: this.#nextOrder++,
      minStart: start,
      maxLast: last,
      maxGap: 0n,
    };
    this.#root = insertBelow(this.#root, n);
    this.#size++;
    return n;
  }

  remove(n: IntervalNode<T>): void {
    this.#root = removeBelow(this.#root, n);
    this.#size--;
  }

  /** The first interval, by start, that touches [start, last]. */
  first(start: bigint, last: bigint): IntervalNode<T> | undefined {
    let at = this.#root;
    while (at !== undefined && at.maxLast >= start) {
      if (at.left !== undefined && at.left.maxLast >= start) {
        // Something to the left reaches `start`; it is the answer unless it begins past `last`.
        at = at.left;
      } else if (at.start > last) {
        return undefined;
      } else if (at.last >= start) {
        return at;
      } else {
        at = at.right;
      }
    }
    return undefined;
  }

  /** The interval after `n`, by start, that touches [start, last]. */
  next(n: IntervalNode<T>, start: bigint, last: bigint): IntervalNode<T> | undefined {
    return this.#nextBelow(this.#root, n, start, last);
  }

  #nextBelow(
    at: IntervalNode<T> | undefined,
    n: IntervalNode<T>,
    start: bigint,
    last: bigint,
  ): IntervalNode<T> | undefined {
    if (at === undefined || at.maxLast < start || at.minStart > last) return undefined;
    if (before(n, at)) {
      const found = this.#nextBelow(at.left, n, start, last);
      if (found !== undefined) return found;
      if (at.start > last) return undefined;
      if (at.last >= start) return at;
    }
    return this.#nextBelow(at.right, n, start, last);
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
    if (this.#root === undefined) return this.#offer(from, to, from, to, lengthBytes, accept);
    return this.#gapBelow(this.#root, from, to, 0n, TOP, lengthBytes, accept);
  }

  #offer(
    from: bigint,
    to: bigint,
    first: bigint,
    last: bigint,
    lengthBytes: bigint,
    accept: (first: bigint, last: bigint) => bigint | undefined,
  ): bigint | undefined {
    const a = first > from ? first : from;
    const b = last < to ? last : to;
    return a <= b && b - a >= lengthBytes - 1n ? accept(a, b) : undefined;
  }

  /** `lo` and `hi` bound the free space around this subtree. */
  #gapBelow(
    at: IntervalNode<T> | undefined,
    from: bigint,
    to: bigint,
    lo: bigint,
    hi: bigint,
    lengthBytes: bigint,
    accept: (first: bigint, last: bigint) => bigint | undefined,
  ): bigint | undefined {
    if (lo > hi || lo > to || hi < from) return undefined;
    if (at === undefined) return this.#offer(from, to, lo, hi, lengthBytes, accept);
    const ahead = at.minStart > lo ? at.minStart - lo : 0n;
    const after = at.maxLast < hi ? hi - at.maxLast : 0n;
    if (at.maxGap < lengthBytes && ahead < lengthBytes && after < lengthBytes) return undefined;
    if (at.start > lo) {
      const found = this.#gapBelow(at.left, from, to, lo, at.start - 1n, lengthBytes, accept);
      if (found !== undefined) return found;
    }
    if (at.last < hi) return this.#gapBelow(at.right, from, to, at.last + 1n, hi, lengthBytes, accept);
    return undefined;
  }
}

const TOP = 0xffff_ffff_ffff_ffffn;
