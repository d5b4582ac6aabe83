// hot: bench/compile.ts
// Groups of accesses near one address: one look into the TLB finds the host address for all of them when they lie in one page.
// Sound because a translation can change only where a slow path is taken, which ends all groups that are begun.
//
// Looked for in trees of blocks, each behind the end of another one without another way in: the first access of a group comes
// before the others on every path. Addresses are values with a distance: a register's value is followed through copies and
// through additions of immediates.
import { entryOffset } from "../code-cache.ts";
import type { ControlFlow } from "./control-flow.ts";
import { groupLimit } from "./region-locals.ts";
import { blockLimit, emittedLimit, type RegionFormer } from "./region-former.ts";

/** Wider groups cross a page too often: within a block, and where later members may not be reached. */
const spanLimit = 256;
const wideSpanLimit = 64;
const groupsOfRegion = 600;

export class AccessGroups {
  /** Place of each block's first instruction: those of a tree lie together, in the order in which they are written. */
  readonly start: Int16Array = new Int16Array(blockLimit);
  /** Group of the instruction at each place, -1 without one, and how far its access is behind the group's first byte. */
  readonly of: Int16Array = new Int16Array(emittedLimit);
  readonly displacement: Int32Array = new Int32Array(emittedLimit);
  /** Register (as an offset) that the first member goes through, and the group's first byte relative to it. */
  readonly base: Int32Array = new Int32Array(groupsOfRegion);
  readonly fromBase: Int32Array = new Int32Array(groupsOfRegion);
  readonly span: Int32Array = new Int32Array(groupsOfRegion);
  readonly isStore: Uint8Array = new Uint8Array(groupsOfRegion);
  /** Places of the first and the last member, and the number of the local for its host address. */
  readonly first: Int16Array = new Int16Array(groupsOfRegion);
  readonly last: Int16Array = new Int16Array(groupsOfRegion);
  readonly local: Int8Array = new Int8Array(groupsOfRegion);
  /** The tree of each block, and which groups are in a tree: from, and below which. */
  readonly tree: Int16Array = new Int16Array(blockLimit);
  readonly treeFrom: Int16Array = new Int16Array(blockLimit);
  readonly treeEnd: Int16Array = new Int16Array(blockLimit);
  private trees = 0;
  private count = 0;
  private readonly former: RegionFormer;
  private readonly flow: ControlFlow;
  private readonly halves: Uint16Array;
  /** Offset of the register that reads as zero. */
  private readonly zero: number;
  /** Of each group: the value, the least distance from it, the block of the first member. */
  private readonly value: Int32Array = new Int32Array(groupsOfRegion);
  private readonly least: Int32Array = new Int32Array(groupsOfRegion);
  private readonly block: Int16Array = new Int16Array(groupsOfRegion);
  private readonly members: Int16Array = new Int16Array(groupsOfRegion);
  private readonly isOpen: Uint8Array = new Uint8Array(groupsOfRegion);
  private readonly localEnd: Int16Array = new Int16Array(groupLimit);
  private places = 0;
  /** What each register holds: a value's number and the distance from it. */
  private readonly held: Int32Array;
  private readonly distance: Int32Array;
  private values = 0;
  /** What registers held before, for the way back to where paths part. */
  private readonly undo: Int32Array = new Int32Array(3 * emittedLimit);
  private undoCount = 0;

  constructor(
    former: RegionFormer,
    flow: ControlFlow,
    options: { readonly halves: Uint16Array; readonly zero: number; readonly cells: number },
  ) {
    this.former = former;
    this.flow = flow;
    this.halves = options.halves;
    this.zero = options.zero;
    this.held = new Int32Array(options.cells);
    this.distance = new Int32Array(options.cells);
  }

  /** Finds the groups of an analysed region. */
  find(): void {
    const { flow } = this;
    this.count = 0;
    this.places = 0;
    this.trees = 0;
    this.start.fill(-1, 0, this.former.blockCount);
    for (let at = 0; at < flow.sequenceLength; at++) {
      const node = flow.sequence[at]!;
      // What is before a block in its tree is before it in the sequence, too.
      if (node !== flow.root && this.start[node]! < 0) this.findIn(node);
    }
  }

  private findIn(block: number): void {
    const from = this.count;
    const firstPlace = this.places;
    this.treeFrom[this.trees] = from;
    this.undoCount = 0;
    for (let cell = 0; cell < this.held.length; cell++) {
      this.held[cell] = cell;
      this.distance[cell] = 0;
    }
    this.values = this.held.length;
    this.visit(block);
    this.treeEnd[this.trees++] = this.count;
    this.assignLocals(from, firstPlace);
  }

  private visit(block: number): void {
    const { former, flow } = this;
    const first = former.first[block]!;
    this.start[block] = this.places;
    this.tree[block] = this.trees;
    for (let i = first; i < first + former.length[block]!; i++) this.see(i, block);
    const taken = flow.behind(block, 1);
    const onward = flow.behind(block, 0);
    if (taken >= 0) {
      const { undoCount, count } = this;
      this.visit(taken);
      // What began on that path does not hold for the other.
      this.isOpen.fill(0, count, this.count);
      this.takeBack(undoCount);
    }
    if (onward >= 0) this.visit(onward);
  }

  private see(i: number, block: number): void {
    const { former, halves, zero } = this;
    const template = former.templates[i]!;
    const half = former.decoded[i]! >>> 1;
    const place = this.places++;
    this.of[place] = -1;
    const source = halves[half + entryOffset.src1 / 2]!;
    if (template.access !== undefined && source !== zero) {
      this.of[place] = this.join(source, i, block, place);
      this.displacement[place] = this.distance[source >>> 3]! + former.imm[i]!;
    }
    if (!template.writes) return;
    const cell = halves[half + entryOffset.dst / 2]! >>> 3;
    const other = halves[half + entryOffset.src2 / 2]!;
    if (template.sum === "immediate" && source !== zero) {
      this.hold(cell, this.held[source >>> 3]!, (this.distance[source >>> 3]! + former.imm[i]!) | 0);
    } else if (template.sum === "register" && source === zero && other !== zero) {
      this.hold(cell, this.held[other >>> 3]!, this.distance[other >>> 3]!);
    } else {
      this.hold(cell, this.values++, 0);
    }
  }

  private hold(cell: number, value: number, distance: number): void {
    const { undo } = this;
    undo[this.undoCount++] = cell;
    undo[this.undoCount++] = this.held[cell]!;
    undo[this.undoCount++] = this.distance[cell]!;
    this.held[cell] = value;
    this.distance[cell] = distance;
  }

  private takeBack(to: number): void {
    while (this.undoCount > to) {
      this.undoCount -= 3;
      const cell = this.undo[this.undoCount]!;
      this.held[cell] = this.undo[this.undoCount + 1]!;
      this.distance[cell] = this.undo[this.undoCount + 2]!;
    }
  }

  /** The group of the access of instruction `i` through the register at `base`. */
  private join(base: number, i: number, block: number, place: number): number {
    const { former } = this;
    const value = this.held[base >>> 3]!;
    const { access, widthBytes } = former.templates[i]!;
    const isStore = access === "store" ? 1 : 0;
    const at = this.distance[base >>> 3]! + former.imm[i]!;
    for (let group = this.count - 1; group >= this.treeFrom[this.trees]!; group--) {
      if (this.isOpen[group] === 0 || this.value[group] !== value || this.isStore[group] !== isStore) continue;
      const least = Math.min(this.least[group]!, at);
      const span = Math.max(this.least[group]! + this.span[group]!, at + widthBytes) - least;
      if (span > (this.block[group] === block ? spanLimit : wideSpanLimit)) {
        this.isOpen[group] = 0;
        break;
      }
      this.fromBase[group]! += least - this.least[group]!;
      this.least[group] = least;
      this.span[group] = span;
      this.last[group] = place;
      this.members[group]!++;
      return group;
    }
    if (this.count === groupsOfRegion) return -1;
    const group = this.count++;
    this.isOpen[group] = 1;
    this.value[group] = value;
    this.block[group] = block;
    this.base[group] = base;
    this.fromBase[group] = former.imm[i]!;
    this.isStore[group] = isStore;
    this.least[group] = at;
    this.span[group] = widthBytes;
    this.first[group] = place;
    this.last[group] = place;
    this.members[group] = 1;
    return group;
  }

  /** Groups of one are none; the others get a local for the time from their first to their last member. */
  private assignLocals(from: number, firstPlace: number): void {
    this.localEnd.fill(-1);
    for (let group = from; group < this.count; group++) {
      this.local[group] = -1;
      if (this.members[group]! < 2) continue;
      for (let local = 0; local < groupLimit; local++) {
        if (this.localEnd[local]! >= this.first[group]!) continue;
        this.localEnd[local] = this.last[group]!;
        this.local[group] = local;
        break;
      }
    }
    for (let place = firstPlace; place < this.places; place++) {
      const group = this.of[place]!;
      if (group >= 0 && this.local[group]! < 0) this.of[place] = -1;
      else if (group >= 0) this.displacement[place]! -= this.least[group]!;
    }
  }
}
