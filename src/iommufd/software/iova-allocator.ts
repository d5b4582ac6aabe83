// Chooses an IOVA: the first free place, ascending, that keeps the source's alignment (so that large pages stay possible).
import { Errno } from "../uapi/index.ts";
import { PAGE_SIZE } from "./frames.ts";
import type { IntervalTree } from "./interval-tree.ts";

export const TOP: bigint = 0xffff_ffff_ffff_ffffn;
const PAGE = BigInt(PAGE_SIZE);
const HUGE_PAGE = 0x20_0000n;
const LOWEST = PAGE;
const HIGHEST: bigint = TOP - PAGE;

/** Adjacent or overlapping intervals of a tree as one, clipped to [from, to], ascending. */
export function* spans(
  tree: IntervalTree<unknown>,
  from: bigint,
  to: bigint,
): Generator<{ first: bigint; last: bigint }> {
  let n = tree.first(from, to);
  while (n !== undefined) {
    const first = n.start < from ? from : n.start;
    let last = n.last;
    for (;;) {
      n = tree.next(n, from, to);
      if (n === undefined || (last !== TOP && n.start > last + 1n)) break;
      if (n.last > last) last = n.last;
    }
    yield { first, last: last > to ? to : last };
  }
}

/** The free ranges between a tree's intervals in [from, to], ascending. */
export function* holes(
  tree: IntervalTree<unknown>,
  from: bigint,
  to: bigint,
): Generator<{ first: bigint; last: bigint }> {
  let at = from;
  for (const used of spans(tree, from, to)) {
    if (used.first > at) yield { first: at, last: used.first - 1n };
    if (used.last >= to) return;
    at = used.last + 1n;
  }
  yield { first: at, last: to };
}

/** Where a block would start in [first, last]; undefined when it does not fit. The last byte of the space stays free. */
function place(first: bigint, last: bigint, length: bigint, alignment: bigint, pageOffset: bigint): bigint | undefined {
  const up = first + alignment - 1n;
  if (up > TOP) return undefined;
  const at = (up & ~(alignment - 1n)) | pageOffset;
  return at >= last || last - at < length - 1n ? undefined : at;
}

function roundUpToPowerOfTwo(n: bigint): bigint {
  return n <= 1n ? 1n : 1n << BigInt((n - 1n).toString(2).length);
}

export interface IovaRequest {
  readonly areas: IntervalTree<unknown>;
  readonly reserved: IntervalTree<unknown>;
  readonly allowed: IntervalTree<unknown>;
  /** Address or file offset of the source: its low bits are kept. */
  readonly source: bigint;
  readonly lengthBytes: bigint;
  readonly iovaAlignment: bigint;
}

/** The IOVA, or a negative errno: -EOVERFLOW, -EINVAL (alignment), -ENOSPC. */
export function allocateIova(request: IovaRequest): bigint | number {
  const { areas, reserved, allowed, source, lengthBytes } = request;
  if (lengthBytes === 0n || lengthBytes >= TOP / 2n) return -Errno.EOVERFLOW;
  let alignment = roundUpToPowerOfTwo(lengthBytes);
  const lowestBit = source & -source;
  if (source !== 0n && lowestBit < alignment) alignment = lowestBit;
  if (alignment > HUGE_PAGE) alignment = HUGE_PAGE;
  if (alignment < request.iovaAlignment) return -Errno.EINVAL;
  const pageOffset = source % PAGE;

  const windows = allowed.isEmpty ? [{ first: LOWEST, last: HIGHEST }] : spans(allowed, LOWEST, HIGHEST);
  for (const window of windows) {
    const start = place(window.first, window.last, lengthBytes, alignment, pageOffset);
    if (start === undefined) continue;
    for (const hole of holes(reserved, start, window.last)) {
      const found = areas.findGap(hole.first, hole.last, lengthBytes, (first, last) =>
        place(first, last, lengthBytes, alignment, pageOffset),
      );
      if (found !== undefined) return found;
    }
  }
  return -Errno.ENOSPC;
}
