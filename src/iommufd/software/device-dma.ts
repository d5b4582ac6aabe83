// DMA of a device behind a unit: through its domain's page table, with an IOTLB, permission checks and dirty bits.
import type { PagingDomain } from "./domain.ts";
import { PAGE_SIZE } from "./frames.ts";
import type { HostMemory } from "./host-memory.ts";
import { PteFlag } from "./page-table.ts";
import { NO_PASID, type PhysicalDevice } from "./unit.ts";

/** What became of a DMA access; the numbers are those of the device port's `DmaStatus`. */
export const DmaResult = { ok: 0, unmapped: 1, forbidden: 2 } as const;
export type DmaResult = (typeof DmaResult)[keyof typeof DmaResult];

const IOTLB_ENTRIES = 256;

/** Cached walks of one domain. An entry covers what is left of its leaf. */
class Iotlb {
  readonly domain: PagingDomain;
  readonly tags: Float64Array = new Float64Array(IOTLB_ENTRIES).fill(-1);
  readonly granules: Float64Array = new Float64Array(IOTLB_ENTRIES);
  readonly spans: Float64Array = new Float64Array(IOTLB_ENTRIES);
  readonly flags: Uint8Array = new Uint8Array(IOTLB_ENTRIES);
  generation: number;

  constructor(domain: PagingDomain) {
    this.domain = domain;
    this.generation = domain.table.generation;
  }

  /** The slot that answers for `at`, or -1. */
  find(at: number): number {
    const { table } = this.domain;
    if (this.generation !== table.generation) {
      this.tags.fill(-1);
      this.generation = table.generation;
    }
    const slot = at % IOTLB_ENTRIES;
    if (this.tags[slot] === at) return slot;
    if (!table.walk(at)) return -1;
    this.tags[slot] = at;
    this.granules[slot] = table.hitGranule;
    this.spans[slot] = table.hitSpan;
    this.flags[slot] = table.hitFlags;
    return slot;
  }
}

export interface DmaFault {
  readonly device: PhysicalDevice;
  readonly pasid: number;
  readonly iova: bigint;
  readonly write: boolean;
  readonly result: DmaResult;
}

export class DeviceDma {
  readonly #memory: HostMemory;
  readonly #device: PhysicalDevice;
  readonly #onFault: (fault: DmaFault) => void;
  #iotlb: Iotlb | undefined;

  constructor(memory: HostMemory, device: PhysicalDevice, onFault: (fault: DmaFault) => void = () => {}) {
    this.#memory = memory;
    this.#device = device;
    this.#onFault = onFault;
  }

  read(iova: bigint, into: Uint8Array, pasid: number = NO_PASID): DmaResult {
    return this.#transfer(iova, into, false, pasid);
  }

  write(iova: bigint, from: Uint8Array, pasid: number = NO_PASID): DmaResult {
    return this.#transfer(iova, from, true, pasid);
  }

  #domain(pasid: number): PagingDomain | undefined {
    const { group } = this.#device;
    const domain = pasid === NO_PASID ? group.domain : group.pasidDomains.get(pasid);
    if (domain?.kind !== "nested") return domain;
    // A guest's own table is the guest's business; its addresses are translated by the one under it.
    return domain.unit.tableUnder === undefined ? domain.parent : domain.unit.tableUnder(domain);
  }

  #transfer(iova: bigint, bytes: Uint8Array, write: boolean, pasid: number): DmaResult {
    const domain = this.#domain(pasid);
    if (domain === undefined) return this.#fault(iova, write, pasid, DmaResult.unmapped);
    if (this.#iotlb?.domain !== domain) this.#iotlb = new Iotlb(domain);
    const iotlb = this.#iotlb;
    const granule = 2 ** domain.table.granuleShift;
    const perPage = PAGE_SIZE / granule;
    const { frames } = this.#memory;
    const needed = write ? PteFlag.WRITE : PteFlag.READ;
    let at = Number(iova >> BigInt(domain.table.granuleShift));
    let offset = Number(iova & BigInt(granule - 1));
    for (let done = 0; done < bytes.length;) {
      const slot = iotlb.find(at);
      if (slot < 0) return this.#fault(iova + BigInt(done), write, pasid, DmaResult.unmapped);
      const flags = iotlb.flags[slot]!;
      if ((flags & needed) === 0) return this.#fault(iova + BigInt(done), write, pasid, DmaResult.forbidden);
      const granules = iotlb.granules[slot]!;
      const span = iotlb.spans[slot]!;
      const count = Math.min(bytes.length - done, span * granule - offset);
      const part = bytes.subarray(done, done + count);
      const inFrame = (granules % perPage) * granule + offset;
      const frame = Math.floor(granules / perPage);
      const ok = write ? frames.write(frame, inFrame, part) : frames.read(frame, inFrame, part);
      if (!ok) return this.#fault(iova + BigInt(done), write, pasid, DmaResult.unmapped);
      // A walk that is cached with the bit set is dropped when the bit is cleared.
      if (write && domain.tracking && (flags & PteFlag.DIRTY) === 0) {
        this.#markDirty(domain, at, Math.ceil((offset + count) / granule));
        iotlb.flags[slot] = flags | PteFlag.DIRTY;
      }
      done += count;
      const moved = Math.floor((offset + count) / granule);
      offset = (offset + count) % granule;
      at += moved;
    }
    return DmaResult.ok;
  }

  /** Dirty bits are per leaf: one visit marks the whole of it. */
  #markDirty(domain: PagingDomain, at: number, count: number): void {
    for (let g = at; g < at + count;) {
      domain.table.setDirty(g);
      domain.table.walk(g);
      g += domain.table.hitSpan;
    }
  }

  #fault(iova: bigint, write: boolean, pasid: number, result: DmaResult): DmaResult {
    this.#onFault({ device: this.#device, pasid, iova, write, result });
    return result;
  }
}
