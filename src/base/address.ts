// Addresses say their space. Guest-physical ones are numbers below 2^53; 64-bit ones are bigint on cold paths.
import { assert } from "./assert.ts";

declare const space: unique symbol;

/** Guest-physical address in bytes, below 2^53. */
export type Gpa = number & { readonly [space]: "gpa" };
/** I/O virtual address: what a device puts on its bus, 64 bits. */
export type Iova = bigint & { readonly [space]: "iova" };

export function gpa(n: number): Gpa {
  assert(Number.isSafeInteger(n) && n >= 0, "a guest-physical address is a safe integer", n);
  return n as Gpa;
}

export function iova(n: bigint): Iova {
  assert(n >= 0n && n < 1n << 64n, "an IOVA has 64 bits", n);
  return n as Iova;
}
