// A device's DMA straight into an address space, without an IOMMU between.
import type { Iova } from "../base/index.ts";
import type { AddressSpace } from "./address-space.ts";
import { type DirtySource, type DmaPort, DmaStatus, MemTx } from "./port.ts";

/** Bus addresses are guest-physical ones; writes are reported as those of the source `sourceName`. */
export function dmaPort(space: AddressSpace, sourceName: string): DmaPort {
  return new DirectDma(space, space.world.notes.source(sourceName));
}

class DirectDma implements DmaPort {
  readonly #space: AddressSpace;
  readonly #source: DirtySource;

  constructor(space: AddressSpace, source: DirtySource) {
    this.#space = space;
    this.#source = source;
  }

  read(at: Iova, into: Uint8Array): DmaStatus {
    if (!isReachable(at, into.length)) return DmaStatus.decodeError;
    return statusOf(this.#space.read(Number(at), into));
  }

  write(at: Iova, bytes: Uint8Array): DmaStatus {
    if (!isReachable(at, bytes.length)) return DmaStatus.decodeError;
    return statusOf(this.#space.write(Number(at), bytes, this.#source));
  }

  readWindow(at: Iova, lengthBytes: number): Uint8Array | undefined {
    return this.#window(at, lengthBytes, false);
  }

  writeWindow(at: Iova, lengthBytes: number): Uint8Array | undefined {
    const window = this.#window(at, lengthBytes, true);
    // Reported before the bytes change, which is sound as no hart runs and no epoch is read in the device's turn.
    if (window !== undefined) this.#space.world.notes.noteWrite(this.#source, window.byteOffset, lengthBytes);
    return window;
  }

  fence(): void {
    // Harts and devices take turns on one thread: DMA is complete when it returns.
  }

  #window(at: Iova, lengthBytes: number, forWriting: boolean): Uint8Array | undefined {
    if (!isReachable(at, lengthBytes)) return undefined;
    const offset = this.#space.directOffset(Number(at), lengthBytes, forWriting);
    return offset === -1 ? undefined : this.#space.world.u8.subarray(offset, offset + lengthBytes);
  }
}

/** Guest-physical addresses end at 2^53; past that there is nothing. */
function isReachable(at: Iova, lengthBytes: number): boolean {
  return at + BigInt(lengthBytes) <= 1n << 53n;
}

function statusOf(status: MemTx): DmaStatus {
  if (status === MemTx.ok) return DmaStatus.ok;
  return status === MemTx.decodeError ? DmaStatus.decodeError : DmaStatus.accessError;
}
