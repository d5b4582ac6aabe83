// Conversions between formats and to and from integers (unprivileged spec §20.7, §21.5, Zfa).
import {
  exactly,
  isInfinite,
  isNaNBits,
  isNegative,
  isSignaling,
  isZeroBits,
  magnitudeOf,
  signed,
  type FloatFormat,
} from "./float-format.ts";
import { Flag, roundTo, roundToInteger, type FpStatus } from "./rounding.ts";

/** An integer format by its least and greatest values. */
export interface IntegerRange {
  readonly least: bigint;
  readonly greatest: bigint;
}

export const integerRanges: Readonly<Record<"w" | "wu" | "l" | "lu", IntegerRange>> = {
  w: { least: -(1n << 31n), greatest: (1n << 31n) - 1n },
  wu: { least: 0n, greatest: (1n << 32n) - 1n },
  l: { least: -(1n << 63n), greatest: (1n << 63n) - 1n },
  lu: { least: 0n, greatest: (1n << 64n) - 1n },
};

/** Out of range saturates and NaN is the greatest value; both raise invalid and nothing else (§20.7, table 28). */
export function toInteger(f: FloatFormat, bits: bigint, range: IntegerRange, status: FpStatus): bigint {
  const saturate = (value: bigint): bigint => {
    status.flags |= Flag.invalid;
    return value;
  };
  if (isNaNBits(f, bits)) return saturate(range.greatest);
  if (isInfinite(f, bits)) return saturate(isNegative(f, bits) ? range.least : range.greatest);
  const value = exactly(f, bits);
  const integer = roundToInteger(value, status.rounding);
  if (integer < range.least) return saturate(range.least);
  if (integer > range.greatest) return saturate(range.greatest);
  if (value.exponent < 0 && integer << BigInt(-value.exponent) !== value.significand) status.flags |= Flag.inexact;
  return integer;
}

/** The integer part modulo 2^32, sign-extended; flags as when it saturates (fcvtmod.w.d of Zfa). */
export function toWordModulo(f: FloatFormat, bits: bigint, status: FpStatus): bigint {
  toInteger(f, bits, integerRanges.w, status);
  if (isNaNBits(f, bits) || isInfinite(f, bits)) return 0n;
  return BigInt.asIntN(32, roundToInteger(exactly(f, bits), status.rounding));
}

/** Rounded to an integer in the same format; `raises` says whether a changed value is inexact (fround and froundnx of Zfa). */
export function roundWithin(f: FloatFormat, bits: bigint, status: FpStatus, raises: boolean): bigint {
  if (isNaNBits(f, bits)) return convert(f, f, bits, status);
  if (isInfinite(f, bits)) return bits;
  const value = exactly(f, bits);
  if (value.exponent >= 0) return bits;
  const integer = roundToInteger(value, status.rounding);
  if (raises && integer << BigInt(-value.exponent) !== value.significand) status.flags |= Flag.inexact;
  const whole = fromInteger(f, integer, status);
  return signed(f, isNegative(f, bits), magnitudeOf(f, whole));
}

export function fromInteger(f: FloatFormat, integer: bigint, status: FpStatus): bigint {
  return integer === 0n ? 0n : roundTo(f, { significand: integer, exponent: 0 }, status);
}

export function convert(from: FloatFormat, to: FloatFormat, bits: bigint, status: FpStatus): bigint {
  if (isNaNBits(from, bits)) {
    if (isSignaling(from, bits)) status.flags |= Flag.invalid;
    return to.canonicalNaN;
  }
  if (isInfinite(from, bits)) return signed(to, isNegative(from, bits), to.infinity);
  if (isZeroBits(from, bits)) return signed(to, isNegative(from, bits), 0n);
  return roundTo(to, exactly(from, bits), status);
}
