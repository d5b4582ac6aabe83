import { describe, expect, test } from "vitest";
import { LargePages } from "./large-pages.ts";

const megabytes = (n: number): number => n << 20;

describe("ranges of large pages", () => {
  test("an address lies in the large page that was noted, and its neighbours do not", () => {
    const large = new LargePages();
    large.note(megabytes(5), 0x10, megabytes(2));
    const at = [megabytes(4) - 1, megabytes(4), megabytes(6) - 1, megabytes(6)];
    expect(at.map((low) => large.covers(low, 0x10))).toEqual([false, true, true, false]);
    expect(large.covers(megabytes(5), 0x11)).toBe(false);
  });

  test("the highest addresses are a range like others", () => {
    const large = new LargePages();
    large.note(-1, -1, megabytes(2));
    expect([large.covers(-megabytes(2), -1), large.covers(-megabytes(2) - 1, -1), large.covers(0, 0)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  test("with more places than it keeps, none is lost", () => {
    const large = new LargePages();
    for (let i = 0; i < 100; i++) large.note(0, i * 1000, megabytes(2));
    const answers = Array.from({ length: 100 }, (_, i) => large.covers(megabytes(1), i * 1000));
    expect(answers.every(Boolean)).toBe(true);
    large.clear();
    expect(large.covers(megabytes(1), 0)).toBe(false);
  });

  test("a page of 512 GiB covers all of itself", () => {
    const large = new LargePages();
    large.note(0x1234_5000, 0x85, 2 ** 39);
    expect([large.covers(0, 0x80), large.covers(-1, 0xff), large.covers(0, 0x100)]).toEqual([true, true, false]);
  });
});
