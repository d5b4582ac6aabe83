// A command on its way: its 64 bytes, where its data lies, what it answers. Requests are used again and again.
import { DataPointerKind, CommandFlag, Sc, StatusFlag, SUBMISSION_BYTES } from "./spec.ts";
import type { DmaPort } from "../../port.ts";
import type { SubmissionQueue } from "./queues.ts";
import { Transfer } from "./transfer.ts";

/** Byte offsets in a command, §4.2. */
const Offset = { flags: 1, id: 2, namespaceId: 4, pointer: 24, prp1: 24, prp2: 32, dword10: 40 } as const;

export class Request {
  readonly bytes: Uint8Array = new Uint8Array(SUBMISSION_BYTES);
  readonly view: DataView = new DataView(this.bytes.buffer);
  readonly data: Transfer = new Transfer();
  /** Undefined while the request is unused. */
  queue: SubmissionQueue | undefined;
  /** Resets of the controller before it was taken. */
  generation = 0;
  /** Dword 0 of its completion. */
  result = 0;

  get opcode(): number {
    return this.bytes[0]!;
  }

  get flags(): number {
    return this.bytes[Offset.flags]!;
  }

  get id(): number {
    return this.view.getUint16(Offset.id, true);
  }

  get namespaceId(): number {
    return this.view.getUint32(Offset.namespaceId, true);
  }

  get prp1(): bigint {
    return this.view.getBigUint64(Offset.prp1, true);
  }

  get prp2(): bigint {
    return this.view.getBigUint64(Offset.prp2, true);
  }

  /** Dwords 10 to 15. */
  dword(n: 10 | 11 | 12 | 13 | 14 | 15): number {
    return this.view.getUint32(Offset.dword10 + 4 * (n - 10), true);
  }

  /** Dwords 10 and 11 as one number. */
  get startBlock(): bigint {
    return this.view.getBigUint64(Offset.dword10, true);
  }

  /** Finds the command's data of `lengthBytes`; a status. */
  map(dma: DmaPort, pageBytes: number, lengthBytes: number, toMemory: boolean): number {
    const kind = (this.flags & CommandFlag.pointer) >> CommandFlag.pointerShift;
    let status: number;
    if (kind === DataPointerKind.prp) status = this.data.mapPrp(dma, pageBytes, this.prp1, this.prp2, lengthBytes);
    else if (kind === DataPointerKind.sgl || kind === DataPointerKind.sglWithMetadataSegment) {
      status = this.data.mapSgl(dma, this.view, Offset.pointer, lengthBytes, toMemory);
    } else status = Sc.invalidField;
    return status === Sc.success ? status : status | StatusFlag.doNotRetry;
  }
}
