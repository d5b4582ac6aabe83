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
    const blocks = blocksOf(former, nest, loop);
    const length = lengthOf(former, blocks);
    if (length === 0 || length > longestLoop) continue;
    const times = Math.min(mostCopies, Math.floor(unrolledInstructions / length));
    const added = times - 1;
    if (added < 1 || former.blockCount + blocks.length * added > blockLimit || length * added > room) continue;
    room -= length * added;
    copy(former, blocks, times);
    nest.of.fill(loop, former.blockCount - blocks.length * added, former.blockCount);
  }
}

/** The blocks of a loop to write several times, its header first; of one that holds more, a header that goes to itself. */
function blocksOf(former: RegionFormer, nest: LoopNest, loop: number): readonly number[] {
  const header = nest.header[loop]!;
  if (nest.isOuter[loop] === 0 && nest.sizeOf(loop) <= mostBlocks) {
    const blocks = [header];
    for (let i = 0; i < nest.sizeOf(loop); i++) if (nest.member(loop, i) !== header) blocks.push(nest.member(loop, i));
    return blocks;
  }
  return former.onward[header] === header || former.taken[header] === header ? [header] : [];
}

/** How many instructions are in blocks, or 0 when they lie in several pages. */
function lengthOf(former: RegionFormer, blocks: readonly number[]): number {
  let length = 0;
  for (const block of blocks) {
    const first = former.first[block]!;
    if (former.page[first] !== former.page[former.first[blocks[0]!]!] || former.otherPage[first]! >= 0) return 0;
    length += former.length[block]!;
  }
  return length;
}

/** Makes a chain of the blocks and their copies: a way back to the first one leads to that of the next copy. */
function copy(former: RegionFormer, blocks: readonly number[], times: number): void {
  const base = former.blockCount;
  const numberOf = (place: number, time: number): number =>
    time === 0 || time === times ? blocks[place]! : base + (time - 1) * blocks.length + place;
  const goOn = (next: number, time: number): number => {
    const place = blocks.indexOf(next);
    return place < 0 ? next : numberOf(place, place === 0 ? time + 1 : time);
  };
  // From the last to the first, so that the blocks themselves come last.
  for (let time = times - 1; time >= 0; time--) {
    blocks.forEach((block, place) => {
      const to = numberOf(place, time);
      if (time > 0) former.copyBlock(block, to);
      former.onward[to] = goOn(former.onward[block]!, time);
      former.taken[to] = goOn(former.taken[block]!, time);
    });
  }
}
