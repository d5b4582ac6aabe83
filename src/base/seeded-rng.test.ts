import { expect, test } from "vitest";
import { SeededRng } from "./seeded-rng.ts";

test("gives the reference sequence of xoshiro256** from the state 1, 2, 3, 4", () => {
  const rng = SeededRng.fromState([1n, 2n, 3n, 4n]);
  expect(Array.from({ length: 6 }, () => rng.next64())).toEqual([
    11520n,
    0n,
    1509978240n,
    1215971899390074240n,
    1216172134540287360n,
    607988272756665600n,
  ]);
});

test("seeds through splitmix64, whose first outputs from 1477776061723855037 are known", () => {
  expect(new SeededRng(1477776061723855037n).state.slice(0, 3)).toEqual([
    1985237415132408290n,
    2979275885539914483n,
    13511426838097143398n,
  ]);
});

test("equal seeds give equal bytes, other seeds others", () => {
  const bytesOf = (seed: bigint): Uint8Array => {
    const bytes = new Uint8Array(19);
    new SeededRng(seed).fill(bytes);
    return bytes;
  };
  expect(bytesOf(7n)).toEqual(bytesOf(7n));
  expect(bytesOf(7n)).not.toEqual(bytesOf(8n));
});

test("bytes are those of the 64-bit words, lowest first", () => {
  const bytes = new Uint8Array(9);
  SeededRng.fromState([1n, 2n, 3n, 4n]).fill(bytes);
  expect([...bytes]).toEqual([0x00, 0x2d, 0, 0, 0, 0, 0, 0, 0]);
});

test("continues from a saved state", () => {
  const rng = new SeededRng(3n);
  rng.next64();
  expect(SeededRng.fromState(rng.state).next64()).toBe(rng.next64());
});

test("below stays below its limit and reaches every value", () => {
  const rng = new SeededRng(1n);
  const seen = new Set(Array.from({ length: 200 }, () => rng.below(5)));
  expect([...seen].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4]);
});
