// hot: bench/compile.ts
// Finds the structure of a region's blocks, so that they can be written as nested blocks and loops (N. Ramsey, "Beyond
// Relooper: recursive translation of unstructured control flow to structured control flow", ICFP 2022).
//
// A dispatch node stands before all blocks that the region can be entered at. A loop is only entered at its header: an edge
// from outside to another block of it leads to the header, with the block's label, and on from there; the header's check of the
// budget finds that out (see `RegionEmitter`), so that loops have no way in but one and pay nothing for it.
// Dominators follow Cooper, Harvey and Kennedy, "A simple, fast dominance algorithm" (2001).
import { LoopNest } from "./loop-nest.ts";
import { blockLimit, type RegionFormer } from "./region-former.ts";
import { unroll } from "./unroll.ts";

const nodeLimit = blockLimit + 1;

export class ControlFlow {
  /** The dispatch node's number; blocks have theirs from the former. */
  root = 0;
  readonly nest: LoopNest;
  /** Blocks that are led to by number, those behind the fewest headers first. */
  labelCount = 0;
  readonly labelBlocks: Int16Array = new Int16Array(nodeLimit);
  /** Label of each block, or -1. */
  readonly label: Int16Array = new Int16Array(nodeLimit);
  /** Where a block's edges (2 × block + 0 onward, + 1 taken) lead: to a block, or to the header on the way to it, or -1. */
  readonly edgeTo: Int16Array = new Int16Array(2 * nodeLimit);
  /** The label to go there with, or -1. */
  readonly edgeLabel: Int16Array = new Int16Array(2 * nodeLimit);
  /** Nodes in reverse postorder, and the place of each. */
  readonly sequence: Int16Array = new Int16Array(nodeLimit);
  sequenceLength = 0;
  readonly order: Int16Array = new Int16Array(nodeLimit);
  readonly isLoop: Uint8Array = new Uint8Array(nodeLimit);
  /** Reached by more than one forward edge, so that it needs a label of its own. */
  readonly isMerge: Uint8Array = new Uint8Array(nodeLimit);
  /** Merge nodes that a node dominates immediately: the last one in order, and from each the one before it. */
  readonly lastMerge: Int16Array = new Int16Array(nodeLimit);
  readonly mergeBefore: Int16Array = new Int16Array(nodeLimit);
  /** Most instructions from a block's beginning to where the budget is checked or the region left. */
  readonly need: Int32Array = new Int32Array(nodeLimit);
  /** The greatest need of the region's entries. */
  greatestNeed = 0;

  private readonly former: RegionFormer;
  private readonly dominator: Int16Array = new Int16Array(nodeLimit);
  private readonly stack: Int16Array = new Int16Array(nodeLimit);
  private readonly progress: Int16Array = new Int16Array(nodeLimit);
  /** The least number of loops around both ends of what leads to a labelled block by its label: -1 for an entry. */
  private readonly ledFrom: Int16Array = new Int16Array(nodeLimit);
  /** Edges of a header to the blocks that it leads on to, of the root to the entries: from where, and to where. */
  private readonly leadStart: Int32Array = new Int32Array(nodeLimit + 1);
  private leads: Int16Array = new Int16Array(4 * nodeLimit);

  constructor(former: RegionFormer) {
    this.former = former;
    this.nest = new LoopNest(former);
  }

  /** Analyses what the former holds. */
  analyse(): void {
    const { former } = this;
    this.nest.find();
    unroll(former, this.nest);
    const n = former.blockCount;
    this.root = n;
    this.label.fill(-1, 0, n + 1);
    this.labelCount = 0;
    for (let i = 0; i < former.entryCount; i++) this.lead(former.entryBlocks[i]!, -1);
    for (let block = 0; block < n; block++) {
      this.direct(block, 0, former.onward[block]!);
      this.direct(block, 1, former.taken[block]!);
    }
    this.numberLabels();
    this.collectLeads();
    this.sort();
    this.dominate();
    this.classify();
  }

  /** The block that is written right behind the end of another one, where the edge leads there and nothing else; or -1. */
  behind(block: number, edge: 0 | 1): number {
    const at = 2 * block + edge;
    const next = this.edgeTo[at]!;
    if (next < 0 || this.edgeLabel[at]! >= 0 || this.isMerge[next] === 1 || this.isLoop[next] === 1) return -1;
    return next;
  }

  /** Whether ways to the block of a label pass the header of `loop` (-1: the dispatch node). */
  leadsTo(loop: number, label: number): boolean {
    const { nest } = this;
    const block = this.labelBlocks[label]!;
    if (this.depthOf(loop) <= this.ledFrom[block]!) return false;
    if (loop < 0) return true;
    if (nest.header[loop] === block) return false;
    let at = nest.of[block]!;
    while (at >= 0 && at !== loop) at = nest.parent[at]!;
    return at === loop;
  }

  /** How many labels, from 0 on, are of blocks that are not behind another header when so many were passed. */
  labelsWithin(headers: number): number {
    let count = 0;
    while (count < this.labelCount && this.nest.headersBefore(this.labelBlocks[count]!) <= headers) count++;
    return count;
  }

  private depthOf(loop: number): number {
    return loop < 0 ? 0 : this.nest.depth[loop]!;
  }

  /** Notes that a block is led to by its label from inside `depth` of the loops around it, or from the dispatch node (-1). */
  private lead(block: number, depth: number): void {
    if (this.label[block]! < 0) {
      this.labelBlocks[this.labelCount] = block;
      this.label[block] = this.labelCount++;
      this.ledFrom[block] = depth;
    } else if (this.ledFrom[block]! > depth) {
      this.ledFrom[block] = depth;
    }
  }

  private direct(block: number, edge: 0 | 1, next: number): void {
    const { nest } = this;
    const at = 2 * block + edge;
    this.edgeTo[at] = next;
    this.edgeLabel[at] = -1;
    if (next < 0) return;
    const common = nest.common(block, next);
    const hop = nest.next(common, next);
    if (hop === next) return;
    this.edgeTo[at] = hop;
    // The block, until labels have their numbers.
    this.edgeLabel[at] = next;
    this.lead(next, this.depthOf(common));
  }

  private numberLabels(): void {
    const { labelBlocks, label, nest, edgeLabel, root } = this;
    // By insertion: there are few, and most are in order.
    for (let i = 1; i < this.labelCount; i++) {
      const block = labelBlocks[i]!;
      const headers = nest.headersBefore(block);
      let at = i;
      for (; at > 0 && nest.headersBefore(labelBlocks[at - 1]!) > headers; at--) labelBlocks[at] = labelBlocks[at - 1]!;
      labelBlocks[at] = block;
    }
    for (let i = 0; i < this.labelCount; i++) label[labelBlocks[i]!] = i;
    for (let at = 0; at < 2 * root; at++) if (edgeLabel[at]! >= 0) edgeLabel[at] = label[edgeLabel[at]!]!;
  }

  private collectLeads(): void {
    const { nest, leadStart, root } = this;
    leadStart.fill(0, 0, root + 2);
    for (let pass = 0; pass < 2; pass++) {
      for (let i = 0; i < this.labelCount; i++) {
        const block = this.labelBlocks[i]!;
        for (let loop = nest.of[block]!; this.depthOf(loop) > this.ledFrom[block]!; loop = nest.parent[loop]!) {
          const from = loop < 0 ? root : nest.header[loop]!;
          if (from !== block) {
            if (pass === 0) leadStart[from + 1]!++;
            else this.leads[leadStart[from]!++] = nest.next(loop, block);
          }
          if (loop < 0) break;
        }
      }
      if (pass === 1) break;
      for (let node = 0; node <= root; node++) leadStart[node + 1]! += leadStart[node]!;
      const count = leadStart[root + 1]!;
      if (this.leads.length < count) this.leads = new Int16Array(2 * count);
    }
    // Filling moved each start to where the next one was.
    leadStart.copyWithin(1, 0, root + 1);
    leadStart[0] = 0;
  }

  /** Successor `i` of a node, -1 when there is no such edge and -2 when there are no more. */
  private successor(node: number, i: number): number {
    if (node !== this.root) {
      if (i < 2) return this.edgeTo[2 * node + i]!;
      i -= 2;
    }
    const at = this.leadStart[node]! + i;
    return at < this.leadStart[node + 1]! ? this.leads[at]! : -2;
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
    // Nodes that nothing reaches are not in the sequence.
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

  private classify(): void {
    const { order, sequence, isLoop, isMerge, lastMerge, mergeBefore, former } = this;
    const n = this.root + 1;
    isLoop.fill(0, 0, n);
    isMerge.fill(0, 0, n);
    lastMerge.fill(-1, 0, n);
    // Counts forward edges in isMerge first; what is led to by number is always at the end of a block.
    for (let at = this.sequenceLength - 1; at >= 0; at--) {
      const node = sequence[at]!;
      const leads = node === this.root ? 0 : 2;
      for (let i = 0; ; i++) {
        const next = this.successor(node, i);
        if (next === -2) break;
        if (next < 0) continue;
        if (order[next]! <= at) isLoop[next] = 1;
        else if (i < leads) isMerge[next] = Math.min(2, isMerge[next]! + 1);
        else isMerge[next] = node === this.root && former.entryCount === 1 ? Math.min(2, isMerge[next]! + 1) : 2;
      }
      if (node !== this.root) this.measure(node);
    }
    this.greatestNeed = 0;
    for (let i = 0; i < former.entryCount; i++) {
      this.greatestNeed = Math.max(this.greatestNeed, this.need[former.entryBlocks[i]!]!);
    }
    for (let at = 0; at < this.sequenceLength; at++) {
      const node = sequence[at]!;
      isMerge[node] = isMerge[node]! > 1 ? 1 : 0;
      if (isMerge[node] === 0) continue;
      const parent = this.dominator[node]!;
      mergeBefore[node] = lastMerge[parent]!;
      lastMerge[parent] = node;
    }
  }

  /** The need of a node, when those of its successors are known: ways in by label pass no check. */
  private measure(node: number): void {
    const { order, need } = this;
    let longest = 0;
    for (let at = 2 * node; at < 2 * node + 2; at++) {
      const to = this.edgeTo[at]!;
      if (to < 0) continue;
      const label = this.edgeLabel[at]!;
      if (label >= 0) longest = Math.max(longest, need[this.labelBlocks[label]!]!);
      else if (order[to]! > order[node]! && this.isLoop[to] === 0) longest = Math.max(longest, need[to]!);
    }
    need[node] = longest + this.former.length[node]!;
  }
}
