// A disk whose bytes are in memory: RAM disks, read-only images that came with the page, tests.
import { CheckedNode, type NodeOptions } from "./node-base.ts";

export interface MemoryNodeOptions extends NodeOptions {
  /** The disk's bytes, used in place; or its length, to begin with zeroes. */
  readonly content: Uint8Array | number;
}

export class MemoryNode extends CheckedNode {
  readonly lengthBytes: number;
  readonly requestAlignmentBytes = 1;
  /** The disk itself; empty after `close`. */
  bytes: Uint8Array;

  constructor(options: MemoryNodeOptions) {
    super(options);
    this.bytes = typeof options.content === "number" ? new Uint8Array(options.content) : options.content;
    this.lengthBytes = this.bytes.length;
  }

  protected override doRead(offset: number, into: Uint8Array): Promise<void> {
    into.set(this.bytes.subarray(offset, offset + into.length));
    return Promise.resolve();
  }

  protected override doWrite(offset: number, from: Uint8Array): Promise<void> {
    this.bytes.set(from, offset);
    return Promise.resolve();
  }

  protected override doFlush(): Promise<void> {
    return Promise.resolve();
  }

  protected override doDiscard(): Promise<void> {
    return Promise.resolve();
  }

  protected override doWriteZeroes(offset: number, lengthBytes: number): Promise<void> {
    this.bytes.fill(0, offset, offset + lengthBytes);
    return Promise.resolve();
  }

  protected override doClose(): Promise<void> {
    this.bytes = new Uint8Array(0);
    return Promise.resolve();
  }
}
