// hot: bench/boot.ts
// Finds the structure of a region's blocks, so that they can be written as nested blocks and loops (N. Ramsey, "Beyond
// Relooper: recursive translation of unstructured control flow to structured control flow", ICFP 2022).
//
// A dispatch node stands before all blocks that the region can be entered at; an edge back to a block that does not dominate
// its origin (irreducible) goes through the dispatch node too. Dominators follow Cooper, Harvey and Kennedy, "A simple, fast
// dominance algorithm" (2001).
import { instructionLimit, type RegionFormer } from "./region-former.ts";

const nodeLimit = instructionLimit + 1;

export class ControlFlow {
  /** The dispatch node's number; blocks have theirs from the former. */
  root = 0;
  /** Blocks that the dispatch node leads to; the first ones are the region's entries. */
  labelCount = 0;
  readonly labelBlocks: Int16Array = new Int16Array(nodeLimit);
  /** Label of each block, or -1. */
  readonly label: Int16Array = new Int16Array(nodeLimit);
  /** Whether a block's edges go through the dispatch node: bit 0 onward, bit 1 taken. */
  readonly cutEdges: Uint8Array = new Uint8Array(nodeLimit);
  /** Place in reverse postorder. */
  readonly order: Int16Array = new Int16Array(nodeLimit);
  readonly isLoop: Uint8Array = new Uint8Array(nodeLimit);
  /** Reached by more than one forward edge, so that it needs a label of its own. */
  readonly isMerge: Uint8Array = new Uint8Array(nodeLimit);
  /** Merge nodes that a node dominates immediately: the last one in order, and from each the one before it. */
  readonly lastMerge: Int16Array = new Int16Array(nodeLimit);
  readonly mergeBefore: Int16Array = new Int16Array(nodeLimit);
  /** Most instructions from a block's beginning to where the budget is checked or the region left. */
  readonly need: Int32Array = new Int32Array(nodeLimit);
  /** The greatest need of all labels. */
  greatestNeed = 0;

  private readonly former: RegionFormer;
  private readonly sequence: Int16Array = new Int16Array(nodeLimit);
  private sequenceLength = 0;
  private readonly dominator: Int16Array = new Int16Array(nodeLimit);
  private readonly stack: Int16Array = new Int16Array(nodeLimit);
  private readonly progress: Int16Array = new Int16Array(nodeLimit);

  constructor(former: RegionFormer) {
    this.former = former;
  }

  /** Analyses what the former holds. */
  analyse(): void {
    const { former } = this;
    const n = former.blockCount;
    this.root = n;
    this.label.fill(-1, 0, n + 1);
    this.cutEdges.fill(0, 0, n + 1);
    this.labelCount = 0;
    for (let i = 0; i < former.entryCount; i++) this.addLabel(former.entryBlocks[i]!);
    do {
      this.sort();
      this.dominate();
    } while (this.cutIrreducible());
    this.classify();
  }

  private addLabel(block: number): void {
    if (this.label[block]! >= 0) return;
    this.label[block] = this.labelCount;
    this.labelBlocks[this.labelCount++] = block;
  }

  /** Successor `i` of a node, -1 when there is no such edge and -2 when there are no more. */
  private successor(node: number, i: number): number {
    if (node === this.root) return i < this.labelCount ? this.labelBlocks[i]! : -2;
    if (i > 1) return -2;
    if (((this.cutEdges[node]! >>> i) & 1) !== 0) return -1;
    return i === 0 ? this.former.onward[node]! : this.former.taken[node]!;
  }

  /** Depth first; `order` is the reverse postorder and `sequence` its inverse. */
  private sort(): void {
    const { order, stack, progress, sequence } = this;
    const n = this.root + 1;
    order.fill(-1, 0, n);
    let depth = 0;
    let place = n;
    stack[0] = this.root;
    progress[0] = 0;
    order[this.root] = 0;
    while (depth >= 0) {
      const node = stack[depth]!;
      const next = this.successor(node, progress[depth]!++);
      if (next === -2) {
        sequence[--place] = node;
        depth--;
      } else if (next >= 0 && order[next] === -1) {
        order[next] = 0;
        stack[++depth] = next;
        progress[depth] = 0;
      }
    }
    // Nodes that nothing reaches any more are not in the sequence.
    this.sequenceLength = n - place;
    if (place > 0) sequence.copyWithin(0, place, n);
    for (let i = 0; i < this.sequenceLength; i++) order[sequence[i]!] = i;
  }

  private dominate(): void {
    const { sequence, dominator } = this;
    dominator.fill(-1, 0, this.root + 1);
    dominator[this.root] = this.root;
    for (let changed = true; changed;) {
      changed = false;
      for (let at = 0; at < this.sequenceLength; at++) {
        const node = sequence[at]!;
        for (let i = 0; ; i++) {
          const next = this.successor(node, i);
          if (next === -2) break;
          if (next < 0) continue;
          const before = dominator[next]!;
          const meet = before < 0 ? node : this.meet(before, node);
          if (meet === before) continue;
          dominator[next] = meet;
          changed = true;
        }
      }
    }
  }

  private meet(a: number, b: number): number {
    const { order, dominator } = this;
    while (a !== b) {
      while (order[a]! > order[b]!) a = dominator[a]!;
      while (order[b]! > order[a]!) b = dominator[b]!;
    }
    return a;
  }

  private dominates(a: number, b: number): boolean {
    while (this.order[b]! > this.order[a]!) b = this.dominator[b]!;
    return a === b;
  }

  /** Leads irreducible edges through the dispatch node; true when there were any. */
  private cutIrreducible(): boolean {
    let found = false;
    for (let at = 0; at < this.sequenceLength; at++) {
      const node = this.sequence[at]!;
      if (node === this.root) continue;
      for (let i = 0; i < 2; i++) {
        const next = this.successor(node, i);
        if (next < 0 || this.order[next]! > this.order[node]! || this.dominates(next, node)) continue;
        this.cutEdges[node]! |= 1 << i;
        this.addLabel(next);
        found = true;
      }
    }
    return found;
  }

  private classify(): void {
    const { order, sequence, isLoop, isMerge, lastMerge, mergeBefore, need, former } = this;
    const n = this.root + 1;
    isLoop.fill(0, 0, n);
    isMerge.fill(0, 0, n);
    lastMerge.fill(-1, 0, n);
    const dispatches = this.labelCount > 1;
    // Counts forward edges in isMerge first.
    for (let at = this.sequenceLength - 1; at >= 0; at--) {
      const node = sequence[at]!;
      let longest = 0;
      for (let i = 0; ; i++) {
        const next = this.successor(node, i);
        if (next === -2) break;
        if (next < 0) continue;
        if (order[next]! <= at) {
          isLoop[next] = 1;
          continue;
        }
        isMerge[next] = node === this.root && dispatches ? 2 : Math.min(2, isMerge[next]! + 1);
        longest = Math.max(longest, need[next]!);
      }
      need[node] = longest + (node === this.root ? 0 : former.length[node]!);
    }
    this.greatestNeed = need[this.root]!;
    for (let at = 0; at < this.sequenceLength; at++) {
      const node = sequence[at]!;
      isMerge[node] = isMerge[node]! > 1 ? 1 : 0;
      if (isMerge[node] === 0) continue;
      const parent = this.dominator[node]!;
      mergeBefore[node] = lastMerge[parent]!;
      lastMerge[parent] = node;
    }
  }
}
