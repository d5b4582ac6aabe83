// A reproducible source of random bytes: xoshiro256** (Blackman and Vigna, 2018), seeded through splitmix64.
// For tests and deterministic runs; it is no source of secrets.
import { assert } from "./assert.ts";
import type { RngPort } from "./ports.ts";

export class SeededRng implements RngPort {
  readonly #state: BigUint64Array;

  /** Any 64-bit seed; equal seeds give equal streams. */
  constructor(seed: bigint) {
    let mixer = seed;
    this.#state = BigUint64Array.from({ length: 4 }, () => {
      mixer = BigInt.asUintN(64, mixer + 0x9e3779b97f4a7c15n);
      let z = mixer;
      z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
      z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
      return z ^ (z >> 31n);
    });
  }

  /** Continues from a state that `state` gave; not all zero. */
  static fromState(state: readonly [bigint, bigint, bigint, bigint]): SeededRng {
    assert(
      state.some((word) => word !== 0n),
      "a state of xoshiro is not all zero",
    );
    const rng = new SeededRng(0n);
    rng.#state.set(state);
    return rng;
  }

  get state(): [bigint, bigint, bigint, bigint] {
    const [a, b, c, d] = this.#state;
    return [a!, b!, c!, d!];
  }

  /** The next 64 bits. */
  next64(): bigint {
    const s = this.#state;
    const result = BigInt.asUintN(64, rotateLeft(BigInt.asUintN(64, s[1]! * 5n), 7n) * 9n);
    const t = s[1]! << 17n;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2] = s[2]! ^ t;
    s[3] = rotateLeft(s[3]!, 45n);
    return result;
  }

  /** An integer from 0 to `limit - 1`; `limit` at most 2^53. The bias is below 2^-11. */
  below(limit: number): number {
    assert(Number.isSafeInteger(limit) && limit > 0, "a limit is a positive integer", limit);
    return Number(this.next64() % BigInt(limit));
  }

  fill(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += 8) {
      let word = this.next64();
      for (let i = at; i < at + 8 && i < bytes.length; i++, word >>= 8n) bytes[i] = Number(word & 0xffn);
    }
  }
}

function rotateLeft(word: bigint, by: bigint): bigint {
  return BigInt.asUintN(64, (word << by) | (word >> (64n - by)));
}
