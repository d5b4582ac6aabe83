import { describe, expect, test } from "vitest";
import { convert, fromInteger, integerRanges, toInteger } from "./conversions.ts";
import { binary32, binary64, exactly, isZeroBits } from "./float-format.ts";
import { Flag, Rounding, type FpStatus } from "./rounding.ts";
import { Patterns } from "./testing/patterns.ts";
import { one, ratio, roundReal } from "./testing/real-model.ts";

const { nearestEven: RNE, towardsZero: RTZ, down: RDN, up: RUP, nearestMaxMagnitude: RMM } = Rounding;
const { inexact: NX, underflow: UF, overflow: OF, invalid: NV } = Flag;
const modes = [RNE, RTZ, RDN, RUP, RMM];

const view = new DataView(new ArrayBuffer(8));
function double(value: number): bigint {
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}
const single = (value: number): bigint => {
  view.setFloat32(0, value);
  return BigInt(view.getUint32(0));
};

describe("toInteger", () => {
  // Unprivileged spec §20.7, table 28, and the range limits around it.
  test.each([
    ["w", double(-2147483649), -2147483648n, NV],
    ["w", double(-2147483648.9), -2147483648n, NX],
    ["w", double(2147483647.9), 2147483647n, NX],
    ["w", double(2147483648), 2147483647n, NV],
    ["w", double(Infinity), 2147483647n, NV],
    ["w", double(-Infinity), -2147483648n, NV],
    ["w", double(NaN), 2147483647n, NV],
    ["wu", double(-0.9), 0n, NX],
    ["wu", double(-1), 0n, NV],
    ["wu", double(-0), 0n, 0],
    ["wu", double(4294967295.5), 4294967295n, NX],
    ["wu", double(4294967296), 4294967295n, NV],
    ["wu", double(NaN), 4294967295n, NV],
    ["l", double(2 ** 63), (1n << 63n) - 1n, NV],
    ["l", double(2 ** 63 - 1024), (1n << 63n) - 1024n, 0],
    ["l", double(-(2 ** 63)), -(1n << 63n), 0],
    ["l", double(-(2 ** 63) - 2048), -(1n << 63n), NV],
    ["l", double(NaN), (1n << 63n) - 1n, NV],
    ["lu", double(2 ** 64), (1n << 64n) - 1n, NV],
    ["lu", double(2 ** 64 - 2048), (1n << 64n) - 2048n, 0],
    ["lu", double(-Infinity), 0n, NV],
    ["lu", 0x7ff0_0000_0000_0001n, (1n << 64n) - 1n, NV],
    ["lu", 1n, 0n, NX],
  ] as const)("to %s of %s towards zero is %s", (range, bits, integer, flags) => {
    const status: FpStatus = { rounding: RTZ, flags: 0 };
    expect(toInteger(binary64, bits, integerRanges[range], status)).toBe(integer);
    expect(status.flags).toBe(flags);
  });

  test.each([
    [RNE, [-2n, -2n, 0n, 0n, 2n, 2n]],
    [RTZ, [-2n, -1n, 0n, 0n, 1n, 2n]],
    [RDN, [-3n, -2n, -1n, 0n, 1n, 2n]],
    [RUP, [-2n, -1n, 0n, 1n, 2n, 3n]],
    [RMM, [-3n, -2n, -1n, 1n, 2n, 3n]],
  ] as const)("halves in mode %s", (rounding, expected) => {
    const halves = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5];
    const status: FpStatus = { rounding, flags: 0 };
    expect(halves.map((value) => toInteger(binary32, single(value), integerRanges.l, status))).toEqual(expected);
    expect(status.flags).toBe(NX);
  });

  test("rounding can reach past the range", () => {
    const status: FpStatus = { rounding: RUP, flags: 0 };
    expect(toInteger(binary64, double(2147483647.5), integerRanges.w, status)).toBe(2147483647n);
    expect(status.flags).toBe(NV);
  });
});

describe("fromInteger", () => {
  test.each([
    [RNE, (1n << 53n) + 1n, double(2 ** 53), NX],
    [RMM, (1n << 53n) + 1n, double(2 ** 53 + 2), NX],
    [RUP, -(1n << 53n) - 1n, double(-(2 ** 53)), NX],
    [RDN, -(1n << 53n) - 1n, double(-(2 ** 53) - 2), NX],
    [RNE, (1n << 64n) - 1n, double(2 ** 64), NX],
    [RTZ, (1n << 64n) - 1n, double(2 ** 64 - 2048), NX],
    [RDN, 0n, 0n, 0],
    [RNE, -(1n << 63n), double(-(2 ** 63)), 0],
  ] as const)("in mode %s of %s", (rounding, integer, bits, flags) => {
    const status: FpStatus = { rounding, flags: 0 };
    expect(fromInteger(binary64, integer, status)).toBe(bits);
    expect(status.flags).toBe(flags);
  });

  test.each([
    [24, binary32],
    [53, binary64],
  ] as const)("rounds to %s bits as the definition says, in every mode", (_precision, f) => {
    const patterns = new Patterns(5n);
    for (let i = 0; i < 500; i++) {
      const integer = BigInt.asIntN(64, patterns.integer());
      if (integer === 0n) continue;
      for (const rounding of modes) {
        const status: FpStatus = { rounding, flags: 0 };
        const bits = fromInteger(f, integer, status);
        const real = ratio({ significand: integer, exponent: 0 }, one);
        expect({ bits, flags: status.flags }, `${integer} ${rounding}`).toEqual(roundReal(f, real, rounding));
      }
    }
  });
});

describe("convert", () => {
  test("narrows as the definition says, in every mode", () => {
    const patterns = new Patterns(6n);
    for (let i = 0; i < 1000; i++) {
      // Doubles in and around the range of singles.
      const wide = convert(binary32, binary64, patterns.finite(binary32), { rounding: RNE, flags: 0 });
      const bits = patterns.below(3) === 0 ? patterns.finite(binary64) : wide ^ BigInt(patterns.below(1 << 30));
      if (isZeroBits(binary64, bits)) continue;
      for (const rounding of modes) {
        const status: FpStatus = { rounding, flags: 0 };
        const narrow = convert(binary64, binary32, bits, status);
        const real = ratio(exactly(binary64, bits), one);
        expect({ bits: narrow, flags: status.flags }, `${bits.toString(16)} ${rounding}`).toEqual(
          roundReal(binary32, real, rounding),
        );
      }
    }
  });

  test("widens exactly and back again", () => {
    const patterns = new Patterns(7n);
    const status: FpStatus = { rounding: RNE, flags: 0 };
    for (let i = 0; i < 1000; i++) {
      const bits = patterns.finite(binary32);
      expect(convert(binary64, binary32, convert(binary32, binary64, bits, status), status)).toBe(bits);
    }
    expect(status.flags).toBe(0);
  });

  test.each([
    [double(-0), 0x8000_0000n, 0],
    [double(-Infinity), 0xff80_0000n, 0],
    [double(NaN) | 1n, 0x7fc0_0000n, 0],
    [0xfff0_0000_0000_0001n, 0x7fc0_0000n, NV],
    [double(1e300), 0x7f80_0000n, OF | NX],
    [double(-1e-300), 0x8000_0000n, UF | NX],
    [double(2 ** -149), 1n, 0],
    [double(2 ** -126 * (1 - 2 ** -26)), 0x0080_0000n, NX],
    [double(2 ** -126 * (1 - 2 ** -24)), 0x0080_0000n, UF | NX],
  ])("of %s to binary32 is %s", (bits, narrow, flags) => {
    const status: FpStatus = { rounding: RNE, flags: 0 };
    expect(convert(binary64, binary32, bits, status)).toBe(narrow);
    expect(status.flags).toBe(flags);
  });
});
