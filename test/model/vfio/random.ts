import { SeededRng } from "../../../src/base/index.ts";

/** Choices of a run, all from one seed. */
export class Random {
  readonly #rng: SeededRng;

  constructor(seed: number) {
    this.#rng = new SeededRng(BigInt(seed));
  }

  /** Both included. */
  between(low: number, high: number): number {
    return low + this.#rng.below(high - low + 1);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.#rng.below(from.length)]!;
  }

  chance(of: number, among: number): boolean {
    return this.#rng.below(among) < of;
  }
}
