// hot: bench/boot.ts
// Writes the blocks of small loops several times, one behind the other: so the loop's checks come once for several times round,
// and accesses that follow each other in memory are in one group (`access-groups.ts`).
import type { LoopNest } from "./loop-nest.ts";
import { blockLimit, copiedLimit, type RegionFormer } from "./region-former.ts";

/** What a loop has that is written several times: with more ways through it and out of it, that gains nothing. */
const longestLoop = 24;
const mostBlocks = 2;
/** Instructions of all copies of a loop. */
const unrolledInstructions = 40;
const mostCopies = 4;

export function unroll(former: RegionFormer, nest: LoopNest): void {
  let room = copiedLimit;
  for (let loop = 0; loop < nest.count; loop++) {
    if (nest.isOuter[loop] === 1) continue;
    const length = lengthOf(former, nest, loop);
    if (length === 0) continue;
    const times = Math.min(mostCopies, Math.floor(unrolledInstructions / length));
    const size = nest.sizeOf(loop);
    if (times < 2 || former.blockCount + size * (times - 1) > blockLimit || length * (times - 1) > room) continue;
    room -= length * (times - 1);
    copy(former, nest, loop, times);
  }
}

/** How many instructions are in a loop, or 0 when it is not one to write several times. */
function lengthOf(former: RegionFormer, nest: LoopNest, loop: number): number {
  let length = 0;
  if (nest.sizeOf(loop) > mostBlocks) return 0;
  const page = former.page[former.first[nest.header[loop]!]!]!;
  for (let i = 0; i < nest.sizeOf(loop); i++) {
    const block = nest.member(loop, i);
    const first = former.first[block]!;
    length += former.length[block]!;
    if (length > longestLoop || former.page[first] !== page || former.otherPage[first]! >= 0) return 0;
  }
  return length;
}

function copy(former: RegionFormer, nest: LoopNest, loop: number, times: number): void {
  const size = nest.sizeOf(loop);
  const header = nest.header[loop]!;
  const base = former.blockCount;
  // The number of a block's copy, from 1 on, or of the block itself.
  const copied = (place: number, time: number): number =>
    time === 0 || time === times ? nest.member(loop, place) : base + (time - 1) * size + place;
  const placeOf = (block: number): number => {
    for (let place = 0; place < size; place++) if (nest.member(loop, place) === block) return place;
    return -1;
  };
  const goOn = (next: number, time: number): number => {
    const place = next < 0 ? -1 : placeOf(next);
    if (place < 0) return next;
    return copied(place, next === header ? time + 1 : time);
  };
  for (let time = times - 1; time >= 0; time--) {
    for (let place = 0; place < size; place++) {
      const block = nest.member(loop, place);
      const to = copied(place, time);
      if (time > 0) former.copyBlock(block, to);
      nest.of[to] = loop;
      // From the last to the first, so that the block itself comes last.
      former.onward[to] = goOn(former.onward[block]!, time);
      former.taken[to] = goOn(former.taken[block]!, time);
    }
  }
}
