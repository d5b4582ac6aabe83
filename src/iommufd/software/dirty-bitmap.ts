// The caller's dirty bitmap, written a stretch at a time. Bits are only ever set; bytes out of reach are skipped silently,
// as the kernel does.
import type { CallerMemory } from "../port.ts";

const STRETCH_BYTES = 4096;

export class DirtyBitmap {
  readonly #memory: CallerMemory;
  readonly #va: bigint;
  readonly #iova: bigint;
  readonly #pageShift: bigint;
  readonly #stretch = new Uint8Array(STRETCH_BYTES);
  /** First bitmap byte of the stretch at hand; -1 for none. */
  #base = -1;
  /** Bytes of the stretch that were touched. */
  #low = STRETCH_BYTES;
  #high = -1;

  /** Bit 0 stands for `pageBytes` bytes (a power of two) from `iova`. */
  constructor(memory: CallerMemory, va: bigint, iova: bigint, pageBytes: bigint) {
    this.#memory = memory;
    this.#va = va;
    this.#iova = iova;
    this.#pageShift = BigInt(pageBytes.toString(2).length - 1);
  }

  /** Marks every page that the range touches. */
  set(iova: bigint, lengthBytes: bigint): void {
    const first = Number((iova - this.#iova) >> this.#pageShift);
    const last = Number((iova + lengthBytes - 1n - this.#iova) >> this.#pageShift);
    for (let bit = first; bit <= last;) {
      const byte = Math.floor(bit / 8);
      const base = byte - (byte % STRETCH_BYTES);
      if (base !== this.#base) {
        this.flush();
        this.#base = base;
      }
      const end = Math.min(last, (base + STRETCH_BYTES) * 8 - 1);
      const low = byte - base;
      const high = Math.floor(end / 8) - base;
      if (low < this.#low) this.#low = low;
      if (high > this.#high) this.#high = high;
      for (; bit <= end; bit++) {
        if (bit % 8 === 0 && bit + 7 <= end) {
          this.#stretch[Math.floor(bit / 8) - base] = 0xff;
          bit += 7;
        } else {
          this.#stretch[Math.floor(bit / 8) - base]! |= 1 << (bit % 8);
        }
      }
    }
  }

  /** Merges what was set into the caller's bytes. */
  flush(): void {
    if (this.#high >= 0) {
      const part = this.#stretch.subarray(this.#low, this.#high + 1);
      const va = this.#va + BigInt(this.#base + this.#low);
      const old = new Uint8Array(part.length);
      if (this.#memory.read(va, old)) {
        for (let i = 0; i < part.length; i++) part[i]! |= old[i]!;
        this.#memory.write(va, part);
      }
      part.fill(0);
    }
    this.#low = STRETCH_BYTES;
    this.#high = -1;
    this.#base = -1;
  }
}
