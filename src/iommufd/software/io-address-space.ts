// One I/O address space: which IOVAs mean which pages, what may not be used, and which page tables follow it.
import { assert } from "../../base/index.ts";
import { mixesMsiRegions } from "../facts/attachment.ts";
import { Errno } from "../uapi/index.ts";
import { Area } from "./area.ts";
import type { PagingDomain } from "./domain.ts";
import { PAGE_SIZE } from "./frames.ts";
import type { HostMemory } from "./host-memory.ts";
import { IntervalTree, type IntervalNode } from "./interval-tree.ts";
import { allocateIova, TOP } from "./iova-allocator.ts";
import type { MappedPages } from "./mapped-pages.ts";
import type { PhysicalDevice } from "./unit.ts";

const PAGE = BigInt(PAGE_SIZE);

/** A slice of pages that is to become an area. */
export interface PagesSlice {
  readonly pages: MappedPages;
  readonly startByte: bigint;
  readonly lengthBytes: bigint;
}

/** A user of the space that is no page table (a mediated device, a hardware queue). */
export interface SpaceAccess {
  readonly iovaAlignment: bigint;
  /** Asked to give up what it pinned in the range. Absent: its areas are locked instead. */
  readonly onUnmap?: ((iova: bigint, lengthBytes: bigint) => void) | undefined;
}

export class IoAddressSpace {
  readonly areas: IntervalTree<Area> = new IntervalTree<Area>();
  allowed: IntervalTree<undefined> = new IntervalTree<undefined>();
  /** Each with who asked for it: a device, a domain, or nobody (a test). */
  readonly reserved: IntervalTree<object | undefined> = new IntervalTree<object | undefined>();
  readonly domains: PagingDomain[] = [];
  readonly accesses: Set<SpaceAccess> = new Set<SpaceAccess>();
  readonly memory: HostMemory;
  iovaAlignment = 1n;
  largePagesOff = false;

  constructor(memory: HostMemory) {
    this.memory = memory;
  }

  /** Maps slices one after the other; `iova` undefined means anywhere. The IOVA, or a negative errno; then nothing changed. */
  map(
    slices: readonly PagesSlice[],
    lengthBytes: bigint,
    iova: bigint | undefined,
    readable: boolean,
    writable: boolean,
  ): bigint | number {
    if ((lengthBytes & (this.iovaAlignment - 1n)) !== 0n || lengthBytes === 0n) return -Errno.EINVAL;
    const at = iova === undefined ? this.#chooseIova(slices[0]!, lengthBytes) : iova;
    if (typeof at === "number") return at;
    if (iova !== undefined) {
      const rc = this.#checkIova(iova, lengthBytes);
      if (rc < 0) return rc;
    }
    const made: Area[] = [];
    let rc = 0;
    let next = at;
    for (const slice of slices) {
      rc = this.#checkSlice(slice, next, writable);
      if (rc < 0) break;
      const area = new Area(this, slice.pages, next, slice.startByte, slice.lengthBytes, readable, writable);
      area.node = this.areas.insert(area.iova, area.last, area);
      made.push(area);
      next += slice.lengthBytes;
    }
    if (rc === 0) {
      for (const area of made) {
        rc = area.fillDomains();
        if (rc < 0) break;
      }
    }
    if (rc < 0) {
      for (const area of made) {
        area.unfillDomains();
        this.areas.remove(area.node!);
      }
      return rc;
    }
    for (const area of made) area.pages.get();
    return at;
  }

  #chooseIova(slice: PagesSlice, lengthBytes: bigint): bigint | number {
    return allocateIova({
      areas: this.areas,
      reserved: this.reserved,
      allowed: this.allowed,
      source: slice.pages.source.start + slice.startByte,
      lengthBytes,
      iovaAlignment: this.iovaAlignment,
    });
  }

  #checkIova(iova: bigint, lengthBytes: bigint): number {
    if ((iova & (this.iovaAlignment - 1n)) !== 0n) return -Errno.EINVAL;
    const last = iova + lengthBytes - 1n;
    if (last > TOP) return -Errno.EOVERFLOW;
    if (this.reserved.first(iova, last) !== undefined) return -Errno.EINVAL;
    if (this.areas.first(iova, last) !== undefined) return -Errno.EEXIST;
    return 0;
  }

  #checkSlice(slice: PagesSlice, iova: bigint, writable: boolean): number {
    if (writable && !slice.pages.writable) return -Errno.EPERM;
    if (((slice.startByte % PAGE) & (this.iovaAlignment - 1n)) !== 0n) return -Errno.EINVAL;
    return iova + slice.lengthBytes - 1n > TOP ? -Errno.EOVERFLOW : 0;
  }

  /** The areas of [iova, last] without a hole, or undefined. */
  contiguousAreas(iova: bigint, last: bigint): Area[] | undefined {
    const found: Area[] = [];
    let at = iova;
    let n = this.areas.first(iova, iova);
    while (n !== undefined && n.start <= at) {
      found.push(n.value);
      if (n.last >= last) return found;
      at = n.last + 1n;
      n = this.areas.first(at, at);
    }
    return undefined;
  }

  /** The pages under [iova, iova+length) as slices, each with a reference; a negative errno when part is not mapped. */
  slices(iova: bigint, lengthBytes: bigint): PagesSlice[] | number {
    if (lengthBytes === 0n) return -Errno.EINVAL;
    const last = iova + lengthBytes - 1n;
    if (last > TOP) return -Errno.EOVERFLOW;
    const areas = this.contiguousAreas(iova, last);
    if (areas === undefined) return -Errno.ENOENT;
    return areas.map((area) => {
      const from = area.iova > iova ? area.iova : iova;
      const to = area.last < last ? area.last : last;
      return { pages: area.pages.get(), startByte: area.startByte + (from - area.iova), lengthBytes: to - from + 1n };
    });
  }

  /** Removes the areas inside [start, last]; how many bytes went, and zero or a negative errno (earlier ones stay removed). */
  unmap(start: bigint, last: bigint): { readonly unmapped: bigint; readonly rc: number } {
    let unmapped = 0n;
    let from = start;
    let tries = 0;
    for (;;) {
      const n = this.areas.first(from, last);
      if (n === undefined) return { unmapped, rc: 0 };
      const area = n.value;
      if (area.locks > 0) return { unmapped, rc: -Errno.EBUSY };
      if (area.iova < from || area.last > last) return { unmapped, rc: -Errno.ENOENT };
      if (area.iova !== from) tries = 0;
      if (area.accesses > 0) {
        from = area.iova;
        area.preventAccess = true;
        this.notifyUnmap(area.iova, area.lengthBytes);
        if (++tries > 100) return { unmapped, rc: -Errno.EDEADLOCK };
        continue;
      }
      this.areas.remove(n);
      area.unfillDomains();
      area.pages.put();
      unmapped += area.lengthBytes;
      if (area.last >= last) return { unmapped, rc: 0 };
      from = area.last + 1n;
    }
  }

  notifyUnmap(iova: bigint, lengthBytes: bigint): void {
    for (const access of [...this.accesses]) access.onUnmap?.(iova, lengthBytes);
  }

  /** Replaces the allowed ranges; -EADDRINUSE when one touches a reserved range. */
  setAllowed(allowed: IntervalTree<undefined>): number {
    let n = allowed.first(0n, TOP);
    while (n !== undefined) {
      if (this.reserved.first(n.start, n.last) !== undefined) return -Errno.EADDRINUSE;
      n = allowed.next(n, 0n, TOP);
    }
    this.allowed = allowed;
    return 0;
  }

  reserve(start: bigint, last: bigint, owner: object | undefined): number {
    if (this.areas.first(start, last) !== undefined || this.allowed.first(start, last) !== undefined) {
      return -Errno.EADDRINUSE;
    }
    this.reserved.insert(start, last, owner);
    return 0;
  }

  unreserve(owner: object | undefined): void {
    const gone: IntervalNode<object | undefined>[] = [];
    let n = this.reserved.first(0n, TOP);
    while (n !== undefined) {
      if (n.value === owner) gone.push(n);
      n = this.reserved.next(n, 0n, TOP);
    }
    for (const node of gone) this.reserved.remove(node);
  }

  /** Reserves what the device cannot translate; reports its MSI window to `onSwMsi`. Zero or a negative errno. */
  enforceDeviceRegions(device: PhysicalDevice, onSwMsi: ((start: bigint) => void) | undefined): number {
    if (this.memory.failAt("alloc")) return -Errno.ENOMEM;
    for (const region of device.reserved) {
      if (region.kind === "direct-relaxable") continue;
      if (region.kind === "sw-msi") onSwMsi?.(region.start);
      const rc = this.reserve(region.start, region.last, device);
      if (rc < 0) {
        this.unreserve(device);
        return rc;
      }
    }
    if (onSwMsi !== undefined && mixesMsiRegions(device.reserved)) {
      this.unreserve(device);
      return -Errno.EINVAL;
    }
    return 0;
  }

  /** Lets a page table follow this space, filled with every area. Zero or a negative errno; then nothing changed. */
  addDomain(domain: PagingDomain): number {
    const alignment = domain.smallestPage > this.iovaAlignment ? domain.smallestPage : this.iovaAlignment;
    if (alignment > PAGE) return -Errno.EINVAL;
    if (alignment !== this.iovaAlignment) {
      const rc = this.#checkAlignment(alignment);
      if (rc < 0) return rc;
    }
    let rc = domain.apertureStart === 0n ? 0 : this.reserve(0n, domain.apertureStart - 1n, domain);
    if (rc === 0 && domain.apertureLast !== TOP) rc = this.reserve(domain.apertureLast + 1n, TOP, domain);
    if (rc === 0) rc = this.#fillDomain(domain);
    if (rc < 0) {
      this.unreserve(domain);
      return rc;
    }
    this.iovaAlignment = alignment;
    this.domains.push(domain);
    return 0;
  }

  #fillDomain(domain: PagingDomain): number {
    const done: Area[] = [];
    let rc = 0;
    for (const area of this.eachArea()) {
      rc = area.fillDomain(domain, this.domains.length === 0);
      if (rc < 0) break;
      done.push(area);
    }
    if (rc < 0) for (const area of done) area.unfillDomain(domain, this.domains.length === 0);
    return rc;
  }

  removeDomain(domain: PagingDomain): void {
    const index = this.domains.indexOf(domain);
    assert(index >= 0, "a page table follows the space it leaves");
    this.domains.splice(index, 1);
    const isLast = this.domains.length === 0;
    for (const area of this.eachArea()) area.unfillDomain(domain, isLast);
    this.unreserve(domain);
    this.recalculateAlignment();
  }

  addAccess(access: SpaceAccess): number {
    this.accesses.add(access);
    const rc = this.recalculateAlignment();
    if (rc < 0) this.accesses.delete(access);
    return rc;
  }

  removeAccess(access: SpaceAccess): void {
    this.accesses.delete(access);
    this.recalculateAlignment();
  }

  /** Large pages in page tables on or off. Off needs room: -EINVAL with mapped domains, -EADDRINUSE with misaligned areas. */
  setLargePages(on: boolean): number {
    if (on) {
      this.largePagesOff = false;
      return this.recalculateAlignment();
    }
    if (this.largePagesOff) return 0;
    if (this.domains.length > 0 && !this.areas.isEmpty) return -Errno.EINVAL;
    this.largePagesOff = true;
    const rc = this.recalculateAlignment();
    if (rc < 0) this.largePagesOff = false;
    return rc;
  }

  recalculateAlignment(): number {
    let alignment = this.largePagesOff ? PAGE : 1n;
    for (const domain of this.domains) if (domain.smallestPage > alignment) alignment = domain.smallestPage;
    for (const access of this.accesses) if (access.iovaAlignment > alignment) alignment = access.iovaAlignment;
    if (alignment > this.iovaAlignment) {
      const rc = this.#checkAlignment(alignment);
      if (rc < 0) return rc;
    }
    this.iovaAlignment = alignment;
    return 0;
  }

  #checkAlignment(alignment: bigint): number {
    const mask = alignment - 1n;
    for (const area of this.eachArea()) {
      if (((area.iova | area.lengthBytes | (area.startByte % PAGE)) & mask) !== 0n) return -Errno.EADDRINUSE;
    }
    return 0;
  }

  /** Cuts the areas that contain these addresses so that each becomes the last of its part (VFIO type 1 only). */
  cut(iovas: readonly bigint[]): number {
    for (const iova of iovas) {
      const n = this.areas.first(iova, iova);
      if (n === undefined) continue;
      const rc = n.value.split(iova);
      if (rc < 0) return rc;
    }
    return 0;
  }

  /** As plain data. */
  snapshot(): object {
    const intervals = (tree: IntervalTree<unknown>): string[] => {
      const found: string[] = [];
      for (let n = tree.first(0n, TOP); n !== undefined; n = tree.next(n, 0n, TOP)) {
        found.push(`${n.start.toString(16)}-${n.last.toString(16)}`);
      }
      return found;
    };
    return {
      areas: [...this.eachArea()].map((area) => area.snapshot()),
      reserved: intervals(this.reserved),
      allowed: intervals(this.allowed),
      iovaAlignment: this.iovaAlignment,
      largePagesOff: this.largePagesOff,
      domains: this.domains.length,
      accesses: this.accesses.size,
    };
  }

  /** Ascending; areas must not come or go meanwhile. */
  *eachArea(): Generator<Area> {
    let n = this.areas.first(0n, TOP);
    while (n !== undefined) {
      yield n.value;
      n = n.last === TOP ? undefined : this.areas.first(n.last + 1n, TOP);
    }
  }
}
