// Which rules a model goes by.
import {
  HwptAllocFlag,
  IOMMU_HW_INFO_SELFTEST_REGVAL,
  IOMMU_HW_INFO_TYPE_SELFTEST,
  IommuTestHwInfo,
} from "../../uapi/index.ts";
import type { UnitModel } from "../unit-description.ts";
import { amdRules } from "./amd.ts";
import type { ModelRules } from "./rules.ts";
import { smmuv3Rules } from "./smmuv3.ts";
import { vtdRules } from "./vtd.ts";

const { NEST_PARENT, DIRTY_TRACKING, PASID } = HwptAllocFlag;

/** What the driver of 7.2 has, and dirty bits, which it has not yet. */
const riscvRules: ModelRules = { flagSets: [0, DIRTY_TRACKING], hasViommu: () => false };

/** The kernel's test unit as far as page tables go; its nesting is for the test interface only. */
const mockRules: ModelRules = {
  flagSets: [0, DIRTY_TRACKING, PASID, DIRTY_TRACKING | PASID].flatMap((set) => [set, set | NEST_PARENT]),
  nestedPasids: true,
  hwInfo: () => ({
    type: IOMMU_HW_INFO_TYPE_SELFTEST,
    data: IommuTestHwInfo.encode({ flags: 0, test_reg: IOMMU_HW_INFO_SELFTEST_REGVAL }),
  }),
  hasViommu: () => false,
};

export const modelRules: Readonly<Record<UnitModel, ModelRules>> = {
  "vt-d": vtdRules,
  amd: amdRules,
  smmuv3: smmuv3Rules,
  riscv: riscvRules,
  mock: mockRules,
};
export type { ModelRules } from "./rules.ts";
export { reportStreamEvent } from "./smmuv3.ts";
