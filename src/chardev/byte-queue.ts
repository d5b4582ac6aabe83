// A bounded first-in first-out queue of bytes.

export class ByteQueue {
  readonly #bytes: Uint8Array;
  #head = 0;
  #length = 0;

  constructor(capacityBytes: number) {
    this.#bytes = new Uint8Array(capacityBytes);
  }

  get lengthBytes(): number {
    return this.#length;
  }

  get freeBytes(): number {
    return this.#bytes.length - this.#length;
  }

  /** Returns false when the queue is full. */
  pushByte(byte: number): boolean {
    if (this.#length === this.#bytes.length) return false;
    this.#bytes[(this.#head + this.#length++) % this.#bytes.length] = byte;
    return true;
  }

  /** Copies in what fits from the start of `bytes`; returns how many. */
  push(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.freeBytes);
    const tail = (this.#head + this.#length) % this.#bytes.length;
    const untilEnd = Math.min(taken, this.#bytes.length - tail);
    this.#bytes.set(bytes.subarray(0, untilEnd), tail);
    this.#bytes.set(bytes.subarray(untilEnd, taken), 0);
    this.#length += taken;
    return taken;
  }

  /** The oldest bytes that lie in one piece, without taking them; valid until the next push. */
  peek(limitBytes: number = this.#length): Uint8Array {
    const length = Math.min(limitBytes, this.#length, this.#bytes.length - this.#head);
    return this.#bytes.subarray(this.#head, this.#head + length);
  }

  /** Forgets the oldest bytes. */
  drop(lengthBytes: number): void {
    const dropped = Math.min(lengthBytes, this.#length);
    this.#length -= dropped;
    // Starting over keeps short bursts in one piece.
    this.#head = this.#length === 0 ? 0 : (this.#head + dropped) % this.#bytes.length;
  }

  /** Takes the oldest bytes out, as a copy. */
  take(limitBytes: number = this.#length): Uint8Array {
    const taken = new Uint8Array(Math.min(limitBytes, this.#length));
    for (let at = 0; at < taken.length;) {
      const piece = this.peek(taken.length - at);
      taken.set(piece, at);
      at += piece.length;
      this.drop(piece.length);
    }
    return taken;
  }

  /** Everything, as a copy, without taking it. */
  copy(): Uint8Array {
    const first = this.peek();
    const copy = new Uint8Array(this.#length);
    copy.set(first);
    copy.set(this.#bytes.subarray(0, this.#length - first.length), first.length);
    return copy;
  }

  clear(): void {
    this.#head = 0;
    this.#length = 0;
  }
}
