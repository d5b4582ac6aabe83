// AMD IOMMU (drivers/iommu/amd of Linux 7.2): parents and vIOMMUs can be made, nested domains not yet (the driver has the
// code, and does not offer it).
import { HwInfoType, HwptAllocFlag, IommuHwInfoAmd } from "../../uapi/index.ts";
import type { UnitDescription } from "../unit-description.ts";
import type { ModelRules } from "./rules.ts";

const { NEST_PARENT, DIRTY_TRACKING, PASID } = HwptAllocFlag;

/** AMD I/O virtualization specification, MMIO offset 30h, as far as it is described. */
function features(d: UnitDescription): bigint {
  const bit = (n: bigint, on = true): bigint => (on ? 1n << n : 0n);
  const pasids = d.pasidBits > 0 ? BigInt(d.pasidBits - 1) << 32n : 0n;
  return (
    bit(0n) |
    bit(1n, d.pageRequests) |
    bit(4n, d.nesting || d.pasidBits > 0) |
    bit(6n) |
    bit(48n, d.nesting) |
    bit(49n, d.dirtyTracking) |
    bit(52n, d.dirtyTracking) |
    pasids
  );
}

/** MMIO offset 1A0h: GCR3TRPMode. */
function features2(d: UnitDescription): bigint {
  return d.nesting ? 1n << 3n : 0n;
}

export const amdRules: ModelRules = {
  flagSets: [0, DIRTY_TRACKING, NEST_PARENT, DIRTY_TRACKING | NEST_PARENT, PASID],
  hwInfo: (d) => ({ type: HwInfoType.AMD, data: IommuHwInfoAmd.encode({ efr: features(d), efr2: features2(d) }) }),
  // 7.2 takes any type here.
  hasViommu: () => true,
  initViommu: () => ({}),
};
