import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IntervalTree, type IntervalNode } from "./interval-tree.ts";

const range = fc.tuple(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 12 }));

describe("overlapping intervals", () => {
  test("first and next visit exactly the intervals that touch a range, by start", () => {
    fc.assert(
      fc.property(fc.array(range, { maxLength: 40 }), range, (intervals, [from, length]) => {
        const tree = new IntervalTree<number>();
        intervals.forEach(([s, l], i) => tree.insert(BigInt(s), BigInt(s + l), i));
        const want = intervals
          .map(([s, l], i) => ({ s, e: s + l, i }))
          .filter((x) => x.s <= from + length && x.e >= from)
          .sort((a, b) => a.s - b.s || a.i - b.i)
          .map((x) => x.i);
        const got: number[] = [];
        let at: IntervalNode<number> | undefined = tree.first(BigInt(from), BigInt(from + length));
        while (at !== undefined) {
          got.push(at.value);
          at = tree.next(at, BigInt(from), BigInt(from + length));
        }
        expect(got).toEqual(want);
      }),
    );
  });
});

describe("free ranges", () => {
  test("are those that a naive map finds, in ascending order, through inserts and removals", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(range, fc.boolean()), { maxLength: 60 }),
        fc.integer({ min: 1, max: 20 }),
        range,
        (steps, need, [from, width]) => {
          const tree = new IntervalTree<number>();
          const used = new Map<IntervalNode<number>, [number, number]>();
          for (const [[s, l], remove] of steps) {
            const hit = tree.first(BigInt(s), BigInt(s + l));
            if (hit === undefined) used.set(tree.insert(BigInt(s), BigInt(s + l), 0), [s, s + l]);
            else if (remove) {
              tree.remove(hit);
              used.delete(hit);
            }
          }
          expect(tree.size).toBe(used.size);
          const busy = new Set<number>();
          for (const [s, e] of used.values()) for (let i = s; i <= e; i++) busy.add(i);
          const to = from + width * 10;
          const want: [number, number][] = [];
          for (let i = from; i <= to; i++) {
            if (busy.has(i)) continue;
            let e = i;
            while (e + 1 <= to && !busy.has(e + 1)) e++;
            if (e - i + 1 >= need) want.push([i, e]);
            i = e;
          }
          const got: [number, number][] = [];
          tree.findGap(BigInt(from), BigInt(to), BigInt(need), (a, b) => {
            got.push([Number(a), Number(b)]);
            return undefined;
          });
          expect(got).toEqual(want);
        },
      ),
    );
  });

  test("reach the last address of the space without wrapping", () => {
    const tree = new IntervalTree<number>();
    const top = 0xffff_ffff_ffff_ffffn;
    tree.insert(0n, top - 0x2000n, 0);
    expect(tree.findGap(0n, top, 0x1000n, (a, b) => (b === top ? a : undefined))).toBe(top - 0x1fffn);
    tree.insert(top - 0x1fffn, top, 0);
    expect(tree.findGap(0n, top, 1n, (a) => a)).toBeUndefined();
  });
});
