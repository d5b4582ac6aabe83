// A BAR of an assigned device: accesses go to the device's region, but for the MSI-X table, which is the VMM's.
import { containerRegion, mmioRegion, type MemoryRegion, type MmioHandler } from "../../memory/index.ts";
import type { BusBar } from "../../device/pci/index.ts";
import type { PeerMemory } from "../peer-memory.ts";
import { IommufdError, type VfioDeviceClient, type VfioRegion } from "../../iommufd/index.ts";

/** A stretch of a BAR that the device does not see. */
export interface Overlay {
  readonly at: number;
  readonly lengthBytes: number;
  readonly handler: MmioHandler;
}

export interface RegionBarOptions {
  readonly name: string;
  readonly region: VfioRegion;
  readonly kind: "memory" | "io";
  readonly client: VfioDeviceClient;
  readonly peers: PeerMemory;
  readonly overlays: readonly Overlay[];
  /** Called after each access that reached the device. */
  readonly onAccess: () => void;
  readonly onFailure: (what: string) => void;
}

export class RegionBar implements BusBar {
  readonly index: number;
  readonly kind: "memory" | "io";
  readonly lengthBytes: number;
  readonly region: MemoryRegion;
  address: bigint | undefined;
  readonly #options: RegionBarOptions;
  readonly #bytes: Uint8Array = new Uint8Array(8);
  readonly #view: DataView = new DataView(this.#bytes.buffer);
  readonly #unshare: readonly (() => void)[];
  readonly #parts: readonly Uint8Array[] = [1, 2, 4, 8].map((width) => this.#bytes.subarray(0, width));

  constructor(options: RegionBarOptions) {
    const { name, region, overlays } = options;
    this.#options = options;
    this.index = region.index;
    this.kind = options.kind;
    this.lengthBytes = Number(region.lengthBytes);
    this.region = containerRegion(name, this.lengthBytes);
    this.region.add(mmioRegion(`${name}.device`, this.lengthBytes, this.#handler(0)), 0);
    this.#unshare = region.mappable.map((area) => {
      const at = Number(area.offset);
      const memory = mmioRegion(`${name}.memory`, Number(area.lengthBytes), this.#handler(at));
      this.region.add(memory, at, 1);
      return options.peers.share(memory, options.client, region, area.offset);
    });
    for (const { at, lengthBytes, handler } of overlays) {
      this.region.add(mmioRegion(`${name}.messages`, lengthBytes, handler), at, 2);
    }
  }

  /** The region is seen no more. */
  close(): void {
    for (const end of this.#unshare) end();
  }

  /** Of what begins `from` bytes into the region. */
  #handler(from: number): MmioHandler {
    const view = this.#view;
    return {
      valid: { min: 1, max: 8, unaligned: true },
      impl: { min: 1, max: 8 },
      read: (at, width) => {
        this.#read(from + at, width);
        return width === 4 ? view.getUint32(0, true) : width === 2 ? view.getUint16(0, true) : view.getUint8(0);
      },
      write: (at, width, value) => {
        view.setUint32(0, value, true);
        this.#write(from + at, width);
      },
      read64: (at) => {
        this.#read(from + at, 8);
        return view.getBigUint64(0, true);
      },
      write64: (at, value) => {
        view.setBigUint64(0, value, true);
        this.#write(from + at, 8);
      },
    };
  }

  /** What a device that is gone, or asleep, answers are ones. */
  #read(at: number, width: number): void {
    const part = this.#part(width);
    if (!this.#attempt("read", () => this.#options.client.read(this.#options.region, BigInt(at), part)))
      part.fill(0xff);
    this.#options.onAccess();
  }

  #write(at: number, width: number): void {
    this.#attempt("write", () => this.#options.client.write(this.#options.region, BigInt(at), this.#part(width)));
    this.#options.onAccess();
  }

  #attempt(what: string, access: () => void): boolean {
    try {
      access();
      return true;
    } catch (error) {
      if (!(error instanceof IommufdError)) throw error;
      this.#options.onFailure(`${what} of ${this.#options.name}: ${error.message}`);
      return false;
    }
  }

  #part(width: number): Uint8Array {
    return this.#parts[Math.log2(width)]!;
  }
}
