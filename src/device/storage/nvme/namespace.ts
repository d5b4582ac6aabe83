// A namespace: logical blocks over a block node, and what has been done with them.
import type { BlockNode } from "../../../block/port.ts";
import { NvmeError } from "./errors.ts";
import { BLOCK_SHIFTS, Sc } from "./spec.ts";

export interface NamespaceOptions {
  readonly id: number;
  readonly node: BlockNode;
  readonly blockShift: number;
  readonly uuid?: Uint8Array | undefined;
  readonly eui64?: bigint | undefined;
}

/** QEMU's: 52:54:00, and the namespace's number. */
const DEFAULT_EUI64 = 0x5254_0000_0000_0000n;

export class NvmeNamespace {
  readonly id: number;
  readonly node: BlockNode;
  readonly uuid: Uint8Array | undefined;
  readonly eui64: bigint;
  /** How it was made, and how it is formatted now: log2 of a block's length. */
  readonly initialBlockShift: number;
  blockShift: number;
  /** A format is under way. */
  isFormatting = false;

  /** Throws NvmeError `badConfig` when the node does not fit. The node stays the caller's. */
  constructor({ id, node, blockShift, uuid, eui64 }: NamespaceOptions) {
    if (node.requestAlignmentBytes > 2 ** blockShift) {
      const message =
        `Block node '${node.nodeName}' wants requests in units of ${node.requestAlignmentBytes} bytes; ` +
        `logical_block_size=${node.requestAlignmentBytes} would do`;
      throw new NvmeError("badConfig", message);
    }
    this.id = id;
    this.node = node;
    this.uuid = uuid;
    this.eui64 = eui64 ?? DEFAULT_EUI64 + BigInt(id);
    this.initialBlockShift = blockShift;
    this.blockShift = blockShift;
  }

  get blockBytes(): number {
    return 2 ** this.blockShift;
  }

  get blockCount(): number {
    return Math.floor(this.node.lengthBytes / this.blockBytes);
  }

  /** Formats that its node can do, as indices of `BLOCK_SHIFTS`. */
  canFormat(index: number): boolean {
    const shift = BLOCK_SHIFTS[index];
    return shift !== undefined && 2 ** shift >= this.node.requestAlignmentBytes;
  }

  /** `Sc.success` when `count` blocks from `start` on lie inside. */
  check(start: bigint, count: number): number {
    const inside = start <= BigInt(Number.MAX_SAFE_INTEGER) && Number(start) + count <= this.blockCount;
    if (!inside) return Sc.lbaOutOfRange;
    return this.isFormatting ? Sc.formatInProgress : Sc.success;
  }
}
