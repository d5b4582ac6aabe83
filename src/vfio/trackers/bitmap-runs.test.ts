import fc from "fast-check";
import { expect, test } from "vitest";
import { forEachRun } from "./bitmap-runs.ts";

function runsOf(bits: readonly boolean[]): [number, number][] {
  const bytes = new Uint8Array(Math.ceil(bits.length / 8));
  bits.forEach((bit, i) => bit && (bytes[i >> 3]! |= 1 << (i & 7)));
  const runs: [number, number][] = [];
  forEachRun(bytes, bits.length, (first, count) => runs.push([first, count]));
  return runs;
}

test("runs are found across bytes, and the last may end with the bitmap", () => {
  const ones = (n: number): boolean[] => Array.from({ length: n }, () => true);
  expect(runsOf([false, ...ones(30)])).toEqual([[1, 30]]);
  expect(runsOf([...ones(8), false, ...ones(2)])).toEqual([
    [0, 8],
    [9, 2],
  ]);
  expect(runsOf([])).toEqual([]);
});

test("bits past the count are nobody's", () => {
  const runs: number[] = [];
  forEachRun(new Uint8Array([0xff]), 3, (first, count) => runs.push(first, count));
  expect(runs).toEqual([0, 3]);
});

test("the runs are the bits that are set", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 100 }), (bits) => {
      const back = bits.map(() => false);
      for (const [first, count] of runsOf(bits)) back.fill(true, first, first + count);
      expect(back).toEqual(bits);
    }),
  );
});
