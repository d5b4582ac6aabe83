import { describe, expect, test } from "vitest";
import { classify, equal, less, lessOrEqual, maximum, minimum } from "./comparisons.ts";
import { binary32, binary64 } from "./float-format.ts";
import { Flag, type FpStatus } from "./rounding.ts";
import { Patterns } from "./testing/patterns.ts";

const quiet = 0x7fc0_0000n;
const signaling = 0xff80_0001n;
const minusZero = 0x8000_0000n;
const one = 0x3f80_0000n;
const minusOne = 0xbf80_0000n;
const fresh = (): FpStatus => ({ rounding: 0, flags: 0 });

const view = new DataView(new ArrayBuffer(8));
function numberOf(bits: bigint): number {
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
}

test("comparisons of doubles agree with the host's", () => {
  const patterns = new Patterns(8n);
  for (let i = 0; i < 5000; i++) {
    const a = patterns.any(binary64);
    const b = patterns.partner(binary64, a);
    const [x, y] = [numberOf(a), numberOf(b)];
    const got = [equal, less, lessOrEqual].map((compare) => compare(binary64, a, b, fresh()));
    expect(got, `${a.toString(16)} ${b.toString(16)}`).toEqual([x === y, x < y, x <= y]);
  }
});

test.each([
  ["equal", equal, quiet, 0],
  ["equal", equal, signaling, Flag.invalid],
  ["less", less, quiet, Flag.invalid],
  ["less", less, signaling, Flag.invalid],
  ["lessOrEqual", lessOrEqual, quiet, Flag.invalid],
] as const)("%s with NaN is false", (_name, compare, nan, flags) => {
  const status = fresh();
  expect(compare(binary32, nan, one, status)).toBe(false);
  expect(compare(binary32, one, nan, status)).toBe(false);
  expect(status.flags).toBe(flags);
});

describe("minimum and maximum", () => {
  test.each([
    [one, minusOne, minusOne, one, 0],
    [0n, minusZero, minusZero, 0n, 0],
    [minusZero, 0n, minusZero, 0n, 0],
    [quiet, one, one, one, 0],
    [one, quiet | minusZero, one, one, 0],
    [quiet | 3n, quiet | 1n, quiet, quiet, 0],
    [signaling, one, one, one, Flag.invalid],
    [signaling, quiet, quiet, quiet, Flag.invalid],
    [0x7f80_0000n, 0xff80_0000n, 0xff80_0000n, 0x7f80_0000n, 0],
  ])("of %s and %s are %s and %s", (a, b, least, greatest, flags) => {
    const status = fresh();
    expect(minimum(binary32, a, b, status)).toBe(least);
    expect(maximum(binary32, a, b, status)).toBe(greatest);
    expect(status.flags).toBe(flags);
  });
});

test.each([
  [0xff80_0000n, 0],
  [0xff7f_ffffn, 1],
  [0x8080_0000n, 1],
  [0x807f_ffffn, 2],
  [0x8000_0001n, 2],
  [0x8000_0000n, 3],
  [0n, 4],
  [1n, 5],
  [0x007f_ffffn, 5],
  [0x0080_0000n, 6],
  [0x7f7f_ffffn, 6],
  [0x7f80_0000n, 7],
  [0x7f80_0001n, 8],
  [0xffbf_ffffn, 8],
  [0x7fc0_0000n, 9],
  [0xffff_ffffn, 9],
])("%s is of class %s", (bits, kind) => {
  expect(classify(binary32, bits)).toBe(kind);
});
