// IOMMU units as data: what a model can do, and ready-made profiles of real ones.
import {
  HwInfoType,
  IOMMU_HW_INFO_SELFTEST_REGVAL,
  IOMMU_HW_INFO_TYPE_SELFTEST,
  IommuHwInfoAmd,
  IommuHwInfoArmSmmuv3,
  IommuHwInfoVtd,
  IommuTestHwInfo,
} from "../uapi/index.ts";
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
  nesting: true,
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

// VT-d 4.1 §11.4.2 and §11.4.3, the bits that clients look at.
const VTD_CAP_LARGE_PAGES = 3n << 34n;
const VTD_ECAP_SSADS = 1n << 45n;
const VTD_ECAP_NEST = 1n << 26n;
const VTD_ECAP_PASID = 1n << 40n;

/** What GET_HW_INFO answers for a model, if it has a structure of its own. */
export function hwInfoOf(unit: UnitDescription): { readonly type: number; readonly data: Uint8Array } | undefined {
  switch (unit.model) {
    case "vt-d":
      return {
        type: HwInfoType.INTEL_VTD,
        data: IommuHwInfoVtd.encode({
          flags: 0,
          cap_reg: VTD_CAP_LARGE_PAGES,
          ecap_reg:
            (unit.dirtyTracking ? VTD_ECAP_SSADS : 0n) |
            (unit.nesting ? VTD_ECAP_NEST : 0n) |
            (unit.pasidBits > 0 ? VTD_ECAP_PASID : 0n),
        }),
      };
    case "smmuv3":
      return {
        type: HwInfoType.ARM_SMMUV3,
        // SMMUv3 (IHI 0070) §6.3.1: IDR0.HTTU in bits 7:6, S1P and S2P in bits 1:0.
        data: IommuHwInfoArmSmmuv3.encode({
          idr: [(unit.dirtyTracking ? 2 << 6 : 0) | 2 | (unit.nesting ? 1 : 0), 0, 0, 0, 0, 0],
        }),
      };
    case "amd":
      return { type: HwInfoType.AMD, data: IommuHwInfoAmd.encode({ efr: 0n, efr2: 0n }) };
    case "mock":
      return {
        type: IOMMU_HW_INFO_TYPE_SELFTEST,
        data: IommuTestHwInfo.encode({ flags: 0, test_reg: IOMMU_HW_INFO_SELFTEST_REGVAL }),
      };
    case "riscv":
      return undefined;
  }
}
