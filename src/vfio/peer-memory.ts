// Memory in BARs of assigned devices, so that the other devices reach it where the guest sees it (peer to peer). The host
// shares such memory by descriptor; one that cannot leaves BARs to the harts.
import { IommufdError, type IommufdClient, type VfioDeviceClient, type VfioRegion } from "../iommufd/index.ts";
import { PAGE_BYTES, type MemoryListener, type MemoryRegion, type MemorySection } from "../memory/index.ts";

/** Regions of the guest's view that are memory of a device, with the descriptors by which they are mapped. */
export class PeerMemory {
  readonly #descriptors = new Map<MemoryRegion, number>();

  /** Lets devices at `region`, which shows what `area` of a BAR has; the returned function ends that. */
  share(region: MemoryRegion, client: VfioDeviceClient, bar: VfioRegion, at: bigint): () => void {
    let fd: number;
    try {
      fd = client.exportDmaBuf(bar, at, BigInt(region.lengthBytes));
    } catch (error) {
      // Older kernels have no such feature: QEMU's devices do not reach each other there either.
      if (!(error instanceof IommufdError)) throw error;
      return () => {};
    }
    this.#descriptors.set(region, fd);
    return () => {
      if (this.#descriptors.delete(region)) client.closeDmaBuf(fd);
    };
  }

  descriptorOf(region: MemoryRegion): number | undefined {
    return this.#descriptors.get(region);
  }
}

export interface MappedPeersOptions {
  readonly calls: Pick<IommufdClient, "mapFile" | "unmap">;
  readonly ioasId: number;
  readonly peers: PeerMemory;
  /** BARs that cannot be mapped are no reason to stop. */
  readonly warn: (message: string) => void;
}

interface Mapping {
  readonly iova: bigint;
  readonly lengthBytes: bigint;
}

interface PeerMapping extends Mapping {
  readonly region: MemoryRegion;
  /** In what the descriptor is of. */
  readonly start: bigint;
  readonly writable: boolean;
}

/** Follows an address space; an IOAS has the devices' memory that is seen there. */
export class MappedPeers implements MemoryListener {
  readonly #options: MappedPeersOptions;
  readonly #mapped = new Map<number, PeerMapping>();

  constructor(options: MappedPeersOptions) {
    this.#options = options;
  }

  /** Ascending. */
  get mappings(): readonly Mapping[] {
    return [...this.#mapped.values()].sort((a, b) => Number(a.iova - b.iova));
  }

  regionAdd(section: MemorySection): void {
    const { start, offsetInRegion, readOnly, region } = section;
    if (this.#options.peers.descriptorOf(region) === undefined) return;
    const lead = -start & (PAGE_BYTES - 1);
    const lengthBytes = Math.floor((section.lengthBytes - lead) / PAGE_BYTES) * PAGE_BYTES;
    if (lengthBytes <= 0 || (offsetInRegion + lead) % PAGE_BYTES !== 0) return;
    this.#map(start, {
      ...{ region, iova: BigInt(start + lead), lengthBytes: BigInt(lengthBytes) },
      ...{ start: BigInt(offsetInRegion + lead), writable: !readOnly },
    });
  }

  regionDel({ start }: MemorySection): void {
    const mapping = this.#mapped.get(start);
    if (mapping !== undefined) this.#unmap(start, mapping);
  }

  /** A device was reset while the guest goes on to see its BARs: the host has taken them out of page tables, for good. */
  renew(): void {
    for (const [start, mapping] of [...this.#mapped]) {
      this.#unmap(start, mapping);
      this.#map(start, mapping);
    }
  }

  #map(at: number, mapping: PeerMapping): void {
    const { calls, ioasId, peers, warn } = this.#options;
    const { region, iova, lengthBytes, start, writable } = mapping;
    try {
      calls.mapFile(peers.descriptorOf(region)!, start, { iova, lengthBytes, ioasId, writable });
    } catch (error) {
      if (!(error instanceof IommufdError)) throw error;
      const where = `0x${iova.toString(16)}, ${lengthBytes} bytes`;
      return warn(
        `Memory of a device, ${region.name} at ${where}, cannot be mapped: ${error.message}; other devices do not reach it`,
      );
    }
    this.#mapped.set(at, mapping);
  }

  #unmap(at: number, { region, iova, lengthBytes }: PeerMapping): void {
    const { calls, ioasId, warn } = this.#options;
    this.#mapped.delete(at);
    try {
      calls.unmap(ioasId, iova, lengthBytes);
    } catch (error) {
      if (!(error instanceof IommufdError)) throw error;
      warn(`Memory of a device, ${region.name}, went and cannot be unmapped: ${error.message}`);
    }
  }
}
