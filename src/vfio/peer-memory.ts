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

/** Follows an address space; an IOAS has the devices' memory that is seen there. */
export class MappedPeers implements MemoryListener {
  readonly #options: MappedPeersOptions;
  readonly #mapped = new Map<number, Mapping>();

  constructor(options: MappedPeersOptions) {
    this.#options = options;
  }

  /** Ascending. */
  get mappings(): readonly Mapping[] {
    return [...this.#mapped.values()].sort((a, b) => Number(a.iova - b.iova));
  }

  regionAdd(section: MemorySection): void {
    const { calls, ioasId, peers, warn } = this.#options;
    const fd = peers.descriptorOf(section.region);
    if (fd === undefined) return;
    const { start, offsetInRegion, readOnly, region } = section;
    const lead = -start & (PAGE_BYTES - 1);
    const lengthBytes = Math.floor((section.lengthBytes - lead) / PAGE_BYTES) * PAGE_BYTES;
    if (lengthBytes <= 0 || (offsetInRegion + lead) % PAGE_BYTES !== 0) return;
    const mapping = { iova: BigInt(start + lead), lengthBytes: BigInt(lengthBytes) };
    try {
      calls.mapFile(fd, BigInt(offsetInRegion + lead), { ...mapping, ioasId, writable: !readOnly });
    } catch (error) {
      if (!(error instanceof IommufdError)) throw error;
      const where = `0x${mapping.iova.toString(16)}, ${lengthBytes} bytes`;
      return warn(
        `Memory of a device, ${region.name} at ${where}, cannot be mapped: ${error.message}; other devices do not reach it`,
      );
    }
    this.#mapped.set(start, mapping);
  }

  regionDel({ start, region }: MemorySection): void {
    const mapping = this.#mapped.get(start);
    if (mapping === undefined) return;
    const { calls, ioasId, warn } = this.#options;
    this.#mapped.delete(start);
    try {
      calls.unmap(ioasId, mapping.iova, mapping.lengthBytes);
    } catch (error) {
      if (!(error instanceof IommufdError)) throw error;
      warn(`Memory of a device, ${region.name}, went and cannot be unmapped: ${error.message}`);
    }
  }
}
