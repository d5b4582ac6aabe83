// FNV-1a over 32-bit words, then over the bytes that are left: finds every damage within one word, and is quick.

const PRIME = 0x0100_0193;
export const CHECKSUM_START: number = 0x811c_9dc5;

/** Continues `sum` over `bytes`; a number from 0 to 2^32 - 1. */
export function checksum(bytes: Uint8Array, sum: number = CHECKSUM_START): number {
  let hash = sum;
  let at = 0;
  if (bytes.byteOffset % 4 === 0) {
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
    for (let i = 0; i < words.length; i++) hash = Math.imul(hash ^ words[i]!, PRIME);
    at = words.length * 4;
  } else {
    const end = bytes.length - 3;
    for (; at < end; at += 4) {
      const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
      hash = Math.imul(hash ^ word, PRIME);
    }
  }
  for (; at < bytes.length; at++) hash = Math.imul(hash ^ bytes[at]!, PRIME);
  return hash >>> 0;
}
