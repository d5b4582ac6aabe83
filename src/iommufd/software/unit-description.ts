// IOMMU units as data: what a model can do, and ready-made profiles of real ones.
import { TOP } from "./iova-allocator.ts";
import type { ReservedRegion } from "./unit.ts";

export const unitModels = ["vt-d", "amd", "smmuv3", "riscv", "mock"] as const;
export type UnitModel = (typeof unitModels)[number];

export interface UnitDescription {
  readonly model: UnitModel;
  /** Page sizes in bytes, ascending: the smallest (2 or 4 KiB), and powers of 512 times it. */
  readonly pageSizes: readonly number[];
  readonly apertureStart: bigint;
  readonly apertureLast: bigint;
  /** Whether page tables can have dirty bits. */
  readonly dirtyTracking: boolean;
  /** Whether a guest's page table can lie on one of the host's. */
  readonly nesting: boolean;
  /** log2 of how many PASIDs; 0 for none. */
  readonly pasidBits: number;
  /** Whether devices can ask for pages. */
  readonly pageRequests: boolean;
  readonly ats: boolean;
  /** `snoop`: DMA sees the caches; `enforced`: even when the device asks for no snooping; `none`: cannot be bound. */
  readonly cacheCoherency: "none" | "snoop" | "enforced";
  /** Whether interrupts of a device can be told from another's. */
  readonly isolatedMsi: boolean;
  /** What every device behind it must leave alone. */
  readonly reserved: readonly ReservedRegion[];
}

const PAGES = [0x1000, 0x20_0000, 0x4000_0000] as const;
/** Where x86 interrupts are written. */
const X86_MSI: ReservedRegion = { start: 0xfee0_0000n, last: 0xfeef_ffffn, kind: "hw-msi" };
/** HyperTransport's own range. */
const AMD_HT: ReservedRegion = { start: 0xfd_0000_0000n, last: 0xff_ffff_ffffn, kind: "reserved" };
/** Where Linux maps the doorbell of an Arm interrupt controller. */
const ARM_MSI: ReservedRegion = { start: 0x800_0000n, last: 0x80f_ffffn, kind: "sw-msi" };

const vtd: UnitDescription = {
  model: "vt-d",
  pageSizes: PAGES,
  apertureStart: 0n,
  apertureLast: 0xffff_ffff_ffffn,
  dirtyTracking: true,
  nesting: true,
  pasidBits: 20,
  pageRequests: true,
  ats: true,
  cacheCoherency: "enforced",
  isolatedMsi: true,
  reserved: [X86_MSI],
};
const smmu: UnitDescription = {
  model: "smmuv3",
  pageSizes: PAGES,
  apertureStart: 0n,
  apertureLast: 0xffff_ffff_ffffn,
  dirtyTracking: true,
  nesting: true,
  pasidBits: 20,
  pageRequests: false,
  ats: true,
  cacheCoherency: "snoop",
  isolatedMsi: true,
  reserved: [ARM_MSI],
};
// Sv48, of whose sign-extended addresses IOVAs are the lower half. What 7.2's driver does not do yet (dirty bits by
// AMO_HWAD) is described as the specification has it.
const riscv: UnitDescription = {
  model: "riscv",
  pageSizes: PAGES,
  apertureStart: 0n,
  apertureLast: 0x7fff_ffff_ffffn,
  dirtyTracking: true,
  nesting: false,
  pasidBits: 0,
  pageRequests: false,
  ats: false,
  cacheCoherency: "snoop",
  isolatedMsi: true,
  reserved: [],
};
/** As the kernel's test unit makes its default tables. */
const mock: UnitDescription = {
  model: "mock",
  pageSizes: [0x800],
  apertureStart: 0x100_0000n,
  apertureLast: 0x7fff_ffffn,
  dirtyTracking: true,
  nesting: false,
  pasidBits: 20,
  pageRequests: true,
  ats: false,
  cacheCoherency: "snoop",
  isolatedMsi: true,
  reserved: [],
};

/** Names that a host description can use. */
export const unitProfiles: Readonly<Record<string, UnitDescription>> = {
  "vtd-ssads": vtd,
  vtd: { ...vtd, dirtyTracking: false },
  amd: { ...vtd, model: "amd", apertureLast: TOP, cacheCoherency: "snoop", reserved: [X86_MSI, AMD_HT] },
  "smmuv3-httu": smmu,
  smmuv3: { ...smmu, dirtyTracking: false },
  "riscv-hwad": riscv,
  riscv: { ...riscv, dirtyTracking: false },
  mock,
};
