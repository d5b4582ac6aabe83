// hot: bench/compile.ts
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

/** The blocks that are written several times at present, the loop's header first. */
const blocks = new Int16Array(mostBlocks);
let blockCount = 0;

export function unroll(former: RegionFormer, nest: LoopNest): void {
  let room = copiedLimit;
  for (let loop = 0; loop < nest.count; loop++) {
    chooseBlocks(former, nest, loop);
    const length = measure(former);
    if (length === 0 || length > longestLoop) continue;
    const times = Math.min(mostCopies, Math.floor(unrolledInstructions / length));
    const before = former.blockCount;
    const added = times - 1;
    if (added < 1 || before + blockCount * added > blockLimit || length * added > room) continue;
    room -= length * added;
    copy(former, times);
    nest.of.fill(loop, before, former.blockCount);
  }
}

/** All blocks of a loop of few; of one that holds more, a header that goes to itself. */
function chooseBlocks(former: RegionFormer, nest: LoopNest, loop: number): void {
  const header = nest.header[loop]!;
  const isSmall = nest.isOuter[loop] === 0 && nest.sizeOf(loop) <= mostBlocks;
  blockCount = 0;
  if (!isSmall && former.onward[header] !== header && former.taken[header] !== header) return;
  blocks[blockCount++] = header;
  if (!isSmall) return;
  for (let i = 0; i < nest.sizeOf(loop); i++) {
    if (nest.member(loop, i) !== header) blocks[blockCount++] = nest.member(loop, i);
  }
}

/** How many instructions are in the blocks, or 0 when they lie in several pages. */
function measure(former: RegionFormer): number {
  let length = 0;
  for (let place = 0; place < blockCount; place++) {
    const first = former.first[blocks[place]!]!;
    if (former.page[first] !== former.page[former.first[blocks[0]!]!] || former.otherPage[first]! >= 0) return 0;
    length += former.length[blocks[place]!]!;
  }
  return length;
}

/** Makes a chain of the blocks and their copies: a way back to the first one leads to that of the next copy. */
function copy(former: RegionFormer, times: number): void {
  const base = former.blockCount;
  // From the last to the first, so that the blocks themselves come last.
  for (let time = times - 1; time >= 0; time--) {
    for (let place = 0; place < blockCount; place++) {
      const block = blocks[place]!;
      const to = numberOf(place, time, times, base);
      if (time > 0) former.copyBlock(block, to);
      former.onward[to] = goOn(former.onward[block]!, time, times, base);
      former.taken[to] = goOn(former.taken[block]!, time, times, base);
    }
  }
}

function numberOf(place: number, time: number, times: number, base: number): number {
  return time === 0 || time === times ? blocks[place]! : base + (time - 1) * blockCount + place;
}

function goOn(next: number, time: number, times: number, base: number): number {
  for (let place = 0; place < blockCount; place++) {
    if (blocks[place] === next) return numberOf(place, place === 0 ? time + 1 : time, times, base);
  }
  return next;
}
