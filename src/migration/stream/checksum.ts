// FNV-1a over 32-bit words, then over the bytes that are left: the checksum of streams of version 1, and of single pages.
import { viewOf } from "../../base/index.ts";

const PRIME = 0x0100_0193;
const START = 0x811c_9dc5;

/** A number from 0 to 2^32 - 1. */
export function checksum(bytes: Uint8Array): number {
  const view = viewOf(bytes);
  const wordsEnd = bytes.length & ~3;
  let hash = START;
  for (let at = 0; at < wordsEnd; at += 4) hash = Math.imul(hash ^ view.getUint32(at, true), PRIME);
  for (let at = wordsEnd; at < bytes.length; at++) hash = Math.imul(hash ^ bytes[at]!, PRIME);
  return hash >>> 0;
}
