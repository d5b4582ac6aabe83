// Memory of the caller in which requests are written, where the host can reach them.
import { assert } from "../../base/index.ts";

/** Memory of the caller that the host reads and writes: `bytes` lie at address `va`. */
export interface ClientArena {
  readonly va: bigint;
  readonly bytes: Uint8Array;
}

/** Requests lie at the arena's start, what they point to after them. */
export const PAYLOAD_AT = 256;
export const LEAST_ARENA_BYTES = 4096;

/** Puts a payload in its place; its address. */
export function placePayload({ va, bytes }: ClientArena, payload: Uint8Array): bigint {
  assert(payload.length <= bytes.length - PAYLOAD_AT, "a payload fits the arena", payload.length, bytes.length);
  bytes.set(payload, PAYLOAD_AT);
  return va + BigInt(PAYLOAD_AT);
}
