import { expect, it } from "vitest";
import { LoopNest } from "./loop-nest.ts";
import type { RegionFormer } from "./region-former.ts";
import { unroll } from "./unroll.ts";

/** Blocks of `length` instructions, with room for more. */
function unrolled(edges: readonly (readonly number[])[], length: number): RegionFormer {
  const room = 64;
  const former = {
    blockCount: edges.length,
    onward: new Int16Array(room),
    taken: new Int16Array(room),
    first: Int16Array.from({ length: room }, (_, i) => i),
    length: new Int16Array(room).fill(length),
    offset: Int32Array.from({ length: room }, (_, i) => 4 * i),
    page: new Uint8Array(room),
    otherPage: new Int8Array(room).fill(-1),
    copyBlock: (_: number, to: number) => (former.blockCount = Math.max(former.blockCount, to + 1)),
  };
  edges.forEach(([onward = -1, taken = -1], i) => {
    former.onward[i] = onward;
    former.taken[i] = taken;
  });
  const nest = new LoopNest(former as unknown as RegionFormer);
  nest.find();
  unroll(former as unknown as RegionFormer, nest);
  return former as unknown as RegionFormer;
}

const edgesOf = (former: RegionFormer): number[][] =>
  Array.from({ length: former.blockCount }, (_, i) => [former.onward[i]!, former.taken[i]!]);

it("a loop of one short block is a chain of four, each with the way out", () => {
  expect(edgesOf(unrolled([[1], [2, 1], []], 3))).toEqual([
    [1, -1],
    [2, 3],
    [-1, -1],
    [2, 4],
    [2, 5],
    [2, 1],
  ]);
});

it("a loop of two blocks is a chain of both", () => {
  expect(edgesOf(unrolled([[1, 2], [0], []], 10))).toEqual([
    [1, 2],
    [3, -1],
    [-1, -1],
    [4, 2],
    [0, -1],
  ]);
});

it("the block that repeats at the head of a longer loop is written several times", () => {
  expect(edgesOf(unrolled([[1, 0], [2, 3], [0], []], 12))).toEqual([
    [1, 4],
    [2, 3],
    [0, -1],
    [-1, -1],
    [1, 5],
    [1, 0],
  ]);
});

it("long loops and those of many ways stay as they are", () => {
  expect(unrolled([[1], [2, 1], []], 25).blockCount).toBe(3);
  expect(unrolled([[1, 3], [2, 3], [0], []], 4).blockCount).toBe(4);
});
