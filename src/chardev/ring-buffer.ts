// `-chardev ringbuf`: keeps the newest output in memory until somebody reads it; the oldest is lost first.
import { assert, isPowerOfTwo } from "../base/index.ts";
import { ByteQueue } from "./byte-queue.ts";
import type { CharBackend } from "./port.ts";

export class RingBufferChar implements CharBackend {
  readonly label: string;
  readonly #queue: ByteQueue;

  /** `capacityBytes` is a power of two, as QEMU's `size=` asks. */
  constructor(label: string, capacityBytes = 65_536) {
    assert(isPowerOfTwo(capacityBytes), "a ring buffer's size is a power of two", capacityBytes);
    this.label = label;
    this.#queue = new ByteQueue(capacityBytes);
  }

  write(bytes: Uint8Array): number {
    const kept = bytes.subarray(Math.max(0, bytes.length - (this.#queue.lengthBytes + this.#queue.freeBytes)));
    this.#queue.drop(Math.max(0, kept.length - this.#queue.freeBytes));
    this.#queue.push(kept);
    return bytes.length;
  }

  /** Takes out at most `limitBytes` of the oldest bytes that are left. */
  read(limitBytes?: number): Uint8Array {
    return this.#queue.take(limitBytes);
  }

  attach(): void {}
  frontReady(): void {}
  close(): void {}
}
