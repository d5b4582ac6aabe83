// Rounding an exact value to a format or to an integer, with the exceptions that this raises (IEEE 754-2019 §4.3, §7).
import { assert } from "../../../base/index.ts";
import { signed, type Exact, type FloatFormat } from "./float-format.ts";

/** Values of rm and frm (unprivileged spec §20.2, table 25). */
export const Rounding = {
  nearestEven: 0,
  towardsZero: 1,
  down: 2,
  up: 3,
  nearestMaxMagnitude: 4,
} as const;
export type Rounding = (typeof Rounding)[keyof typeof Rounding];

/** Bits of fflags. */
export const Flag = { inexact: 1, underflow: 2, overflow: 4, divideByZero: 8, invalid: 16 } as const;

/** What an operation rounds by, and the exceptions that it raised. */
export interface FpStatus {
  rounding: Rounding;
  flags: number;
}

export function bitLength(magnitude: bigint): number {
  const hex = magnitude.toString(16);
  return hex.length * 4 - Math.clz32(parseInt(hex[0]!, 16)) + 28;
}

/** magnitude / 2^shift rounded to an integer. */
function shiftAndRound(magnitude: bigint, shift: number, negative: boolean, mode: Rounding): bigint {
  const kept = magnitude >> BigInt(shift);
  const rest = magnitude - (kept << BigInt(shift));
  if (rest === 0n) return kept;
  const half = 1n << BigInt(shift - 1);
  switch (mode) {
    case Rounding.nearestEven:
      return rest > half || (rest === half && (kept & 1n) === 1n) ? kept + 1n : kept;
    case Rounding.nearestMaxMagnitude:
      return rest >= half ? kept + 1n : kept;
    case Rounding.down:
      return negative ? kept + 1n : kept;
    case Rounding.up:
      return negative ? kept : kept + 1n;
    case Rounding.towardsZero:
      return kept;
  }
}

/** The pattern nearest to `value` in the sense of the rounding mode. A zero needs a sign, so it is for the caller. */
export function roundTo(f: FloatFormat, value: Exact, status: FpStatus): bigint {
  assert(value.significand !== 0n, "a value to round is not zero");
  const negative = value.significand < 0n;
  const magnitude = negative ? -value.significand : value.significand;
  const leading = value.exponent + bitLength(magnitude) - 1;
  const leastUnit = f.minExponent - f.precision + 1;
  const unit = Math.max(leading - f.precision + 1, leastUnit);
  const shift = unit - value.exponent;
  const mode = status.rounding;
  let rounded: bigint;
  if (shift <= 0) {
    rounded = magnitude << BigInt(-shift);
  } else {
    rounded = shiftAndRound(magnitude, shift, negative, mode);
    if (rounded << BigInt(shift) !== magnitude) {
      status.flags |= Flag.inexact;
      if (isTiny(f, { magnitude, leading, negative }, shift, mode)) status.flags |= Flag.underflow;
    }
  }
  // A carry out of the significand lands in the exponent field, where it belongs.
  const pattern = (BigInt(unit - leastUnit) << BigInt(f.precision - 1)) + rounded;
  if (pattern < f.infinity) return signed(f, negative, pattern);
  status.flags |= Flag.overflow | Flag.inexact;
  const infinite =
    mode === Rounding.nearestEven ||
    mode === Rounding.nearestMaxMagnitude ||
    mode === (negative ? Rounding.down : Rounding.up);
  return signed(f, negative, infinite ? f.infinity : f.infinity - 1n);
}

/** Tininess is detected after rounding: as if the exponent had no bounds (unprivileged spec §20.2). */
function isTiny(
  f: FloatFormat,
  value: { magnitude: bigint; leading: number; negative: boolean },
  shift: number,
  mode: Rounding,
): boolean {
  if (value.leading !== f.minExponent - 1) return value.leading < f.minExponent;
  const unbounded = shiftAndRound(value.magnitude, shift - 1, value.negative, mode);
  return unbounded < 1n << BigInt(f.precision);
}

/** `value` as an integer; whether that was exact is for the caller to see. */
export function roundToInteger(value: Exact, mode: Rounding): bigint {
  const { significand, exponent } = value;
  if (exponent >= 0) return significand << BigInt(exponent);
  const negative = significand < 0n;
  const rounded = shiftAndRound(negative ? -significand : significand, -exponent, negative, mode);
  return negative ? -rounded : rounded;
}
