// One contiguous mapping of an I/O address space: a slice of mapped pages at an IOVA.
import { Errno } from "../uapi/index.ts";
import type { PagingDomain } from "./domain.ts";
import { PAGE_SIZE } from "./frames.ts";
import type { IntervalNode } from "./interval-tree.ts";
import type { IoAddressSpace } from "./io-address-space.ts";
import type { MappedPages } from "./mapped-pages.ts";

const PAGE = BigInt(PAGE_SIZE);

export class Area {
  readonly space: IoAddressSpace;
  readonly pages: MappedPages;
  readonly iova: bigint;
  readonly last: bigint;
  /** Where the slice begins, from the pages' own start. */
  readonly startByte: bigint;
  readonly readable: boolean;
  readonly writable: boolean;
  node: IntervalNode<Area> | undefined;
  /** Pins held by accesses, and how many of those lock the area against UNMAP. */
  accesses = 0;
  locks = 0;
  /** An UNMAP waits for the accesses: no new ones. */
  preventAccess = false;
  /** Its pages are in use for page tables. */
  filled = false;

  constructor(
    space: IoAddressSpace,
    pages: MappedPages,
    iova: bigint,
    startByte: bigint,
    lengthBytes: bigint,
    readable: boolean,
    writable: boolean,
  ) {
    this.space = space;
    this.pages = pages;
    this.iova = iova;
    this.last = iova + lengthBytes - 1n;
    this.startByte = startByte;
    this.readable = readable;
    this.writable = writable;
  }

  get lengthBytes(): bigint {
    return this.last - this.iova + 1n;
  }

  get firstIndex(): number {
    return Number(this.startByte / PAGE);
  }

  get lastIndex(): number {
    return Number((this.startByte + this.lengthBytes - 1n) / PAGE);
  }

  /** Index into the pages of the page under `iova`. */
  indexOf(iova: bigint): number {
    return Number((this.startByte + (iova - this.iova)) / PAGE);
  }

  /** As plain data. */
  snapshot(): object {
    const { iova, last, startByte, readable, writable, accesses, locks, preventAccess, filled, pages } = this;
    const { pinnedPages, references, revoked, payer } = pages;
    const { mode, uid } = payer;
    return {
      ...{ iova, last, startByte, readable, writable, accesses, locks, preventAccess, filled },
      pages: { pinnedPages, references, revoked, mode, uid, space: payer.space.id },
    };
  }

  /** Puts the area into every page table of its space. Zero or a negative errno; then nothing changed. */
  fillDomains(): number {
    const domains = this.space.domains;
    if (domains.length === 0) return 0;
    let rc = this.#usePages();
    if (rc < 0) return rc;
    for (const [i, domain] of domains.entries()) {
      rc = this.#mapInto(domain);
      if (rc === 0) continue;
      for (const done of domains.slice(0, i)) this.#unmapFrom(done);
      this.#releasePages();
      return rc;
    }
    return 0;
  }

  unfillDomains(): void {
    if (!this.filled) return;
    for (const domain of this.space.domains) this.#unmapFrom(domain);
    this.#releasePages();
  }

  /** Puts the area into one more page table; the first one pins. */
  fillDomain(domain: PagingDomain, isFirst: boolean): number {
    if (isFirst) {
      const rc = this.#usePages();
      if (rc < 0) return rc;
    }
    const rc = this.#mapInto(domain);
    if (rc < 0 && isFirst) this.#releasePages();
    return rc;
  }

  unfillDomain(domain: PagingDomain, isLast: boolean): void {
    this.#unmapFrom(domain);
    if (isLast) this.#releasePages();
  }

  /** The exporter took the buffer back: translations go, the area stays. */
  dropTranslations(): void {
    if (this.filled) for (const domain of this.space.domains) domain.unmap(this.iova, this.lengthBytes);
  }

  #usePages(): number {
    if (this.pages.source.kind === "dmabuf") {
      this.pages.show(this);
    } else {
      const rc = this.pages.use(this.firstIndex, this.lastIndex);
      if (rc < 0) return rc;
    }
    this.filled = true;
    return 0;
  }

  #releasePages(): void {
    this.filled = false;
    if (this.pages.source.kind === "dmabuf") this.pages.hide(this);
    else this.pages.release(this.firstIndex, this.lastIndex);
  }

  #unmapFrom(domain: PagingDomain): void {
    if (this.pages.revoked) return;
    domain.unmap(this.iova, this.lengthBytes);
  }

  /** Maps runs of physically contiguous pages. Zero or a negative errno; then nothing changed. */
  #mapInto(domain: PagingDomain): number {
    if (this.pages.revoked) return 0;
    const lastIndex = this.lastIndex;
    let index = this.firstIndex;
    let iova = this.iova;
    let offset = Number(this.startByte % PAGE);
    while (index <= lastIndex) {
      const frame = this.pages.frame(index);
      let end = index;
      while (end < lastIndex && this.pages.frame(end + 1) === frame + (end + 1 - index)) end++;
      let lengthBytes = BigInt(end - index + 1) * PAGE - BigInt(offset);
      const left = this.last - iova + 1n;
      if (lengthBytes > left) lengthBytes = left;
      const rc = this.space.memory.failAt("map")
        ? -Errno.ENOMEM
        : domain.map(iova, frame, offset, lengthBytes, this.readable, this.writable, this.space.largePagesOff);
      if (rc < 0) {
        if (iova > this.iova) domain.unmap(this.iova, iova - this.iova);
        return rc;
      }
      iova += lengthBytes;
      offset = 0;
      index = end + 1;
    }
    return 0;
  }

  /** Splits in two, `last` ending the first part. Zero or a negative errno. */
  split(last: bigint): number {
    if (last === this.iova || last === this.last) return 0;
    if (this.preventAccess) return -Errno.EBUSY;
    if (this.pages.source.kind === "dmabuf") return -Errno.EOPNOTSUPP;
    const cut = last + 1n;
    const cutByte = this.startByte + (cut - this.iova);
    if (((cut | cutByte) & (this.space.iovaAlignment - 1n)) !== 0n) return -Errno.EINVAL;
    if (this.accesses > 0) return -Errno.EINVAL;
    if (this.filled && !this.space.largePagesOff) return -Errno.EINVAL;
    const { space, pages, readable, writable } = this;
    const low = new Area(space, pages, this.iova, this.startByte, cut - this.iova, readable, writable);
    const high = new Area(space, pages.get(), cut, cutByte, this.last - last, readable, writable);
    space.areas.remove(this.node!);
    for (const part of [low, high]) {
      part.node = space.areas.insert(part.iova, part.last, part);
      part.filled = this.filled;
    }
    // Where the cut is inside a page, both parts use it.
    if (this.filled && low.lastIndex === high.firstIndex) pages.use(high.firstIndex, high.firstIndex);
    return 0;
  }
}
