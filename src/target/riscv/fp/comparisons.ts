// Order, minimum, maximum and class of bit patterns (unprivileged spec §20.6, §20.8, §20.9, Zfa).
import {
  isInfinite,
  isNaNBits,
  isNegative,
  isSignaling,
  isZeroBits,
  magnitudeOf,
  type FloatFormat,
} from "./float-format.ts";
import { Flag, type FpStatus } from "./rounding.ts";

/** A number that orders patterns as their values are ordered; with -0 just below +0 when `zerosDiffer`. */
function rank(f: FloatFormat, bits: bigint, zerosDiffer: boolean): bigint {
  if (!isNegative(f, bits)) return magnitudeOf(f, bits);
  return -magnitudeOf(f, bits) - (zerosDiffer ? 1n : 0n);
}

/** Whether either is NaN, raising invalid for a signaling one, or for any when the comparison is a signaling one. */
function unordered(f: FloatFormat, a: bigint, b: bigint, status: FpStatus, signaling: boolean): boolean {
  if (!isNaNBits(f, a) && !isNaNBits(f, b)) return false;
  if (signaling || isSignaling(f, a) || isSignaling(f, b)) status.flags |= Flag.invalid;
  return true;
}

export function equal(f: FloatFormat, a: bigint, b: bigint, status: FpStatus): boolean {
  return !unordered(f, a, b, status, false) && rank(f, a, false) === rank(f, b, false);
}

export function less(f: FloatFormat, a: bigint, b: bigint, status: FpStatus): boolean {
  return !unordered(f, a, b, status, true) && rank(f, a, false) < rank(f, b, false);
}

export function lessOrEqual(f: FloatFormat, a: bigint, b: bigint, status: FpStatus): boolean {
  return !unordered(f, a, b, status, true) && rank(f, a, false) <= rank(f, b, false);
}

/** As `less`, but a quiet NaN raises nothing (Zfa). */
export function quietLess(f: FloatFormat, a: bigint, b: bigint, status: FpStatus): boolean {
  return !unordered(f, a, b, status, false) && rank(f, a, false) < rank(f, b, false);
}

export function quietLessOrEqual(f: FloatFormat, a: bigint, b: bigint, status: FpStatus): boolean {
  return !unordered(f, a, b, status, false) && rank(f, a, false) <= rank(f, b, false);
}

/** minimum of IEEE 754-2019 §9.6: NaN wins over a number. */
export function minimumOrNaN(f: FloatFormat, a: bigint, b: bigint, status: FpStatus): bigint {
  if (unordered(f, a, b, status, false)) return f.canonicalNaN;
  return rank(f, a, true) <= rank(f, b, true) ? a : b;
}

export function maximumOrNaN(f: FloatFormat, a: bigint, b: bigint, status: FpStatus): bigint {
  if (unordered(f, a, b, status, false)) return f.canonicalNaN;
  return rank(f, a, true) >= rank(f, b, true) ? a : b;
}

/** minimumNumber of IEEE 754-2019 §9.6: a number wins over NaN. */
export function minimum(f: FloatFormat, a: bigint, b: bigint, status: FpStatus): bigint {
  return chosenNumber(f, a, b, status) ?? (rank(f, a, true) <= rank(f, b, true) ? a : b);
}

/** maximumNumber of IEEE 754-2019 §9.6. */
export function maximum(f: FloatFormat, a: bigint, b: bigint, status: FpStatus): bigint {
  return chosenNumber(f, a, b, status) ?? (rank(f, a, true) >= rank(f, b, true) ? a : b);
}

function chosenNumber(f: FloatFormat, a: bigint, b: bigint, status: FpStatus): bigint | undefined {
  if (!unordered(f, a, b, status, false)) return undefined;
  if (!isNaNBits(f, a)) return a;
  return isNaNBits(f, b) ? f.canonicalNaN : b;
}

/** The bit that fclass sets: from -infinity (0) over the zeros (3, 4) to +infinity (7), signaling (8), quiet NaN (9). */
export function classify(f: FloatFormat, bits: bigint): number {
  if (isNaNBits(f, bits)) return isSignaling(f, bits) ? 8 : 9;
  const size = isInfinite(f, bits) ? 3 : isZeroBits(f, bits) ? 0 : magnitudeOf(f, bits) < 2n * f.quietBit ? 1 : 2;
  return isNegative(f, bits) ? 3 - size : 4 + size;
}
