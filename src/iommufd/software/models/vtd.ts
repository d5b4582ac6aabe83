// Intel VT-d (drivers/iommu/intel of Linux 7.2): nesting of first-stage tables by a domain of their own, no vIOMMU.
import {
  Errno,
  HwInfoType,
  HwptAllocFlag,
  HwptDataType,
  InvalidateDataType,
  IommuHwInfoVtd,
  IommuHwptVtdS1,
  IommuHwptVtdS1Invalidate,
  VtdS1Flag,
} from "../../uapi/index.ts";
import { NestedDomain } from "../domain.ts";
import type { UnitDescription } from "../unit-description.ts";
import type { ModelRules } from "./rules.ts";

const { NEST_PARENT, DIRTY_TRACKING, PASID } = HwptAllocFlag;
/** 7.2 reports it for every unit: read-only mappings must not be made where a guest nests. */
const ERRATA_772415_SPR17 = 1;
const FOUR_LEVELS = 48;
const ADDR_PAGE_MASK = 0xfffn;
const EVERYTHING = 0xffff_ffff_ffff_ffffn;
const INV_FLAG_LEAF = 1;

/** VT-d 4.1 §11.4.2, as far as clients look: 4-level tables, their large pages, the reach. */
function capabilities(d: UnitDescription): bigint {
  const widthBits = BigInt(d.apertureLast.toString(2).length);
  const large = (d.pageSizes.includes(0x20_0000) ? 1n : 0n) | (d.pageSizes.includes(0x4000_0000) ? 2n : 0n);
  const domains = 6n;
  const sagaw = 1n << 10n;
  return domains | sagaw | ((widthBits - 1n) << 16n) | (large << 34n) | ((large >> 1n) << 56n);
}

/** §11.4.3: coherent, queued invalidation, interrupt remapping, scalable mode with both stages, and what is described. */
function extendedCapabilities(d: UnitDescription): bigint {
  const bit = (n: bigint, on = true): bigint => (on ? 1n << n : 0n);
  const pasids = d.pasidBits > 0 ? bit(40n) | (BigInt(d.pasidBits - 1) << 35n) : 0n;
  const always = bit(0n) | bit(1n) | bit(43n) | bit(46n) | bit(47n) | bit(48n);
  return (
    always |
    bit(2n, d.ats) |
    bit(3n, d.isolatedMsi) |
    bit(7n, d.cacheCoherency === "enforced") |
    bit(26n, d.nesting) |
    bit(29n, d.pageRequests) |
    bit(45n, d.dirtyTracking) |
    pasids
  );
}

export const vtdRules: ModelRules = {
  flagSets: [0, NEST_PARENT, DIRTY_TRACKING, NEST_PARENT | DIRTY_TRACKING].flatMap((set) => [set, set | PASID]),
  nestParentsAreWritable: true,
  nestedPasids: true,
  hwInfo: (d) => ({
    type: HwInfoType.INTEL_VTD,
    data: IommuHwInfoVtd.encode({
      flags: ERRATA_772415_SPR17,
      cap_reg: capabilities(d),
      ecap_reg: extendedCapabilities(d),
    }),
  }),
  allocNested(unit, parent, flags, data) {
    if ((flags & ~PASID) !== 0 || data.type !== HwptDataType.VTD_S1) return -Errno.EOPNOTSUPP;
    const config = data.read(IommuHwptVtdS1, HwptDataType.VTD_S1, IommuHwptVtdS1.lengthBytes);
    if (typeof config === "number") return config;
    return new NestedDomain(unit, parent, undefined, IommuHwptVtdS1.encode(config));
  },
  attachNested(_device, domain) {
    const { addr_width: width, flags } = IommuHwptVtdS1.decode(domain.data);
    if (width !== FOUR_LEVELS) return -Errno.EINVAL;
    return (flags & BigInt(VtdS1Flag.SRE | VtdS1Flag.EAFE)) !== 0n ? -Errno.EINVAL : 0;
  },
  invalidateNested(_domain, entries) {
    const type = InvalidateDataType.VTD_S1;
    const count = entries.entryCount;
    entries.entryCount = 0;
    if (entries.type !== type) return -Errno.EINVAL;
    for (let i = 0; i < count; i++) {
      const entry = entries.entry(i).read(IommuHwptVtdS1Invalidate, type, IommuHwptVtdS1Invalidate.lengthBytes);
      if (typeof entry === "number") return entry;
      if ((entry.flags & ~INV_FLAG_LEAF) !== 0 || entry.__reserved !== 0) return -Errno.EOPNOTSUPP;
      if ((entry.addr & ADDR_PAGE_MASK) !== 0n || (entry.npages === EVERYTHING && entry.addr !== 0n)) {
        return -Errno.EINVAL;
      }
      entries.entryCount++;
    }
    return 0;
  },
  hasViommu: () => false,
};
