// A unit made from a description, and devices behind it whose DMA goes through their domain's page table.
import { Errno, HwInfoType, HwptAllocFlag } from "../uapi/index.ts";
import { attachRefusal } from "../facts/attachment.ts";
import { NestedDomain, PagingDomain, type Domain } from "./domain.ts";
import type { DeviceGroup, HwInfo, PhysicalDevice, ReservedRegion, UnitDriver } from "./unit.ts";
import { hwInfoOf, type UnitDescription } from "./unit-description.ts";
import type { UserData } from "./user-data.ts";

const FLAGS = HwptAllocFlag.DIRTY_TRACKING | HwptAllocFlag.NEST_PARENT | HwptAllocFlag.PASID;
const MAX_NESTED_BYTES = 64;

export class DescribedUnit implements UnitDriver {
  readonly id: string;
  readonly family: string;
  readonly takesFlags = true;
  readonly description: UnitDescription;

  constructor(id: string, description: UnitDescription) {
    this.id = id;
    this.family = description.model;
    this.description = description;
  }

  hwInfo(_device: PhysicalDevice, wantedType: number): HwInfo | number {
    const info = hwInfoOf(this.description);
    if (info === undefined || (wantedType !== HwInfoType.DEFAULT && wantedType !== info.type)) return -Errno.EOPNOTSUPP;
    return info;
  }

  dirtyTracking(): boolean {
    return this.description.dirtyTracking;
  }

  cacheCoherent(): boolean {
    return this.description.cacheCoherency !== "none";
  }

  enforcesCoherency(): boolean {
    return this.description.cacheCoherency === "enforced";
  }

  atsSupported(): boolean {
    return this.description.ats;
  }

  allocPaging(_device: PhysicalDevice, flags: number, data: UserData | undefined): PagingDomain | number {
    const { pageSizes, apertureStart, apertureLast, dirtyTracking, nesting } = this.description;
    const dirty = (flags & HwptAllocFlag.DIRTY_TRACKING) !== 0;
    if ((flags & ~FLAGS) !== 0 || data !== undefined || (dirty && !dirtyTracking)) return -Errno.EOPNOTSUPP;
    if ((flags & HwptAllocFlag.NEST_PARENT) !== 0 && !nesting) return -Errno.EOPNOTSUPP;
    const smallest = Math.min(...pageSizes);
    return new PagingDomain({
      unit: this,
      format: {
        granuleShift: Math.log2(smallest),
        leafLevels: pageSizes.map((bytes) => Math.log2(bytes / smallest) / 9),
      },
      pageSizes: pageSizes.reduce((bitmap, bytes) => bitmap | BigInt(bytes), 0n),
      apertureStart,
      apertureLast,
      dirtyTracking: dirty,
    });
  }

  allocNested(_device: PhysicalDevice, parent: PagingDomain, flags: number, data: UserData): NestedDomain | number {
    if (!this.description.nesting || (flags & ~HwptAllocFlag.PASID) !== 0) return -Errno.EOPNOTSUPP;
    if (data.lengthBytes > MAX_NESTED_BYTES) return -Errno.EINVAL;
    const bytes = new Uint8Array(data.lengthBytes);
    if (!data.memory.read(data.va, bytes)) return -Errno.EFAULT;
    return new NestedDomain(this, parent, undefined, bytes);
  }

  attach(_device: PhysicalDevice, domain: Domain | undefined): number {
    if (domain === undefined) return 0;
    const paging = domain.kind === "paging" ? domain : domain.parent;
    const needs = {
      unitId: paging.unit.id,
      model: this.description.model,
      dirtyBits: paging.hasDirtyBits,
      enforcedCoherency: paging.enforcesCoherency,
      pageRequests: domain.faultQueue !== undefined,
    };
    return -(attachRefusal(needs, this)?.errno ?? 0);
  }

  attachPasid(device: PhysicalDevice, _pasid: number, domain: Domain | undefined): number {
    return this.attach(device, domain);
  }

  hasViommu(): boolean {
    return false;
  }
}

export interface DescribedDeviceOptions {
  readonly name: string;
  readonly unit: DescribedUnit;
  readonly group: DeviceGroup;
  readonly reserved?: readonly ReservedRegion[];
  readonly isVfWithPri?: boolean;
}

export class DescribedDevice implements PhysicalDevice {
  readonly name: string;
  readonly unit: DescribedUnit;
  readonly group: DeviceGroup;
  readonly reserved: readonly ReservedRegion[];
  readonly maxPasids: number;
  readonly isVfWithPri: boolean;

  constructor(options: DescribedDeviceOptions) {
    this.name = options.name;
    this.unit = options.unit;
    this.group = options.group;
    const { pasidBits, reserved } = options.unit.description;
    this.reserved = [...reserved, ...(options.reserved ?? [])];
    this.maxPasids = pasidBits === 0 ? 0 : 2 ** pasidBits;
    this.isVfWithPri = options.isVfWithPri ?? false;
    this.group.devices.push(this);
  }
}
