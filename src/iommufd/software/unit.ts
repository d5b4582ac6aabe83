// What the core asks of an IOMMU unit and of the devices behind it. Results are zero or a negative errno.
import type { Domain, NestedDomain, PagingDomain } from "./domain.ts";
import type { UserArray, UserData } from "./user-data.ts";

/** Requests without a PASID. */
export const NO_PASID = 0;

export interface ReservedRegion {
  readonly start: bigint;
  readonly last: bigint;
  /** Relaxable direct regions are not enforced; an `sw-msi` window is where MSI pages get mapped. */
  readonly kind: "reserved" | "direct" | "direct-relaxable" | "hw-msi" | "sw-msi";
}

export interface HwInfo {
  readonly type: number;
  readonly data: Uint8Array;
}

/** What a driver sees of a virtual IOMMU. */
export interface VirtualIommu {
  readonly unit: UnitDriver;
  /** The host's page table under it. */
  readonly table: PagingDomain;
  /** The guest's number for a device, if it has one here. */
  virtualIdOf(device: PhysicalDevice): bigint | undefined;
  /** The device that the guest knows by a number. */
  deviceOf(virtualId: bigint): PhysicalDevice | undefined;
  /** Hands an event to the queue of its type: zero, or -EOPNOTSUPP when there is none. */
  report(type: number, event: Uint8Array): number;
  /** Offers bytes to be mapped by the guest's VMM; the offset to pass to mmap. */
  addRegion(bytes: Uint8Array): bigint;
  removeRegion(offset: bigint): void;
}

/** What a driver sees of a hardware queue. */
export interface HardwareQueue {
  readonly viommu: VirtualIommu;
  readonly baseIova: bigint;
  /** Whoever needs the queue counts here. */
  users: number;
  /** Runs when the queue goes. */
  onDestroy: (() => void) | undefined;
}

export interface ViommuDriver {
  allocNested?(viommu: VirtualIommu, flags: number, data: UserData): NestedDomain | number;
  invalidate?(viommu: VirtualIommu, entries: UserArray): number;
  /** Whether queues of this type exist. */
  hasHwQueues?(type: number): boolean;
  initHwQueue?(queue: HardwareQueue, index: number, frame: number, offset: number): number;
  destroy?(viommu: VirtualIommu): void;
}

export interface UnitDriver {
  readonly id: string;
  /** The operations behind it; a domain made by other operations is refused (EINVAL). */
  readonly family: string;
  hwInfo?(device: PhysicalDevice, wantedType: number): HwInfo | number;
  dirtyTracking(device: PhysicalDevice): boolean;
  /** Whether the unit snoops caches; a device behind one that does not cannot be bound. */
  cacheCoherent(device: PhysicalDevice): boolean;
  enforcesCoherency(device: PhysicalDevice): boolean;
  atsSupported(device: PhysicalDevice): boolean;
  /** False when the driver makes plain domains only: then flags or data are refused. */
  readonly takesFlags: boolean;
  allocPaging(device: PhysicalDevice, flags: number, data: UserData | undefined): PagingDomain | number;
  allocNested?(device: PhysicalDevice, parent: PagingDomain, flags: number, data: UserData): NestedDomain | number;
  invalidateNested?(domain: NestedDomain, entries: UserArray): number;
  /** Undefined domain: block all DMA; that cannot fail. */
  attach(device: PhysicalDevice, domain: Domain | undefined, old: Domain | undefined): number;
  attachPasid?(device: PhysicalDevice, pasid: number, domain: Domain | undefined, old: Domain | undefined): number;
  /** The host's table that a guest's addresses go through; undefined when they are blocked. Absent: the parent's. */
  tableUnder?(domain: NestedDomain): PagingDomain | undefined;
  hasViommu(device: PhysicalDevice, type: number): boolean;
  initViommu?(viommu: VirtualIommu, data: UserData | undefined): ViommuDriver | number;
}

/** A device of the host, behind one unit, in one group. */
export interface PhysicalDevice {
  readonly name: string;
  readonly unit: UnitDriver;
  readonly group: DeviceGroup;
  readonly reserved: readonly ReservedRegion[];
  /** How many PASIDs it can use; 0 for none. */
  readonly maxPasids: number;
  /** A virtual function whose page requests share the physical function's. */
  readonly isVfWithPri: boolean;
  /** PASID execute and privileged modes, when it is a PCI device with PASIDs. */
  readonly pasidExec?: boolean;
  readonly pasidPrivileged?: boolean;
}

/** Devices that cannot be isolated from each other. */
export interface DeviceGroup {
  readonly id: number;
  readonly devices: PhysicalDevice[];
  /** False when a device could forge another's interrupts. */
  readonly isolatedMsi: boolean;
  /** The context that owns the group's DMA, and how many of its devices are bound. */
  owner: object | undefined;
  ownerCount: number;
  /** What the group's requests without PASID, and those with one, go through. */
  domain: Domain | undefined;
  readonly pasidDomains: Map<number, Domain>;
}

export function makeGroup(id: number, isolatedMsi = true): DeviceGroup {
  return { id, devices: [], isolatedMsi, owner: undefined, ownerCount: 0, domain: undefined, pasidDomains: new Map() };
}
