// The binary interchange formats of IEEE 754-2019 (§3.4) as bit patterns, and what a pattern stands for.

export interface FloatFormat {
  readonly widthBits: number;
  /** Bits of significand, the hidden one included. */
  readonly precision: number;
  /** Exponent of the smallest normal number. */
  readonly minExponent: number;
  readonly signBit: bigint;
  readonly infinity: bigint;
  /** The quiet bit of NaNs. */
  readonly quietBit: bigint;
  /** RISC-V's only NaN result: positive and quiet with an empty payload (unprivileged spec §20.3). */
  readonly canonicalNaN: bigint;
}

function makeFormat(widthBits: number, precision: number): FloatFormat {
  const exponentBits = widthBits - precision;
  const fraction = BigInt(precision - 1);
  const infinity = ((1n << BigInt(exponentBits)) - 1n) << fraction;
  const quietBit = 1n << (fraction - 1n);
  return {
    widthBits,
    precision,
    minExponent: 2 - 2 ** (exponentBits - 1),
    signBit: 1n << BigInt(widthBits - 1),
    infinity,
    quietBit,
    canonicalNaN: infinity | quietBit,
  };
}

export const binary16: FloatFormat = makeFormat(16, 11);
/** BF16: the upper half of a single (Zfbfmin). */
export const bfloat16: FloatFormat = makeFormat(16, 8);
export const binary32: FloatFormat = makeFormat(32, 24);
export const binary64: FloatFormat = makeFormat(64, 53);

export const magnitudeOf = (f: FloatFormat, bits: bigint): bigint => bits & (f.signBit - 1n);
export const isNegative = (f: FloatFormat, bits: bigint): boolean => (bits & f.signBit) !== 0n;
export const isNaNBits = (f: FloatFormat, bits: bigint): boolean => magnitudeOf(f, bits) > f.infinity;
export const isSignaling = (f: FloatFormat, bits: bigint): boolean => isNaNBits(f, bits) && (bits & f.quietBit) === 0n;
export const isInfinite = (f: FloatFormat, bits: bigint): boolean => magnitudeOf(f, bits) === f.infinity;
export const isZeroBits = (f: FloatFormat, bits: bigint): boolean => magnitudeOf(f, bits) === 0n;

export const signed = (f: FloatFormat, negative: boolean, magnitude: bigint): bigint =>
  negative ? magnitude | f.signBit : magnitude;

/** significand · 2^exponent, exactly; the significand carries the sign. */
export interface Exact {
  readonly significand: bigint;
  readonly exponent: number;
}

/** The value of a finite pattern. */
export function exactly(f: FloatFormat, bits: bigint): Exact {
  const fraction = BigInt(f.precision - 1);
  const biased = Number(magnitudeOf(f, bits) >> fraction);
  const stored = bits & ((1n << fraction) - 1n);
  const magnitude = biased === 0 ? stored : stored | (1n << fraction);
  return {
    significand: isNegative(f, bits) ? -magnitude : magnitude,
    exponent: f.minExponent + Math.max(biased, 1) - f.precision,
  };
}
