// What a device can be attached to: a page table of the host's (paging), one of the guest's under it (nested), or nothing.
import { Errno } from "../uapi/index.ts";
import { PAGE_SIZE } from "./frames.ts";
import { PageTable, PteFlag, type PageTableFormat } from "./page-table.ts";
import type { UnitDriver, VirtualIommu } from "./unit.ts";

export interface PagingConfig {
  readonly unit: UnitDriver;
  readonly format: PageTableFormat;
  /** Bit n set: pages of 2^n bytes. The lowest is the alignment that IOVAs must keep. */
  readonly pageSizes: bigint;
  readonly apertureStart: bigint;
  readonly apertureLast: bigint;
  readonly dirtyTracking: boolean;
  /** Read-only pages cannot be mapped (EINVAL). Default: they can. */
  readonly writableOnly?: boolean;
  /** What mapping over something gives. Default: -EADDRINUSE. */
  readonly occupied?: number;
}

abstract class DomainBase {
  readonly unit: UnitDriver;
  /** Id of the object that stands for it; 0 before it has one. */
  hwptId = 0;
  /** Whether somebody answers the page requests of attached devices. */
  takesPageRequests = false;

  constructor(unit: UnitDriver) {
    this.unit = unit;
  }
}

export class PagingDomain extends DomainBase {
  readonly kind = "paging" as const;
  readonly table: PageTable;
  readonly pageSizes: bigint;
  readonly smallestPage: bigint;
  readonly apertureStart: bigint;
  readonly apertureLast: bigint;
  readonly hasDirtyBits: boolean;
  readonly writableOnly: boolean;
  tracking = false;
  enforcesCoherency = false;
  readonly #occupied: number;
  readonly #shift: bigint;
  readonly #perPage: number;

  constructor(config: PagingConfig) {
    super(config.unit);
    this.table = new PageTable(config.format);
    this.pageSizes = config.pageSizes;
    this.smallestPage = config.pageSizes & -config.pageSizes;
    this.apertureStart = config.apertureStart;
    this.apertureLast = config.apertureLast;
    this.hasDirtyBits = config.dirtyTracking;
    this.writableOnly = config.writableOnly ?? false;
    this.#occupied = config.occupied ?? -Errno.EADDRINUSE;
    this.#shift = BigInt(config.format.granuleShift);
    this.#perPage = PAGE_SIZE / 2 ** config.format.granuleShift;
  }

  /**
   * Maps bytes that lie physically in one run, starting `offset` bytes into page `frame`. Zero or a negative errno; then
   * nothing changed.
   */
  map(
    iova: bigint,
    frame: number,
    offset: number,
    lengthBytes: bigint,
    readable: boolean,
    writable: boolean,
    smallPagesOnly: boolean,
  ): number {
    if (!writable && this.writableOnly) return -Errno.EINVAL;
    const flags = (readable ? PteFlag.READ : 0) | (writable ? PteFlag.WRITE : 0);
    const granule = frame * this.#perPage + offset / 2 ** this.table.granuleShift;
    const at = Number(iova >> this.#shift);
    const count = Number(lengthBytes >> this.#shift);
    return this.table.map(at, granule, count, flags, smallPagesOnly ? this.#perPage : Infinity) ? 0 : this.#occupied;
  }

  unmap(iova: bigint, lengthBytes: bigint): void {
    this.table.unmap(Number(iova >> this.#shift), Number(lengthBytes >> this.#shift));
  }

  /** Frame and byte offset in it behind an address; undefined when nothing is mapped there. */
  lookup(iova: bigint): { readonly frame: number; readonly offset: number } | undefined {
    if (!this.table.walk(Number(iova >> this.#shift))) return undefined;
    const granules = this.table.hitGranule;
    const frame = Math.floor(granules / this.#perPage);
    const offset =
      (granules % this.#perPage) * 2 ** this.table.granuleShift + Number(iova & ((1n << this.#shift) - 1n));
    return { frame, offset };
  }

  /** As plain data; every entry. */
  snapshot(): object {
    const { hasDirtyBits, tracking, enforcesCoherency } = this;
    const entries: string[] = [];
    this.table.eachLeaf((at, granule, count, flags) =>
      entries.push(`${at.toString(16)} ${granule.toString(16)} ${count} ${flags}`),
    );
    return { hasDirtyBits, tracking, enforcesCoherency, entries };
  }

  /** Sets the dirty bit of the entry behind `iova`, as a write of the hardware would. */
  setDirty(iova: bigint): boolean {
    return this.table.setDirty(Number(iova >> this.#shift));
  }

  readDirty(
    iova: bigint,
    lengthBytes: bigint,
    clear: boolean,
    report: (iova: bigint, lengthBytes: bigint) => void,
  ): void {
    const shift = this.#shift;
    this.table.readDirty(Number(iova >> shift), Number(lengthBytes >> shift), clear, (at, count) =>
      report(BigInt(at) << shift, BigInt(count) << shift),
    );
  }
}

export class NestedDomain extends DomainBase {
  readonly kind = "nested" as const;
  /** The host's page table under the guest's. */
  readonly parent: PagingDomain;
  readonly viommu: VirtualIommu | undefined;
  /** What the unit remembers of the guest's table. */
  readonly data: Uint8Array;

  constructor(unit: UnitDriver, parent: PagingDomain, viommu: VirtualIommu | undefined, data: Uint8Array) {
    super(unit);
    this.parent = parent;
    this.viommu = viommu;
    this.data = data;
  }
}

export type Domain = PagingDomain | NestedDomain;
