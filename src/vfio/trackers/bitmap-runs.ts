// Dirty bitmaps as the kernel fills them, as runs of pages.

/** Calls `onRun` for each run of one bits, least bit of the first byte first; `bitCount` bits count. */
export function forEachRun(bitmap: Uint8Array, bitCount: number, onRun: (first: number, count: number) => void): void {
  let start = -1;
  let bit = 0;
  while (bit < bitCount) {
    const byte = bitmap[bit >>> 3]!;
    // Whole bytes that do not change anything are the common case.
    if ((bit & 7) === 0 && bit + 8 <= bitCount && byte === (start === -1 ? 0 : 0xff)) {
      bit += 8;
      continue;
    }
    const isSet = ((byte >>> (bit & 7)) & 1) !== 0;
    if (isSet && start === -1) start = bit;
    else if (!isSet && start !== -1) {
      onRun(start, bit - start);
      start = -1;
    }
    bit += 1;
  }
  if (start !== -1) onRun(start, bitCount - start);
}
