import { describe, expect, test } from "vitest";
import { add, divide, multiply, multiplyAdd, squareRoot, subtract } from "./arithmetic.ts";
import { binary32, binary64, exactly, isZeroBits, type Exact, type FloatFormat } from "./float-format.ts";
import { Flag, Rounding, type FpStatus } from "./rounding.ts";
import { Patterns } from "./testing/patterns.ts";
import { one, ratio, rootOf, roundReal, type Real } from "./testing/real-model.ts";

const { nearestEven: RNE, towardsZero: RTZ, down: RDN, up: RUP, nearestMaxMagnitude: RMM } = Rounding;
const { inexact: NX, underflow: UF, overflow: OF, divideByZero: DZ, invalid: NV } = Flag;
const modes = [RNE, RTZ, RDN, RUP, RMM];
const formats = [binary32, binary64];
const nameOf = (f: FloatFormat): string => (f === binary32 ? "binary32" : "binary64");

type Operation = (f: FloatFormat, operands: readonly bigint[], status: FpStatus) => bigint;
const operations: Readonly<Record<string, Operation>> = {
  add: (f, [a, b], s) => add(f, a!, b!, s),
  subtract: (f, [a, b], s) => subtract(f, a!, b!, s),
  multiply: (f, [a, b], s) => multiply(f, a!, b!, s),
  divide: (f, [a, b], s) => divide(f, a!, b!, s),
  squareRoot: (f, [a], s) => squareRoot(f, a!, s),
  multiplyAdd: (f, [a, b, c], s) => multiplyAdd(f, a!, b!, c!, s),
};

const view = new DataView(new ArrayBuffer(8));
function numberOf(f: FloatFormat, bits: bigint): number {
  if (f === binary32) {
    view.setUint32(0, Number(bits));
    return view.getFloat32(0);
  }
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
}
function bitsOf(f: FloatFormat, value: number): bigint {
  if (Number.isNaN(value)) return f.canonicalNaN;
  if (f === binary32) {
    view.setFloat32(0, value);
    return BigInt(view.getUint32(0));
  }
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}

const plus = (a: Exact, b: Exact): Exact => {
  const exponent = Math.min(a.exponent, b.exponent);
  return {
    significand: (a.significand << BigInt(a.exponent - exponent)) + (b.significand << BigInt(b.exponent - exponent)),
    exponent,
  };
};
const times = (a: Exact, b: Exact): Exact => ({
  significand: a.significand * b.significand,
  exponent: a.exponent + b.exponent,
});

/** The results of `operations` on finite operands as real numbers; undefined where the result is a zero or no number. */
const reals: Readonly<Record<string, (values: readonly Exact[]) => Real | undefined>> = {
  add: ([a, b]) => nonZero(plus(a!, b!)),
  subtract: ([a, b]) => nonZero(plus(a!, { significand: -b!.significand, exponent: b!.exponent })),
  multiply: ([a, b]) => nonZero(times(a!, b!)),
  multiplyAdd: ([a, b, c]) => nonZero(plus(times(a!, b!), c!)),
  divide: ([a, b]) => (a!.significand === 0n || b!.significand === 0n ? undefined : ratio(a!, b!)),
  squareRoot: ([a]) => (a!.significand > 0n ? rootOf(a!) : undefined),
};
const nonZero = (value: Exact): Real | undefined => (value.significand === 0n ? undefined : ratio(value, one));

const hex = (values: readonly bigint[]): string => values.map((v) => v.toString(16)).join(" ");

describe.each(formats.map((f) => [nameOf(f), f] as const))("%s", (_name, f) => {
  test("patterns stand for the numbers that the host's own floats are", () => {
    const patterns = new Patterns(1n);
    for (let i = 0; i < 2000; i++) {
      const bits = patterns.finite(f);
      const { significand, exponent } = exactly(f, bits);
      const half = Math.trunc(exponent / 2);
      expect(Number(significand) * 2 ** half * 2 ** (exponent - half), hex([bits])).toBe(
        isZeroBits(f, bits) ? 0 : numberOf(f, bits),
      );
    }
  });

  // A double of 53 bits rounded again to 24 is the single rounded once: 53 >= 2 · 24 + 2.
  test.each([
    ["add", (a: number, b: number) => a + b],
    ["subtract", (a: number, b: number) => a - b],
    ["multiply", (a: number, b: number) => a * b],
    ["divide", (a: number, b: number) => a / b],
    ["squareRoot", (a: number) => Math.sqrt(a)],
  ] as const)("%s rounds to nearest as the host does", (name, native) => {
    const patterns = new Patterns(2n);
    const wrong: string[] = [];
    for (let i = 0; i < 2000; i++) {
      const a = patterns.any(f);
      const b = patterns.partner(f, a);
      const result = operations[name]!(f, [a, b], { rounding: RNE, flags: 0 });
      if (result !== bitsOf(f, native(numberOf(f, a), numberOf(f, b)))) wrong.push(hex([a, b, result]));
    }
    expect(wrong).toEqual([]);
  });

  test.each(Object.keys(operations))("%s rounds and raises flags as the definition says, in every mode", (name) => {
    const patterns = new Patterns(3n);
    let checked = 0;
    for (let i = 0; i < 250; i++) {
      const a = patterns.finite(f);
      const b = patterns.partner(f, a);
      const operands = [a, b, patterns.addend(f, a, b)];
      if (operands.some((bits) => (bits & f.infinity) === f.infinity)) continue;
      const real = reals[name]!(operands.map((bits) => exactly(f, bits)));
      if (real === undefined) continue;
      for (const rounding of modes) {
        const status: FpStatus = { rounding, flags: 0 };
        const bits = operations[name]!(f, operands, status);
        const defined = roundReal(f, real, rounding);
        if (bits !== defined.bits || status.flags !== defined.flags) {
          expect({ bits, flags: status.flags }, `${hex(operands)} mode ${rounding}`).toEqual(defined);
        }
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(500);
  });
});

const smallest = 1n;
const least = 1n << 52n; // the smallest normal
const largest = 0x7fef_ffff_ffff_ffffn;
const infinity = 0x7ff0_0000_0000_0000n;
const quiet = 0x7ff8_0000_0000_0000n;
const signaling = 0x7ff0_0000_0000_0001n;
const minus = 1n << 63n;
const unit = 0x3ff0_0000_0000_0000n;
const two = 0x4000_0000_0000_0000n;

const vectors: readonly (readonly [string, readonly bigint[], Rounding, bigint, number])[] = [
  ["add", [unit, unit | minus], RNE, 0n, 0],
  ["add", [unit, unit | minus], RDN, minus, 0],
  ["add", [minus, minus], RUP, minus, 0],
  ["add", [0n, minus], RNE, 0n, 0],
  ["add", [0n, minus], RDN, minus, 0],
  ["subtract", [0n, 0n], RDN, minus, 0],
  ["add", [infinity, infinity | minus], RNE, quiet, NV],
  ["subtract", [infinity, infinity], RNE, quiet, NV],
  ["add", [infinity, infinity], RNE, infinity, 0],
  ["add", [unit, quiet | minus | 5n], RNE, quiet, 0],
  ["add", [signaling, unit], RNE, quiet, NV],
  ["add", [unit, smallest], RNE, unit, NX],
  ["add", [unit, smallest], RUP, unit + 1n, NX],
  ["add", [unit, 0x3ca0_0000_0000_0000n], RNE, unit, NX],
  ["add", [unit, 0x3ca0_0000_0000_0000n], RMM, unit + 1n, NX],
  ["add", [largest, largest], RNE, infinity, OF | NX],
  ["add", [largest, largest], RTZ, largest, OF | NX],
  ["add", [largest, largest], RDN, largest, OF | NX],
  ["add", [largest | minus, largest | minus], RDN, infinity | minus, OF | NX],
  ["add", [largest, smallest], RUP, infinity, OF | NX],
  ["add", [largest, smallest], RNE, largest, NX],
  ["multiply", [0n, infinity | minus], RNE, quiet, NV],
  ["multiply", [infinity, unit | minus], RNE, infinity | minus, 0],
  ["multiply", [minus, two], RNE, minus, 0],
  ["multiply", [smallest, smallest], RNE, 0n, UF | NX],
  ["multiply", [smallest, smallest | minus], RDN, smallest | minus, UF | NX],
  ["multiply", [smallest, smallest], RMM, 0n, UF | NX],
  // Half of an odd subnormal is a tie among subnormals; half of an even one is exact and raises nothing.
  ["multiply", [3n, 0x3fe0_0000_0000_0000n], RNE, 2n, UF | NX],
  ["multiply", [2n, 0x3fe0_0000_0000_0000n], RNE, 1n, 0],
  // (1 - 2^-53) · 2^-1022 fits 53 bits, so it stays tiny though its subnormal neighbour is the smallest normal.
  ["multiply", [least, 0x3fef_ffff_ffff_ffffn], RNE, least, UF | NX],
  // (1 - 2^-104) · 2^-1022 does not: with 53 bits and no bound it becomes 2^-1022, so it is not tiny after rounding.
  ["multiply", [least + 1n, 0x3fef_ffff_ffff_fffen], RNE, least, NX],
  ["multiply", [least + 1n, 0x3fef_ffff_ffff_fffen], RTZ, least - 1n, UF | NX],
  ["multiplyAdd", [least, unit, smallest | minus], RNE, least - 1n, 0],
  ["divide", [unit, 0n], RNE, infinity, DZ],
  ["divide", [unit, minus], RNE, infinity | minus, DZ],
  ["divide", [0n, 0n], RNE, quiet, NV],
  ["divide", [infinity, 0n], RNE, infinity, 0],
  ["divide", [infinity, infinity], RNE, quiet, NV],
  ["divide", [unit, infinity | minus], RNE, minus, 0],
  ["divide", [0n, unit | minus], RNE, minus, 0],
  ["divide", [unit, 0x4008_0000_0000_0000n], RNE, 0x3fd5_5555_5555_5555n, NX],
  ["divide", [unit, 0x4008_0000_0000_0000n], RUP, 0x3fd5_5555_5555_5556n, NX],
  ["squareRoot", [minus], RNE, minus, 0],
  ["squareRoot", [unit | minus], RNE, quiet, NV],
  ["squareRoot", [infinity], RNE, infinity, 0],
  ["squareRoot", [infinity | minus], RNE, quiet, NV],
  ["squareRoot", [quiet | minus], RNE, quiet, 0],
  ["squareRoot", [signaling], RNE, quiet, NV],
  ["squareRoot", [0x4010_0000_0000_0000n], RNE, two, 0],
  ["squareRoot", [two], RDN, 0x3ff6_a09e_667f_3bccn, NX],
  ["squareRoot", [two], RUP, 0x3ff6_a09e_667f_3bcdn, NX],
  ["multiplyAdd", [infinity, 0n, quiet], RNE, quiet, NV],
  ["multiplyAdd", [0n, infinity, unit], RNE, quiet, NV],
  ["multiplyAdd", [infinity, unit, infinity | minus], RNE, quiet, NV],
  ["multiplyAdd", [infinity, unit | minus, infinity | minus], RNE, infinity | minus, 0],
  ["multiplyAdd", [unit, unit, infinity | minus], RNE, infinity | minus, 0],
  ["multiplyAdd", [unit, unit, signaling], RNE, quiet, NV],
  ["multiplyAdd", [unit, unit, unit | minus], RNE, 0n, 0],
  ["multiplyAdd", [unit, unit, unit | minus], RDN, minus, 0],
  ["multiplyAdd", [minus, unit, minus], RNE, minus, 0],
  ["multiplyAdd", [largest, two, largest | minus], RNE, largest, 0],
  ["multiplyAdd", [unit + 1n, unit + 1n, (unit + 2n) | minus], RNE, 0x3970_0000_0000_0000n, 0],
];

describe("binary64", () => {
  test.each(
    vectors.map(([name, operands, rounding, bits, flags]) => ({
      title: `${name} of ${hex(operands)} in mode ${rounding} is ${bits.toString(16)} with flags ${flags}`,
      ...{ name, operands, rounding, bits, flags },
    })),
  )("$title", ({ name, operands, rounding, bits, flags }) => {
    const status: FpStatus = { rounding, flags: 0 };
    expect(operations[name]!(binary64, operands, status)).toBe(bits);
    expect(status.flags).toBe(flags);
  });
});
