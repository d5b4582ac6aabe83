import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { maskOfRun, PageSet, popCount } from "./page-set.ts";

describe("a page set", () => {
  test("equals a naive set under any additions and removals", () => {
    const run = fc.record({ remove: fc.boolean(), first: fc.nat(99), count: fc.nat(70) });
    fc.assert(
      fc.property(fc.array(run), (runs) => {
        const set = new PageSet(170);
        const naive = new Set<number>();
        for (const { remove, first, count } of runs) {
          if (remove) set.delete(first, count);
          else set.add(first, count);
          for (let page = first; page < first + count; page++) {
            if (remove) naive.delete(page);
            else naive.add(page);
          }
        }
        const expected = [...naive].sort((a, b) => a - b);
        expect(set.toArray()).toEqual(expected);
        expect(set.count()).toBe(naive.size);
        const fromRuns: number[] = [];
        let lastEnd = -1;
        set.forEachRun((first, count) => {
          expect(first).toBeGreaterThan(lastEnd);
          lastEnd = first + count;
          for (let page = first; page < lastEnd; page++) fromRuns.push(page);
        });
        expect(fromRuns).toEqual(expected);
      }),
    );
  });

  test("is searched as far as somebody wants to know", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(99)), fc.nat(99), fc.nat(100), (pages, from, end) => {
        const set = new PageSet(100);
        for (const page of pages) set.add(page);
        const looked = Array.from({ length: Math.max(end - from, 0) }, (_, i) => from + i);
        expect(set.next(from, end)).toBe(looked.find((page) => set.has(page)) ?? -1);
        expect(set.runEnd(from, end)).toBe(looked.find((page) => !set.has(page)) ?? end);
      }),
    );
  });

  test("has no pages outside its range", () => {
    const set = new PageSet(40);
    expect([set.has(-1), set.has(40), set.has(1000)]).toEqual([false, false, false]);
  });

  test("refuses pages past its end", () => {
    expect(() => new PageSet(40).add(39, 2)).toThrow("pages lie in the set");
  });

  test("counts bits and masks runs at the word's edges", () => {
    expect([popCount(0), popCount(0xffffffff), popCount(0x80000001)]).toEqual([0, 32, 2]);
    expect([maskOfRun(0, 0, 32), maskOfRun(1, 31, 33), maskOfRun(0, 31, 33)]).toEqual([0xffffffff, 1, 0x80000000]);
    expect(maskOfRun(2, 0, 64)).toBe(0);
  });
});
