// What every RamBackend keeps; run by each member's test file.
import { assert } from "../base/index.ts";
import type { RamBackend, RamBlock } from "./port.ts";

/** One fresh member, attached to a block of at least 4 pages by a world. */
export interface RamBackendUnderTest {
  readonly backend: RamBackend;
  readonly block: RamBlock;
}

export interface RamBackendClaim {
  readonly claim: string;
  readonly check: (member: RamBackendUnderTest) => void;
}

export const ramBackendContract: readonly RamBackendClaim[] = [
  {
    claim: "fresh memory reads as zero throughout",
    check({ block }): void {
      assert(
        block.bytes.every((byte) => byte === 0),
        "all bytes are zero",
      );
    },
  },
  {
    claim: "bytes keep what is written, at both ends",
    check({ block }): void {
      block.bytes[0] = 1;
      block.bytes[block.lengthBytes - 1] = 2;
      assert(block.bytes[0] === 1 && block.bytes[block.lengthBytes - 1] === 2, "bytes are kept");
    },
  },
  {
    claim: "discarded pages read as zero and their neighbours keep their bytes",
    check({ backend, block }): void {
      block.bytes.fill(7, 0, 4 * 4096);
      backend.discard(4096, 2 * 4096);
      const zero = block.bytes.subarray(4096, 3 * 4096);
      assert(
        zero.every((byte) => byte === 0),
        "discarded pages are zero",
      );
      assert(block.bytes[4095] === 7 && block.bytes[3 * 4096] === 7, "neighbours keep their bytes");
    },
  },
  {
    claim: "discarded pages can be written again",
    check({ backend, block }): void {
      backend.discard(0, 4096);
      block.bytes[9] = 9;
      assert(block.bytes[9] === 9, "the byte is kept");
    },
  },
  {
    claim: "closing twice is harmless",
    check({ backend }): void {
      backend.close();
      backend.close();
    },
  },
];
