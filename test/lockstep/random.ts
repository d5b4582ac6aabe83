// Choices from a seed.
import { SeededRng } from "../../src/base/index.ts";
import { binary32, binary64 } from "../../src/target/riscv/fp/float-format.ts";
import { Patterns } from "../../src/target/riscv/fp/testing/patterns.ts";

export class Random {
  readonly #rng: SeededRng;
  readonly #patterns: Patterns;

  constructor(seed: bigint) {
    this.#rng = new SeededRng(seed);
    this.#patterns = new Patterns(this.#rng.next64());
  }

  below(limit: number): number {
    return this.#rng.below(limit);
  }

  /** True `percent` times of a hundred. */
  chance(percent: number): boolean {
    return this.#rng.below(100) < percent;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.#rng.below(from.length)]!;
  }

  /** By weight. */
  weighted<T>(from: readonly (readonly [weight: number, value: T])[]): T {
    let left = this.#rng.below(from.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, value] of from) if ((left -= weight) < 0) return value;
    return from[0]![1];
  }

  bits64(): bigint {
    return this.#rng.next64();
  }

  bits32(): number {
    return Number(this.#rng.next64() & 0xffff_ffffn) | 0;
  }

  /** Limits, small numbers, any bits. */
  integer(): bigint {
    return this.#patterns.integer();
  }

  /** An f register: doubles, singles boxed and not, of the patterns that arithmetic goes wrong on. */
  float(): bigint {
    const format = this.chance(50) ? binary32 : binary64;
    return this.#patterns.register(format, this.#patterns.any(format));
  }
}
