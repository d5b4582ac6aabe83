// Registers with a byte order of their own.

/** A 32-bit word with its bytes in the opposite order. */
export function swap32(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}
