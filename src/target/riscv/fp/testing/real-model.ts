// Rounding as IEEE 754 defines it, by searching the format for the neighbours of a real number: slow, and unlike rounding.ts.
import { exactly, signed, type Exact, type FloatFormat } from "../float-format.ts";
import { Flag, Rounding } from "../rounding.ts";

/** A non-zero real number, known by its sign and how non-negative dyadic numbers compare with its magnitude. */
export interface Real {
  readonly negative: boolean;
  /** Negative, zero or positive as `magnitude` is below, equal to or above. */
  readonly compare: (magnitude: Exact) => number;
}

function compareExact(a: Exact, b: Exact): number {
  const exponent = Math.min(a.exponent, b.exponent);
  const left = a.significand << BigInt(a.exponent - exponent);
  const right = b.significand << BigInt(b.exponent - exponent);
  return left < right ? -1 : left > right ? 1 : 0;
}

const absolute = (value: Exact): Exact => ({
  significand: value.significand < 0n ? -value.significand : value.significand,
  exponent: value.exponent,
});

/** numerator / denominator */
export function ratio(numerator: Exact, denominator: Exact): Real {
  const over = absolute(denominator);
  const target = absolute(numerator);
  return {
    negative: numerator.significand < 0n !== denominator.significand < 0n,
    compare: (m) =>
      compareExact({ significand: m.significand * over.significand, exponent: m.exponent + over.exponent }, target),
  };
}

export const one: Exact = { significand: 1n, exponent: 0 };

export function rootOf(radicand: Exact): Real {
  return {
    negative: false,
    compare: (m) => compareExact({ significand: m.significand * m.significand, exponent: 2 * m.exponent }, radicand),
  };
}

interface Neighbour {
  /** As if the pattern of infinity were the next power of two. */
  readonly pattern: bigint;
  readonly inexact: boolean;
}

function nearest(f: FloatFormat, real: Real, mode: Rounding): Neighbour {
  let low = 0n;
  let past = f.infinity + 1n;
  while (past - low > 1n) {
    const middle = (low + past) >> 1n;
    if (real.compare(exactly(f, middle)) <= 0) low = middle;
    else past = middle;
  }
  const value = exactly(f, low);
  if (real.compare(value) === 0) return { pattern: low, inexact: false };
  const midpoint = { significand: 2n * value.significand + 1n, exponent: value.exponent - 1 };
  const side = real.compare(midpoint);
  const up =
    mode === Rounding.nearestEven
      ? side < 0 || (side === 0 && (low & 1n) === 1n)
      : mode === Rounding.nearestMaxMagnitude
        ? side <= 0
        : mode === (real.negative ? Rounding.down : Rounding.up);
  return { pattern: up ? low + 1n : low, inexact: true };
}

export function roundReal(f: FloatFormat, real: Real, mode: Rounding): { bits: bigint; flags: number } {
  const found = nearest(f, real, mode);
  if (found.pattern >= f.infinity) {
    const toLargest = mode === Rounding.towardsZero || mode === (real.negative ? Rounding.up : Rounding.down) ? 1n : 0n;
    return { bits: signed(f, real.negative, f.infinity - toLargest), flags: Flag.overflow | Flag.inexact };
  }
  let flags = found.inexact ? Flag.inexact : 0;
  if (found.inexact && isTiny(f, real, mode)) flags |= Flag.underflow;
  return { bits: signed(f, real.negative, found.pattern), flags };
}

/** Rounds so far above the smallest normal that numbers around it keep their precision, and compares there. */
function isTiny(f: FloatFormat, real: Real, mode: Rounding): boolean {
  const scale = f.precision;
  if (real.compare({ significand: 1n, exponent: f.minExponent }) < 0) return false;
  const scaled: Real = {
    negative: real.negative,
    compare: (m) => real.compare({ significand: m.significand, exponent: m.exponent - scale }),
  };
  const smallestNormal = 2n * f.quietBit;
  return nearest(f, scaled, mode).pattern < smallestNormal + BigInt(scale) * smallestNormal;
}
