// What a model's driver of Linux 7.2 adds to what all units do. A missing function is a call that the driver does not have.
import type { NestedDomain, PagingDomain } from "../domain.ts";
import type { HwInfo, PhysicalDevice, UnitDriver, ViommuDriver, VirtualIommu } from "../unit.ts";
import type { UnitDescription } from "../unit-description.ts";
import type { UserArray, UserData } from "../user-data.ts";

export interface ModelRules {
  /** The sets of `HwptAllocFlag` for which there are page tables; what the description lacks is refused before. */
  readonly flagSets: readonly number[];
  hwInfo?(description: UnitDescription): HwInfo;
  /** What its page table code says to mapping over something. Default: -EADDRINUSE. */
  readonly occupied?: number;
  /** Linux refuses to map read-only pages for tables that guests nest on. */
  readonly nestParentsAreWritable?: boolean;
  allocNested?(unit: UnitDriver, parent: PagingDomain, flags: number, data: UserData): NestedDomain | number;
  invalidateNested?(domain: NestedDomain, entries: UserArray): number;
  /** Zero or a negative errno, for a nested domain whose parent fits. */
  attachNested?(device: PhysicalDevice, domain: NestedDomain): number;
  /** Whether a PASID can be attached to a nested domain. */
  readonly nestedPasids?: boolean;
  hasViommu(type: number): boolean;
  initViommu?(viommu: VirtualIommu, data: UserData | undefined): ViommuDriver | number;
  /** The table under a nested domain; undefined when the guest blocks the device. Absent: the parent's. */
  tableUnder?(domain: NestedDomain): PagingDomain | undefined;
}
