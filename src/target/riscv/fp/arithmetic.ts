// Exact sums, products, quotients and roots of bit patterns, rounded once (IEEE 754-2019 §5.4.1, §6, §7).
import {
  exactly,
  isInfinite,
  isNaNBits,
  isNegative,
  isSignaling,
  isZeroBits,
  signed,
  type Exact,
  type FloatFormat,
} from "./float-format.ts";
import { bitLength, Flag, roundTo, Rounding, type FpStatus } from "./rounding.ts";

/** The canonical NaN when an operand is NaN; a signaling one raises invalid. */
function nanOf(f: FloatFormat, status: FpStatus, operands: readonly bigint[]): bigint | undefined {
  if (!operands.some((bits) => isNaNBits(f, bits))) return undefined;
  if (operands.some((bits) => isSignaling(f, bits))) status.flags |= Flag.invalid;
  return f.canonicalNaN;
}

function invalid(f: FloatFormat, status: FpStatus): bigint {
  status.flags |= Flag.invalid;
  return f.canonicalNaN;
}

/** The sum of two exact values; `zeroNegative` are the signs of the addends, which decide the sign of a zero (§6.3). */
function roundedSum(
  f: FloatFormat,
  a: Exact,
  b: Exact,
  zeroNegative: readonly [boolean, boolean],
  status: FpStatus,
): bigint {
  const exponent = Math.min(a.exponent, b.exponent);
  const significand =
    (a.significand << BigInt(a.exponent - exponent)) + (b.significand << BigInt(b.exponent - exponent));
  if (significand !== 0n) return roundTo(f, { significand, exponent }, status);
  const [first, second] = zeroNegative;
  return signed(f, first === second ? first : status.rounding === Rounding.down, 0n);
}

export function add(f: FloatFormat, a: bigint, b: bigint, status: FpStatus): bigint {
  const nan = nanOf(f, status, [a, b]);
  if (nan !== undefined) return nan;
  if (isInfinite(f, a)) {
    return isInfinite(f, b) && isNegative(f, a) !== isNegative(f, b) ? invalid(f, status) : a;
  }
  if (isInfinite(f, b)) return b;
  return roundedSum(f, exactly(f, a), exactly(f, b), [isNegative(f, a), isNegative(f, b)], status);
}

export function subtract(f: FloatFormat, a: bigint, b: bigint, status: FpStatus): bigint {
  return add(f, a, b ^ f.signBit, status);
}

export function multiply(f: FloatFormat, a: bigint, b: bigint, status: FpStatus): bigint {
  const nan = nanOf(f, status, [a, b]);
  if (nan !== undefined) return nan;
  const negative = isNegative(f, a) !== isNegative(f, b);
  const zero = isZeroBits(f, a) || isZeroBits(f, b);
  if (isInfinite(f, a) || isInfinite(f, b)) return zero ? invalid(f, status) : signed(f, negative, f.infinity);
  return zero ? signed(f, negative, 0n) : roundTo(f, product(exactly(f, a), exactly(f, b)), status);
}

const product = (a: Exact, b: Exact): Exact => ({
  significand: a.significand * b.significand,
  exponent: a.exponent + b.exponent,
});

/** a · b + c with one rounding. */
export function multiplyAdd(f: FloatFormat, a: bigint, b: bigint, c: bigint, status: FpStatus): bigint {
  const infinite = isInfinite(f, a) || isInfinite(f, b);
  // Invalid even when the addend is a quiet NaN (unprivileged spec §20.6).
  if (infinite && (isZeroBits(f, a) || isZeroBits(f, b))) return invalid(f, status);
  const nan = nanOf(f, status, [a, b, c]);
  if (nan !== undefined) return nan;
  const negative = isNegative(f, a) !== isNegative(f, b);
  if (infinite) {
    return isInfinite(f, c) && isNegative(f, c) !== negative ? invalid(f, status) : signed(f, negative, f.infinity);
  }
  if (isInfinite(f, c)) return c;
  return roundedSum(f, product(exactly(f, a), exactly(f, b)), exactly(f, c), [negative, isNegative(f, c)], status);
}

export function divide(f: FloatFormat, a: bigint, b: bigint, status: FpStatus): bigint {
  const nan = nanOf(f, status, [a, b]);
  if (nan !== undefined) return nan;
  const negative = isNegative(f, a) !== isNegative(f, b);
  if (isInfinite(f, a)) return isInfinite(f, b) ? invalid(f, status) : signed(f, negative, f.infinity);
  if (isInfinite(f, b)) return signed(f, negative, 0n);
  if (isZeroBits(f, b)) {
    if (isZeroBits(f, a)) return invalid(f, status);
    status.flags |= Flag.divideByZero;
    return signed(f, negative, f.infinity);
  }
  if (isZeroBits(f, a)) return signed(f, negative, 0n);
  const dividend = exactly(f, a);
  const divisor = exactly(f, b);
  // At least `precision` + 2 bits of quotient, so that what the remainder adds stays below the rounding position.
  const numerator = magnitude(dividend) << BigInt(2 * f.precision + 2);
  const denominator = magnitude(divisor);
  const quotient = numerator / denominator;
  const significand = withSticky(quotient, quotient * denominator !== numerator);
  return roundTo(
    f,
    {
      significand: negative ? -significand : significand,
      exponent: dividend.exponent - divisor.exponent - 2 * f.precision - 3,
    },
    status,
  );
}

const magnitude = (value: Exact): bigint => (value.significand < 0n ? -value.significand : value.significand);

/** One more bit: set when something non-zero was cut off. */
const withSticky = (kept: bigint, lost: boolean): bigint => (kept << 1n) | (lost ? 1n : 0n);

export function squareRoot(f: FloatFormat, a: bigint, status: FpStatus): bigint {
  const nan = nanOf(f, status, [a]);
  if (nan !== undefined) return nan;
  if (isZeroBits(f, a)) return a;
  if (isNegative(f, a)) return invalid(f, status);
  if (isInfinite(f, a)) return a;
  const value = exactly(f, a);
  // An even exponent, and enough bits for `precision` + 2 in the root.
  const shift = 2 * f.precision + 6 + (value.exponent & 1);
  const radicand = value.significand << BigInt(shift);
  const root = integerSquareRoot(radicand);
  const significand = withSticky(root, root * root !== radicand);
  return roundTo(f, { significand, exponent: (value.exponent - shift) / 2 - 1 }, status);
}

/** The greatest integer whose square is not above `n` > 0, by Newton's iteration from above. */
function integerSquareRoot(n: bigint): bigint {
  let root = 1n << BigInt((bitLength(n) + 1) >> 1);
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
