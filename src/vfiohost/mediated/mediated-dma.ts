// DMA of a mediated device: through an access object. Pages are pinned when they are first touched and kept until they are
// unmapped, as drivers do that hand addresses to hardware; or each access is a copy of its own.
import type { HostDma } from "../wires.ts";
import { DmaStatus } from "../../device/port.ts";
import { Errno, type Access } from "../../iommufd/index.ts";
import type { VfioDmaFault } from "../port.ts";

const PAGE = 4096n;
/** Pages kept pinned for each direction. */
const MOST_PINNED = 64;

export interface MediatedDmaOptions {
  readonly pins: boolean;
  /** The access object, while the device is bound. */
  readonly access: () => Access | undefined;
  readonly onFault: (fault: Omit<VfioDmaFault, "device">) => void;
}

export class MediatedDma implements HostDma {
  readonly #options: MediatedDmaOptions;
  /** Frames of pinned pages by IOVA, oldest first; what is written to is pinned for writing. */
  readonly #pinned = { read: new Map<bigint, number>(), write: new Map<bigint, number>() };

  constructor(options: MediatedDmaOptions) {
    this.#options = options;
  }

  get pinnedPages(): number {
    return this.#pinned.read.size + this.#pinned.write.size;
  }

  read(iova: bigint, into: Uint8Array): DmaStatus {
    return this.#transfer(iova, into, false);
  }

  write(iova: bigint, from: Uint8Array): DmaStatus {
    return this.#transfer(iova, from, true);
  }

  /** Somebody unmaps the range, or the device leaves the IOAS: no page of it stays pinned. */
  release(iova: bigint, lengthBytes: bigint): void {
    const first = iova - (iova % PAGE);
    const last = iova + lengthBytes;
    for (const pages of [this.#pinned.read, this.#pinned.write]) {
      for (const page of [...pages.keys()]) {
        if (page < first || page > last) continue;
        pages.delete(page);
        this.#options.access()!.unpin(page, PAGE);
      }
    }
  }

  #transfer(iova: bigint, bytes: Uint8Array, write: boolean): DmaStatus {
    const access = this.#options.access();
    for (let done = 0; done < bytes.length;) {
      const at = iova + BigInt(done);
      const inPage = Number(at % PAGE);
      const part = bytes.subarray(done, done + Number(PAGE) - inPage);
      const rc = access === undefined ? -Errno.ENOENT : this.#piece(access, at, part, write);
      if (rc < 0) return this.#fault(at, write, rc);
      done += part.length;
    }
    return DmaStatus.ok;
  }

  #piece(access: Access, at: bigint, part: Uint8Array, write: boolean): number {
    if (!this.#options.pins) return access.copy(undefined, at, part, write, false);
    const offset = Number(at % PAGE);
    const frame = this.#frame(access, at - BigInt(offset), write);
    if (frame < 0) return frame;
    const { frames } = access.context.memory;
    const ok = write ? frames.write(frame, offset, part) : frames.read(frame, offset, part);
    return ok ? 0 : -Errno.EFAULT;
  }

  /** The frame of a page, pinned now if it was not; or a negative errno. */
  #frame(access: Access, page: bigint, write: boolean): number {
    const pages = write ? this.#pinned.write : this.#pinned.read;
    const known = pages.get(page);
    if (known !== undefined) return known;
    const frames = access.pin(page, PAGE, write);
    if (typeof frames === "number") return frames;
    if (pages.size >= MOST_PINNED) {
      const [oldest] = pages.keys();
      pages.delete(oldest!);
      access.unpin(oldest!, PAGE);
    }
    pages.set(page, frames[0]!);
    return frames[0]!;
  }

  #fault(iova: bigint, write: boolean, rc: number): DmaStatus {
    const forbidden = rc === -Errno.EPERM;
    this.#options.onFault({ iova, pasid: 0, write, reason: forbidden ? "forbidden" : "unmapped" });
    return forbidden ? DmaStatus.accessError : DmaStatus.decodeError;
  }
}
