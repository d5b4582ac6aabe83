// An access object: how a mediated device, which has no IOMMU domain, reads, writes and pins what an IOAS maps.
import { assert } from "../../base/index.ts";
import type { Caller } from "../port.ts";
import { Errno } from "../uapi/index.ts";
import type { Area } from "./area.ts";
import type { IommufdContext } from "./context.ts";
import { PAGE_SIZE } from "./frames.ts";
import type { IoAddressSpace, SpaceAccess } from "./io-address-space.ts";
import type { Ioas } from "./ioas.ts";
import { TOP } from "./iova-allocator.ts";
import { IommufdObject } from "./objects.ts";

const PAGE = BigInt(PAGE_SIZE);

export interface AccessOptions {
  /** Pinning wants whole pages; an access that only copies takes any byte. */
  readonly pinsPages: boolean;
  /** Must release every pin in the range before it returns. */
  readonly onUnmap: (iova: bigint, lengthBytes: bigint) => void;
}

export class Access extends IommufdObject implements SpaceAccess {
  readonly type = "access" as const;
  readonly context: IommufdContext;
  readonly iovaAlignment: bigint;
  readonly onUnmap: ((iova: bigint, lengthBytes: bigint) => void) | undefined;
  ioas: Ioas | undefined;
  /** Where pins are released: still the old IOAS while `onUnmap` runs during a replacement. */
  #pinnedIn: Ioas | undefined;

  private constructor(context: IommufdContext, options: AccessOptions | undefined) {
    super();
    this.context = context;
    this.iovaAlignment = options === undefined || options.pinsPages ? PAGE : 1n;
    this.onUnmap = options?.onUnmap;
  }

  /** Made and held by a driver; `options` undefined for one of the host's own, which locks areas. An errno when it fails. */
  static create(context: IommufdContext, options: AccessOptions | undefined): Access | number {
    const access = new Access(context, options);
    const rc = context.objects.reserve(access);
    if (rc < 0) return rc;
    access.users++;
    if (options !== undefined) context.get();
    context.objects.publish(access);
    return access;
  }

  /** The driver is done with it. */
  close(): void {
    this.context.objects.removeByOwner(this);
  }

  get isInternal(): boolean {
    return this.onUnmap === undefined;
  }

  attach(ioasId: number): number {
    assert(this.ioas === undefined, "an access is attached once");
    return this.#changeTo(ioasId);
  }

  /** Moves to another IOAS; pins in the old one are called back. -ENOENT when not attached. */
  replace(ioasId: number): number {
    return this.ioas === undefined ? -Errno.ENOENT : this.#changeTo(ioasId);
  }

  #changeTo(ioasId: number): number {
    const ioas = this.context.objects.get<Ioas>(ioasId, "ioas");
    return ioas === undefined ? -Errno.ENOENT : this.changeIoas(ioas);
  }

  changeIoas(ioas: Ioas | undefined): number {
    const old = this.ioas;
    if (old !== this.#pinnedIn) return -Errno.EBUSY;
    if (old === ioas) return 0;
    this.ioas = undefined;
    if (ioas !== undefined) {
      const rc = ioas.space.addAccess(this);
      if (rc < 0) {
        this.ioas = old;
        return rc;
      }
      ioas.users++;
    }
    if (old !== undefined) {
      this.onUnmap?.(0n, TOP);
      old.space.removeAccess(this);
      old.users--;
    }
    this.ioas = ioas;
    this.#pinnedIn = ioas;
    return 0;
  }

  override snapshot(): object {
    return { ioas: this.ioas?.id, iovaAlignment: this.iovaAlignment, isInternal: this.isInternal };
  }

  override destroy(): void {
    if (this.ioas !== undefined) this.changeIoas(undefined);
    if (!this.isInternal) this.context.put();
  }

  /** Pins the pages of a range and returns their frames, or a negative errno; then nothing changed. */
  pin(iova: bigint, lengthBytes: bigint, write: boolean): number[] | number {
    if (lengthBytes === 0n) return -Errno.EINVAL;
    const last = iova + lengthBytes - 1n;
    if (last > TOP) return -Errno.EOVERFLOW;
    if (this.ioas === undefined) return -Errno.ENOENT;
    const frames: number[] = [];
    const pinned: { area: Area; first: number; last: number }[] = [];
    const rc = this.#each(this.ioas.space, iova, last, (area, from, to) => {
      const whole = (area.startByte + (from - area.iova)) % PAGE === 0n;
      const endsWhole = to === last || (area.startByte + area.lengthBytes) % PAGE === 0n;
      if (area.preventAccess || !whole || !endsWhole) return -Errno.EINVAL;
      if (!(write ? area.writable : area.readable)) return -Errno.EPERM;
      if (write && !area.pages.writable) return -Errno.EPERM;
      if (area.pages.source.kind === "dmabuf") return -Errno.EINVAL;
      const first = area.indexOf(from);
      const end = area.indexOf(to);
      const used = area.pages.use(first, end);
      if (used < 0) return used;
      area.accesses++;
      if (this.isInternal) area.locks++;
      pinned.push({ area, first, last: end });
      for (let i = first; i <= end; i++) frames.push(area.pages.frame(i));
      return 0;
    });
    if (rc === 0) return frames;
    for (const p of pinned) this.#unpinArea(p.area, p.first, p.last);
    return rc;
  }

  /** Undoes one `pin`, with the same range. */
  unpin(iova: bigint, lengthBytes: bigint): void {
    const last = iova + lengthBytes - 1n;
    const rc = this.#each(this.#pinnedIn!.space, iova, last, (area, from, to) => {
      this.#unpinArea(area, area.indexOf(from), area.indexOf(to));
      return 0;
    });
    assert(rc === 0, "what is unpinned was pinned", rc);
  }

  #unpinArea(area: Area, first: number, last: number): void {
    area.pages.release(first, last);
    area.accesses--;
    if (this.isInternal) area.locks--;
  }

  /**
   * Copies between `data` and the range, byte for byte. `caller` is who acts: its own pages are reached directly, unless
   * `pinned` asks for what a device would see.
   */
  copy(caller: Caller | undefined, iova: bigint, data: Uint8Array, write: boolean, pinned: boolean): number {
    if (data.length === 0) return -Errno.EINVAL;
    const last = iova + BigInt(data.length) - 1n;
    if (last > TOP) return -Errno.EOVERFLOW;
    if (this.ioas === undefined) return -Errno.ENOENT;
    let done = 0;
    return this.#each(this.ioas.space, iova, last, (area, from, to) => {
      if (area.preventAccess) return -Errno.EINVAL;
      if (!(write ? area.writable : area.readable)) return -Errno.EPERM;
      if (write && !area.pages.writable) return -Errno.EPERM;
      const part = data.subarray(done, done + Number(to - from) + 1);
      done += part.length;
      return this.#copyArea(caller, area, area.startByte + (from - area.iova), part, write, pinned);
    });
  }

  #copyArea(
    caller: Caller | undefined,
    area: Area,
    startByte: bigint,
    part: Uint8Array,
    write: boolean,
    pinned: boolean,
  ): number {
    const pages = area.pages;
    const source = pages.source;
    if (source.kind === "dmabuf") return -Errno.EINVAL;
    if (source.kind === "user" && !pinned && caller?.memory.space === pages.payer.space) {
      const va = source.start + startByte;
      const ok = write ? source.memory.write(va, part) : source.memory.read(va, part);
      return ok ? 0 : -Errno.EFAULT;
    }
    const first = Number(startByte / PAGE);
    const last = Number((startByte + BigInt(part.length) - 1n) / PAGE);
    const rc = pages.use(first, last);
    if (rc < 0) return rc;
    const frames = this.context.memory.frames;
    let ok = true;
    let done = 0;
    let offset = Number(startByte % PAGE);
    for (let i = first; i <= last && ok; i++) {
      const piece = part.subarray(done, done + PAGE_SIZE - offset);
      ok = write ? frames.write(pages.frame(i), offset, piece) : frames.read(pages.frame(i), offset, piece);
      done += piece.length;
      offset = 0;
    }
    pages.release(first, last);
    return ok ? 0 : -Errno.EFAULT;
  }

  /** Visits the areas under [iova, last] in order until one refuses; -ENOENT at a hole. */
  #each(
    space: IoAddressSpace,
    iova: bigint,
    last: bigint,
    visit: (area: Area, from: bigint, to: bigint) => number,
  ): number {
    let at = iova;
    for (;;) {
      const area = space.areas.first(at, at)?.value;
      if (area === undefined) return -Errno.ENOENT;
      const to = area.last < last ? area.last : last;
      const rc = visit(area, at, to);
      if (rc < 0) return rc;
      if (to === last) return 0;
      at = to + 1n;
    }
  }
}
