// Bit patterns that floating-point code goes wrong on, from a seed.
import { SeededRng } from "../../../../base/index.ts";
import { multiply } from "../arithmetic.ts";
import {
  bfloat16,
  binary16,
  binary32,
  binary64,
  isInfinite,
  isNaNBits,
  magnitudeOf,
  signed,
  type FloatFormat,
} from "../float-format.ts";
import type { FpOperationName } from "../operations.ts";
import { fromInteger } from "../conversions.ts";

const integerLimits = [1n << 31n, 1n << 32n, 1n << 63n, 1n << 64n, 1n << 24n, 1n << 53n, 1n, 2n, 3n, 10n];

function edgesOf(f: FloatFormat): readonly bigint[] {
  const smallestNormal = 2n * f.quietBit;
  const integers = integerLimits.map((n) => fromInteger(f, n, { rounding: 0, flags: 0 }));
  const half = integers[6]! - smallestNormal;
  return [
    ...[0n, 1n, 2n, smallestNormal - 1n, smallestNormal, smallestNormal + 1n],
    ...[f.infinity - 1n, f.infinity, f.canonicalNaN, f.infinity + 1n, f.canonicalNaN + 5n],
    ...[half, half + f.quietBit],
    ...integers,
  ];
}

const edges = new Map([bfloat16, binary16, binary32, binary64].map((f) => [f, edgesOf(f)]));

export class Patterns {
  private readonly rng: SeededRng;

  constructor(seed: bigint) {
    this.rng = new SeededRng(seed);
  }

  below(limit: number): number {
    return this.rng.below(limit);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.rng.below(from.length)]!;
  }

  private sign(f: FloatFormat, magnitude: bigint): bigint {
    return signed(f, this.rng.below(2) === 1, magnitudeOf(f, magnitude));
  }

  /** A pattern with at most a few steps between it and `near`. */
  near(f: FloatFormat, near: bigint): bigint {
    return this.sign(f, near + BigInt(this.rng.below(9) - 4));
  }

  any(f: FloatFormat): bigint {
    const fractionMask = 2n * f.quietBit - 1n;
    const raw = this.rng.next64();
    const one = edges.get(f)![19]!;
    switch (this.rng.below(8)) {
      case 0:
      case 1:
        return this.sign(f, this.pick(edges.get(f)!));
      case 2:
        return this.near(f, this.pick(edges.get(f)!));
      case 3: // subnormal, of any length
        return this.sign(f, (raw & fractionMask) >> BigInt(this.rng.below(f.precision)));
      case 4: // few bits of fraction, so that results are exact or ties
        return this.sign(f, one + BigInt(this.rng.below(64) - 32) * f.quietBit * 2n + (raw & 7n) * (f.quietBit >> 2n));
      case 5: // of moderate size
        return this.sign(f, one + BigInt(this.rng.below(140) - 70) * f.quietBit * 2n + (raw & fractionMask));
      default:
        return this.sign(f, raw);
    }
  }

  finite(f: FloatFormat): bigint {
    for (;;) {
      const bits = this.any(f);
      if (!isNaNBits(f, bits) && !isInfinite(f, bits)) return bits;
    }
  }

  /** A second operand: unrelated, or close to the first in magnitude. */
  partner(f: FloatFormat, first: bigint): bigint {
    return this.rng.below(3) === 0 ? this.near(f, first) : this.any(f);
  }

  /** A third operand: unrelated, or close to the product of the first two. */
  addend(f: FloatFormat, a: bigint, b: bigint): bigint {
    if (this.rng.below(3) !== 0) return this.any(f);
    const product = magnitudeOf(f, multiply(f, a, b, { rounding: 0, flags: 0 }));
    const away = BigInt(this.rng.below(3)) * BigInt(this.rng.below(f.precision)) * f.quietBit * 2n;
    return this.near(f, product > away ? product - away : product);
  }

  /** An integer register: limits, small numbers, any bits. */
  integer(): bigint {
    const raw = this.rng.next64();
    switch (this.rng.below(4)) {
      case 0:
        return BigInt.asUintN(64, this.pick(integerLimits) * (raw & 1n ? 1n : -1n) + BigInt(this.rng.below(5) - 2));
      case 1:
        return BigInt.asUintN(64, BigInt.asIntN(64, raw) >> BigInt(this.rng.below(64)));
      default:
        return raw;
    }
  }

  /** A 64-bit f register: a double, a narrower number that is boxed, or one that is not. */
  register(f: FloatFormat, value: bigint): bigint {
    if (f === binary64) return value;
    const boxed = this.rng.below(12) !== 0;
    return BigInt.asUintN(64, (boxed ? -1n : this.rng.next64()) << BigInt(f.widthBits)) | value;
  }
}

const formats: Readonly<Record<string, FloatFormat>> = { h: binary16, s: binary32, d: binary64, bf16: bfloat16 };

/** The format of an operation's f operands; one that takes integers reads none. */
export function operandFormat(name: FpOperationName): FloatFormat {
  return formats[name.split(".").at(-1)!] ?? binary64;
}
