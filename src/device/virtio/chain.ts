// One buffer of a virtqueue as a scatter list: the device-readable segments, then the device-writable ones.
import { assert, type Iova } from "../../base/index.ts";
import { DmaStatus, type DmaPort } from "../port.ts";

/** Runs of guest memory; kept and refilled, so that taking a buffer allocates little. */
export class Segments {
  readonly addresses: bigint[] = [];
  readonly lengths: number[] = [];
  count = 0;
  lengthBytes = 0;

  clear(): void {
    this.count = 0;
    this.lengthBytes = 0;
  }

  add(address: bigint, lengthBytes: number): void {
    this.addresses[this.count] = address;
    this.lengths[this.count] = lengthBytes;
    this.count++;
    this.lengthBytes += lengthBytes;
  }
}

/** Says whether the queue still owns what it gave out: false after a reset of device or queue. */
export interface ChainOwner {
  readonly dma: DmaPort;
  isCurrent(chain: Chain): boolean;
}

/**
 * A chain of descriptors that a device has taken and not yet completed. After a reset it is stale: `read` and `write`
 * touch no guest memory any more and return false.
 */
export class Chain {
  readonly readable: Segments = new Segments();
  readonly writable: Segments = new Segments();
  /** Index of the first descriptor: the driver's name for the buffer. */
  head = 0;
  /** Position in the available ring. */
  position = 0;
  /** The activation of the queue that it was taken in. */
  epoch = 0;
  readonly #owner: ChainOwner;

  constructor(owner: ChainOwner) {
    this.#owner = owner;
  }

  get readableBytes(): number {
    return this.readable.lengthBytes;
  }

  get writableBytes(): number {
    return this.writable.lengthBytes;
  }

  /** False after a reset: the driver has forgotten this buffer. */
  get isLive(): boolean {
    return this.#owner.isCurrent(this);
  }

  /** Copies out of the readable part, from `offset` on. False when memory refused, or the chain is stale. */
  read(offset: number, into: Uint8Array): boolean {
    return this.#transfer(this.readable, offset, into, false);
  }

  /** Copies into the writable part. False when memory refused, or the chain is stale. */
  write(offset: number, from: Uint8Array): boolean {
    return this.#transfer(this.writable, offset, from, true);
  }

  #transfer(segments: Segments, offset: number, bytes: Uint8Array, toGuest: boolean): boolean {
    assert(offset + bytes.length <= segments.lengthBytes, "a transfer stays inside its chain", offset, bytes.length);
    if (!this.#owner.isCurrent(this)) return false;
    const dma = this.#owner.dma;
    let skip = offset;
    let done = 0;
    for (let i = 0; done < bytes.length; i++) {
      const length = segments.lengths[i]!;
      if (skip >= length) {
        skip -= length;
        continue;
      }
      const count = Math.min(length - skip, bytes.length - done);
      const at = (segments.addresses[i]! + BigInt(skip)) as Iova;
      const part = count === bytes.length ? bytes : bytes.subarray(done, done + count);
      if ((toGuest ? dma.write(at, part) : dma.read(at, part)) !== DmaStatus.ok) return false;
      skip = 0;
      done += count;
    }
    return true;
  }
}
