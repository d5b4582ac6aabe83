// A unit made from a description, and devices behind it whose DMA goes through their domain's page table.
import { attachRefusal } from "../facts/attachment.ts";
import { Errno, HwInfoType, HwptAllocFlag } from "../uapi/index.ts";
import { PagingDomain, type Domain, type NestedDomain } from "./domain.ts";
import { modelRules, type ModelRules } from "./models/index.ts";
import { NO_PASID, type DeviceGroup, type PhysicalDevice, type ReservedRegion, type UnitDriver } from "./unit.ts";
import type { UnitDescription } from "./unit-description.ts";
import type { UserData } from "./user-data.ts";

/** log2 of how many tables of one level a table of the next holds. */
const LEVEL_BITS = 9;

export class DescribedUnit implements UnitDriver {
  readonly id: string;
  readonly family: string;
  readonly takesFlags = true;
  readonly description: UnitDescription;
  // Functions that a model's driver lacks are absent here too: the core answers for them.
  readonly hwInfo?: NonNullable<UnitDriver["hwInfo"]>;
  readonly allocNested?: NonNullable<UnitDriver["allocNested"]>;
  readonly invalidateNested?: NonNullable<UnitDriver["invalidateNested"]>;
  readonly initViommu?: NonNullable<UnitDriver["initViommu"]>;
  readonly #rules: ModelRules;

  constructor(id: string, description: UnitDescription) {
    this.id = id;
    this.family = description.model;
    this.description = description;
    const rules = (this.#rules = modelRules[description.model]);
    const { hwInfo, allocNested, invalidateNested, initViommu } = rules;
    if (hwInfo !== undefined) {
      const info = hwInfo(description);
      this.hwInfo = (_device, wanted) =>
        wanted === HwInfoType.DEFAULT || wanted === info.type ? info : -Errno.EOPNOTSUPP;
    }
    if (allocNested !== undefined) {
      this.allocNested = (_device, parent, flags, data) =>
        description.nesting ? allocNested(this, parent, flags, data) : -Errno.EOPNOTSUPP;
    }
    if (invalidateNested !== undefined) this.invalidateNested = invalidateNested;
    if (initViommu !== undefined) this.initViommu = initViommu;
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
    const { pageSizes, apertureStart, apertureLast, dirtyTracking, nesting, pasidBits } = this.description;
    const dirty = (flags & HwptAllocFlag.DIRTY_TRACKING) !== 0;
    const parent = (flags & HwptAllocFlag.NEST_PARENT) !== 0;
    if (!this.#rules.flagSets.includes(flags) || data !== undefined) return -Errno.EOPNOTSUPP;
    if ((dirty && !dirtyTracking) || (parent && !nesting)) return -Errno.EOPNOTSUPP;
    if ((flags & HwptAllocFlag.PASID) !== 0 && pasidBits === 0) return -Errno.EOPNOTSUPP;
    const smallest = Math.min(...pageSizes);
    return new PagingDomain({
      unit: this,
      format: {
        granuleShift: Math.log2(smallest),
        leafLevels: pageSizes.map((bytes) => Math.log2(bytes / smallest) / LEVEL_BITS),
      },
      pageSizes: pageSizes.reduce((bitmap, bytes) => bitmap | BigInt(bytes), 0n),
      apertureStart,
      apertureLast,
      dirtyTracking: dirty,
      occupied: this.#rules.occupied ?? -Errno.EADDRINUSE,
      writableOnly: parent && this.#rules.nestParentsAreWritable === true,
    });
  }

  attach(device: PhysicalDevice, domain: Domain | undefined): number {
    if (domain === undefined) return 0;
    const paging = domain.kind === "paging" ? domain : domain.parent;
    const needs = {
      unitId: paging.unit.id,
      model: this.description.model,
      pageSizes: paging.pageSizes,
      apertureStart: paging.apertureStart,
      apertureLast: paging.apertureLast,
      dirtyBits: paging.hasDirtyBits,
      enforcedCoherency: paging.enforcesCoherency,
      pageRequests: domain.takesPageRequests,
    };
    const refusal = attachRefusal(needs, this);
    if (refusal !== undefined) return -refusal.errno;
    return domain.kind === "nested" ? (this.#rules.attachNested?.(device, domain) ?? 0) : 0;
  }

  attachPasid(device: PhysicalDevice, pasid: number, domain: Domain | undefined): number {
    if (domain?.kind === "nested" && pasid !== NO_PASID && this.#rules.nestedPasids !== true) return -Errno.EOPNOTSUPP;
    return this.attach(device, domain);
  }

  hasViommu(_device: PhysicalDevice, type: number): boolean {
    return this.description.nesting && this.#rules.hasViommu(type);
  }

  tableUnder(domain: NestedDomain): PagingDomain | undefined {
    return this.#rules.tableUnder === undefined ? domain.parent : this.#rules.tableUnder(domain);
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
