// hot: bench/compile.ts
// The loops of a region and how they lie in each other: strongly connected blocks, then those that are left without their
// header, and so on (B. Steensgaard, "Sequentializing program dependence graphs for irreducible programs", MSR-TR-93-14).
//
// A loop has one header, the only block that it is entered at in the code that is written; ways in at other blocks lead there
// first. So the header is where code comes in by itself; where the region's own entries are the only ways in, the lowest block,
// which compilers mostly make the header.
import { blockLimit, type RegionFormer } from "./region-former.ts";

const nodeLimit = blockLimit + 1;

export class LoopNest {
  count = 0;
  /** Of each loop: its header, the loop around it or -1, how many loops are around it and itself, whether it holds others. */
  readonly header: Int16Array = new Int16Array(nodeLimit);
  readonly parent: Int16Array = new Int16Array(nodeLimit);
  readonly depth: Int16Array = new Int16Array(nodeLimit);
  readonly isOuter: Uint8Array = new Uint8Array(nodeLimit);
  /** The innermost loop of each block, or -1. */
  readonly of: Int16Array = new Int16Array(nodeLimit);

  private readonly former: RegionFormer;
  /** Blocks, those of a loop next to each other: from where and how many. */
  private readonly members: Int16Array = new Int16Array(nodeLimit);
  private readonly from: Int16Array = new Int16Array(nodeLimit);
  private readonly size: Int16Array = new Int16Array(nodeLimit);
  // R. Tarjan, "Depth-first search and linear graph algorithms" (1972), without recursion.
  private readonly index: Int16Array = new Int16Array(nodeLimit);
  private readonly low: Int16Array = new Int16Array(nodeLimit);
  private readonly isOpen: Uint8Array = new Uint8Array(nodeLimit);
  private readonly path: Int16Array = new Int16Array(nodeLimit);
  private readonly progress: Uint8Array = new Uint8Array(nodeLimit);
  private readonly open: Int16Array = new Int16Array(nodeLimit);
  private readonly scratch: Int16Array = new Int16Array(nodeLimit);
  private openCount = 0;
  private pathLength = 0;
  private nextIndex = 0;
  /** Blocks that are entered from blocks outside the loop that is looked at: the loop, plus one. */
  private readonly enteredAs: Int16Array = new Int16Array(nodeLimit);

  constructor(former: RegionFormer) {
    this.former = former;
  }

  /** Finds the loops of what the former holds. */
  find(): void {
    const n = this.former.blockCount;
    this.count = 0;
    this.of.fill(-1, 0, n);
    this.enteredAs.fill(0, 0, n);
    for (let block = 0; block < n; block++) this.members[block] = block;
    this.split(-1, 0, n);
    for (let loop = 0; loop < this.count; loop++) this.split(loop, this.from[loop]!, this.size[loop]!);
  }

  /** How many blocks a loop has, and one of them: not of copies. */
  sizeOf(loop: number): number {
    return this.size[loop]!;
  }

  member(loop: number, place: number): number {
    return this.members[this.from[loop]! + place]!;
  }

  /** How many loops around a block it is not the header of: so many headers a way in at the block passes. */
  headersBefore(block: number): number {
    const loop = this.of[block]!;
    return loop < 0 ? 0 : this.depth[loop]! - (this.header[loop] === block ? 1 : 0);
  }

  /** The header to pass next on the way to a block in `loop` (-1: the region), or the block itself. */
  next(loop: number, block: number): number {
    let inner = -1;
    for (let at = this.of[block]!; at !== loop; at = this.parent[at]!) inner = at;
    return inner < 0 ? block : this.header[inner]!;
  }

  /** The innermost loop that has both blocks, or -1. */
  common(a: number, b: number): number {
    let one = this.of[a]!;
    let other = this.of[b]!;
    while (one !== other) {
      if (one < 0 || (other >= 0 && this.depth[other]! > this.depth[one]!)) other = this.parent[other]!;
      else one = this.parent[one]!;
    }
    return one;
  }

  /** Finds the loops right inside `loop`, whose blocks are `size` members from `from` on. */
  private split(loop: number, from: number, size: number): void {
    const header = loop < 0 ? -1 : this.header[loop]!;
    for (let i = from; i < from + size; i++) this.index[this.members[i]!] = -1;
    this.nextIndex = 0;
    let written = from;
    for (let i = from; i < from + size; i++) {
      const block = this.members[i]!;
      if (block === header || this.index[block] !== -1) continue;
      this.begin(block);
      while (this.pathLength > 0) written = this.step(loop, header, written);
    }
    // What belongs together lies together now, in scratch; the header is in none of the inner loops.
    for (let i = from; i < written; i++) this.members[i] = this.scratch[i]!;
    if (header >= 0) this.members[written] = header;
  }

  private begin(block: number): void {
    this.index[block] = this.nextIndex;
    this.low[block] = this.nextIndex++;
    this.isOpen[block] = 1;
    this.open[this.openCount++] = block;
    this.progress[block] = 0;
    this.path[this.pathLength++] = block;
  }

  private step(loop: number, header: number, written: number): number {
    const { former } = this;
    const block = this.path[this.pathLength - 1]!;
    const edge = this.progress[block]!++;
    if (edge < 2) {
      const next = edge === 0 ? former.onward[block]! : former.taken[block]!;
      if (next < 0 || next === header || this.of[next] !== loop) return written;
      if (this.index[next] === -1) this.begin(next);
      else if (this.isOpen[next] === 1) this.low[block] = Math.min(this.low[block]!, this.index[next]!);
      return written;
    }
    this.pathLength--;
    if (this.pathLength > 0) {
      const before = this.path[this.pathLength - 1]!;
      this.low[before] = Math.min(this.low[before]!, this.low[block]!);
    }
    return this.low[block] === this.index[block] ? this.close(block, loop, written) : written;
  }

  /** `block` is the first of a strongly connected component that is complete. */
  private close(block: number, loop: number, written: number): number {
    const { former, scratch } = this;
    let end = written;
    let member;
    do {
      member = this.open[--this.openCount]!;
      this.isOpen[member] = 0;
      scratch[end++] = member;
    } while (member !== block);
    const isLoop = end - written > 1 || former.onward[block] === block || former.taken[block] === block;
    if (isLoop) this.add(loop, written, end);
    return end;
  }

  private add(parent: number, from: number, end: number): void {
    const loop = this.count++;
    this.parent[loop] = parent;
    this.depth[loop] = parent < 0 ? 1 : this.depth[parent]! + 1;
    this.isOuter[loop] = 0;
    if (parent >= 0) this.isOuter[parent] = 1;
    this.from[loop] = from;
    this.size[loop] = end - from;
    for (let i = from; i < end; i++) this.of[this.scratch[i]!] = loop;
    if (parent < 0) this.noteEntered(loop, 0, this.former.blockCount);
    else this.noteEntered(loop, this.from[parent]!, this.size[parent]!);
    this.header[loop] = this.chooseHeader(loop, from, end);
  }

  private offsetOf(block: number): number {
    return this.former.offset[this.former.first[block]!]!;
  }

  private chooseHeader(loop: number, from: number, end: number): number {
    const { scratch, enteredAs } = this;
    let lowest = -1;
    let lowestEntered = -1;
    for (let i = from; i < end; i++) {
      const block = scratch[i]!;
      if (lowest < 0 || this.offsetOf(block) < this.offsetOf(lowest)) lowest = block;
      if (enteredAs[block] !== loop + 1) continue;
      if (lowestEntered < 0 || this.offsetOf(block) < this.offsetOf(lowestEntered)) lowestEntered = block;
    }
    return lowestEntered < 0 ? lowest : lowestEntered;
  }

  /** Notes which blocks of `loop` the code of its parent goes on at. */
  private noteEntered(loop: number, parentFrom: number, parentSize: number): void {
    const { former, of } = this;
    for (let i = parentFrom; i < parentFrom + parentSize; i++) {
      const block = this.members[i]!;
      if (of[block] === loop) continue;
      const onward = former.onward[block]!;
      const taken = former.taken[block]!;
      if (onward >= 0 && of[onward] === loop) this.enteredAs[onward] = loop + 1;
      if (taken >= 0 && of[taken] === loop) this.enteredAs[taken] = loop + 1;
    }
  }
}
