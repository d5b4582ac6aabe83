// A front's bytes on their way to its back: gathered into large writes, kept while the back is full.
import { ByteQueue } from "./byte-queue.ts";
import type { CharBackend } from "./port.ts";

export class OutputQueue {
  readonly #queue: ByteQueue;
  readonly #back: CharBackend | undefined;
  #backIsFull = false;

  /** Without a back, bytes vanish. */
  constructor(capacityBytes: number, back: CharBackend | undefined) {
    this.#queue = new ByteQueue(capacityBytes);
    this.#back = back;
  }

  get lengthBytes(): number {
    return this.#queue.lengthBytes;
  }

  /** Returns false, and drops the byte, when the queue is full even after a flush. */
  pushByte(byte: number): boolean {
    if (this.#queue.pushByte(byte)) return true;
    this.flush();
    return this.#queue.pushByte(byte);
  }

  /** Copies in what fits; returns how many bytes. */
  push(bytes: Uint8Array): number {
    return this.#queue.push(bytes);
  }

  /** Gives the back what it takes; what it does not take stays until `backWritable`. */
  flush(): void {
    if (this.#back === undefined) this.#queue.clear();
    while (!this.#backIsFull && this.#queue.lengthBytes > 0) {
      const offered = this.#queue.peek();
      const taken = this.#back!.write(offered);
      this.#backIsFull = taken < offered.length;
      this.#queue.drop(taken);
    }
  }

  /** What the front's `writable` calls. */
  backWritable(): void {
    this.#backIsFull = false;
    this.flush();
  }

  /** The unsent bytes, for saved state. */
  save(): Uint8Array {
    return this.#queue.copy();
  }

  load(unsent: Uint8Array): void {
    this.#queue.clear();
    this.#queue.push(unsent);
  }
}
