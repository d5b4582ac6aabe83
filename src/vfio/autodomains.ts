// Which I/O page table a device gets: one of the container's that takes it, or one of its own, with dirty tracking when its
// unit has it. The algorithm of QEMU's iommufd backend, except that what the container knows of dirty tracking is
// computed from the devices that are there, and so forgets one that left.
import { Errno, HwCapability, HwptAllocFlag, IommufdError, type IommufdClient } from "../iommufd/index.ts";

/** A device that is bound to an IOMMUFD context. */
export interface AttachableDevice {
  readonly name: string;
  /** Its number in the context. */
  readonly deviceId: number;
  /** It has no place behind an IOMMU: it reaches memory through the IOAS, by whoever drives it. */
  readonly isMediated: boolean;
  /** Puts it on a page table, or on an IOAS by its number. Throws IommufdError. */
  attach(tableId: number): void;
  detach(): void;
}

/** An I/O page table and the devices on it. */
export interface AutoDomain {
  readonly hwptId: number;
  /** Its unit sets dirty bits while asked to; devices whose unit cannot are not let on it. */
  readonly hasDirtyBits: boolean;
  readonly devices: ReadonlySet<AttachableDevice>;
}

/** The calls that the algorithm makes. */
export interface DomainCalls extends Pick<IommufdClient, "getHwInfo" | "hwptAlloc"> {
  /** Does not throw: what the host keeps is tried again. */
  destroy(id: number): void;
}

export class AutoDomains {
  readonly #calls: DomainCalls;
  readonly #ioasId: number;
  readonly #domains: { hwptId: number; hasDirtyBits: boolean; devices: Set<AttachableDevice> }[] = [];

  /** `ioasId` is what every page table translates. */
  constructor(calls: DomainCalls, ioasId: number) {
    this.#calls = calls;
    this.#ioasId = ioasId;
  }

  /** Newest first. */
  get domains(): readonly AutoDomain[] {
    return this.#domains;
  }

  domainOf(device: AttachableDevice): AutoDomain | undefined {
    return this.#domains.find((domain) => domain.devices.has(device));
  }

  /**
   * Attaches a device; the page table it is on, undefined for a mediated one. Throws IommufdError, with nothing of the
   * device left behind.
   */
  attach(device: AttachableDevice): AutoDomain | undefined {
    if (device.isMediated) {
      device.attach(this.#ioasId);
      return undefined;
    }
    return this.#shareOne(device) ?? this.#makeOne(device);
  }

  /** Detaches a device; a page table goes with its last one. A host that refuses sees the device's file closed next. */
  detach(device: AttachableDevice): void {
    try {
      device.detach();
    } catch (error) {
      if (!(error instanceof IommufdError)) throw error;
    }
    const at = this.#domains.findIndex((domain) => domain.devices.has(device));
    const domain = this.#domains[at];
    if (domain === undefined) return;
    domain.devices.delete(device);
    if (domain.devices.size > 0) return;
    this.#domains.splice(at, 1);
    this.#calls.destroy(domain.hwptId);
  }

  #shareOne(device: AttachableDevice): AutoDomain | undefined {
    for (const domain of this.#domains) {
      try {
        device.attach(domain.hwptId);
      } catch (error) {
        // "Incompatible" is EINVAL by contract; whatever else went wrong would go wrong with the next one too.
        if (error instanceof IommufdError && error.errno === Errno.EINVAL) continue;
        throw error;
      }
      domain.devices.add(device);
      return domain;
    }
    return undefined;
  }

  #makeOne(device: AttachableDevice): AutoDomain {
    const { capabilities } = this.#calls.getHwInfo(device.deviceId);
    const hasDirtyBits = (capabilities & BigInt(HwCapability.DIRTY_TRACKING)) !== 0n;
    // A unit that reports dirty tracking and then refuses it is an error, not a reason to go on without.
    const flags = hasDirtyBits ? HwptAllocFlag.DIRTY_TRACKING : 0;
    const hwptId = this.#calls.hwptAlloc({ deviceId: device.deviceId, parentId: this.#ioasId, flags });
    try {
      device.attach(hwptId);
    } catch (error) {
      this.#calls.destroy(hwptId);
      throw error;
    }
    const domain = { hwptId, hasDirtyBits, devices: new Set([device]) };
    this.#domains.unshift(domain);
    return domain;
  }
}
