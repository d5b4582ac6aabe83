import { describe, expect, it } from "vitest";
import { ControlFlow } from "./control-flow.ts";
import type { RegionFormer } from "./region-former.ts";

/** Blocks at rising addresses, too long to be written more than once. */
function blocks(edges: readonly (readonly number[])[], entries: readonly number[]): RegionFormer {
  const n = edges.length;
  return {
    blockCount: n,
    onward: Int16Array.from(edges, ([onward = -1]) => onward),
    taken: Int16Array.from(edges, ([, taken = -1]) => taken),
    first: Int16Array.from(edges.keys()),
    length: new Int16Array(n).fill(100),
    page: new Uint8Array(n),
    otherPage: new Int8Array(n).fill(-1),
    offset: Int32Array.from(edges.keys(), (i) => 4 * i),
    entryCount: entries.length,
    entryBlocks: Int16Array.from(entries),
  } as unknown as RegionFormer;
}

function analysed(edges: readonly (readonly number[])[], entries: readonly number[]): ControlFlow {
  const flow = new ControlFlow(blocks(edges, entries));
  flow.analyse();
  return flow;
}

/** Where the code that is written can go from a node. */
function successors(flow: ControlFlow, node: number): number[] {
  const { nest, root } = flow;
  const loop = node === root ? -1 : nest.of[node]!;
  const leads = node === root || (loop >= 0 && nest.header[loop] === node);
  const labels = Array.from({ length: flow.labelCount }, (_, label) => label);
  const led = leads ? labels.filter((label) => flow.leadsTo(loop, label)) : [];
  return [
    ...(node === root ? [] : [flow.edgeTo[2 * node]!, flow.edgeTo[2 * node + 1]!].filter((next) => next >= 0)),
    ...led.map((label) => nest.next(loop, flow.labelBlocks[label]!)),
  ];
}

function reachable(flow: ControlFlow, without: number): Set<number> {
  const found = new Set<number>();
  const queue = without === flow.root ? [] : [flow.root];
  for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
    if (found.has(node)) continue;
    found.add(node);
    queue.push(...successors(flow, node).filter((next) => next !== without));
  }
  return found;
}

/** The headers passed by a way with a label, and the block at its end. */
function wayTo(flow: ControlFlow, from: number, label: number): number[] {
  const way = [from];
  const block = flow.labelBlocks[label]!;
  for (let at = from; at !== block; way.push(at)) {
    const loop = at === flow.root ? -1 : flow.nest.of[at]!;
    expect(flow.leadsTo(loop, label)).toBe(true);
    at = flow.nest.next(loop, block);
  }
  return way;
}

function* randomGraphs(count: number): Generator<{ edges: number[][]; entries: number[] }> {
  let state = 1;
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let i = 0; i < count; i++) {
    const n = 2 + random(14);
    const edges = Array.from({ length: n }, () => Array.from({ length: random(3) }, () => random(n)));
    yield { edges, entries: [...new Set(Array.from({ length: 1 + random(3) }, () => random(n)))] };
  }
}

describe("control flow of a region", () => {
  it("a loop that is entered at its head has no labels", () => {
    const flow = analysed([[1], [2, 3], [1], []], [0]);
    expect(flow.labelCount).toBe(1);
    expect([...flow.isLoop.subarray(0, 4)]).toEqual([0, 1, 0, 0]);
  });

  it("an entry in the middle of a loop leads over the head", () => {
    const flow = analysed([[1], [2, 3], [1], []], [0, 2]);
    expect(wayTo(flow, flow.root, flow.label[2]!)).toEqual([flow.root, 1, 2]);
    expect([...flow.isLoop.subarray(0, 4)]).toEqual([0, 1, 0, 0]);
  });

  it("an edge into the middle of a loop of two ways in leads over one of them", () => {
    const flow = analysed([[1, 2], [2], [1]], [0]);
    expect(flow.edgeTo[1]).toBe(1);
    expect(flow.labelBlocks[flow.edgeLabel[1]!]).toBe(2);
  });

  it("in any graph, what leads backwards leads to a block that dominates where it came from, and labels lead to their blocks", () => {
    for (const { edges, entries } of randomGraphs(800)) {
      const flow = analysed(edges, entries);
      for (const entry of entries) expect(wayTo(flow, flow.root, flow.label[entry]!).at(-1)).toBe(entry);
      const all = reachable(flow, -1);
      for (const target of all) {
        const others = reachable(flow, target);
        for (const node of all) {
          if (node === flow.root || !successors(flow, node).includes(target)) continue;
          const isBack = flow.order[target]! <= flow.order[node]!;
          if (isBack) expect(others.has(node) && node !== target).toBe(false);
        }
      }
      for (const block of all) {
        if (block === flow.root) continue;
        edges[block]!.forEach((next, edge) => {
          const label = flow.edgeLabel[2 * block + edge]!;
          const to = flow.edgeTo[2 * block + edge]!;
          if (label < 0) expect(to).toBe(next);
          else expect(wayTo(flow, to, label).at(-1)).toBe(next);
        });
      }
    }
  });
});
