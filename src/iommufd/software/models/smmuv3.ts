// Arm SMMUv3 (drivers/iommu/arm/arm-smmu-v3 of Linux 7.2): nesting goes through a vIOMMU, whose devices a guest knows by
// stream numbers of its own. Field positions: SMMUv3 specification (IHI 0070).
import {
  Errno,
  HwInfoType,
  HwptAllocFlag,
  HwptDataType,
  InvalidateDataType,
  IommuHwInfoArmSmmuv3,
  IommuHwptArmSmmuv3,
  IommuVeventArmSmmuv3,
  IommuViommuArmSmmuv3Invalidate,
  VeventqType,
  ViommuType,
} from "../../uapi/index.ts";
import { NestedDomain } from "../domain.ts";
import { NO_PASID, type PhysicalDevice, type VirtualIommu } from "../unit.ts";
import type { UnitDescription } from "../unit-description.ts";
import type { UserArray, UserData } from "../user-data.ts";
import type { ModelRules } from "./rules.ts";

const { NEST_PARENT, DIRTY_TRACKING, PASID } = HwptAllocFlag;

const STE_VALID = 1n;
const SteConfig = { ABORT: 0, BYPASS: 4, S1_TRANSLATE: 5 } as const;
/** STE words 0 and 1: what a guest may decide (V, Config, S1Fmt, S1ContextPtr, S1CDMax; S1DSS, S1CIR/COR/CSH, S1STALLD, EATS). */
const GUEST_BITS_0 = 0xf80f_ffff_ffff_ffffn;
const GUEST_BITS_1 = 0x3800_00ffn;
const EATS_SHIFT = 28n;
const EATS_MASK = 3n << EATS_SHIFT;

const CMD_OPCODE = 0xffn;
/** Commands about translations of the guest's own. */
const TLB_COMMANDS: ReadonlySet<number> = new Set([0x10, 0x11, 0x12, 0x13, 0x30]);
/** Commands about one stream: ATC_INV, CFGI_CD, CFGI_CD_ALL. */
const STREAM_COMMANDS: ReadonlySet<number> = new Set([0x40, 0x05, 0x06]);
const SID_SHIFT = 32n;

function configOf(ste0: bigint): number {
  return (ste0 & STE_VALID) === 0n ? SteConfig.ABORT : Number((ste0 >> 1n) & 7n);
}

function registers(d: UnitDescription): number[] {
  const sizes: Readonly<Record<number, number>> = { 32: 0, 36: 1, 40: 2, 42: 3, 44: 4, 48: 5, 52: 6 };
  const outputBits = d.apertureLast.toString(2).length;
  const idr0 =
    (d.nesting ? 1 : 0) | // S2P
    2 | // S1P
    (2 << 2) | // TTF: AArch64
    (d.cacheCoherency === "none" ? 0 : 1 << 4) |
    (d.dirtyTracking ? 2 << 6 : 0) | // HTTU: access and dirty
    (d.ats ? 1 << 10 : 0) |
    (1 << 12) | // ASID16
    (d.pageRequests ? 1 << 16 : 0) |
    (1 << 18) | // VMID16
    (1 << 19) | // CD2L
    (1 << 27); // two-level stream table
  const idr1 = (d.pasidBits << 6) | 16;
  const idr5 = (sizes[outputBits] ?? 5) | (1 << 4);
  return [idr0, idr1, 0, 0, 0, idr5];
}

/** The guest's stream table entry, when it asks for nothing that it may not have. */
function guestEntry(data: UserData): readonly [bigint, bigint] | number {
  const config = data.read(IommuHwptArmSmmuv3, HwptDataType.ARM_SMMUV3, IommuHwptArmSmmuv3.lengthBytes);
  if (typeof config === "number") return config;
  const [low, high] = config.ste as [bigint, bigint];
  if ((low & STE_VALID) === 0n) return [0n, 0n];
  if ((low & ~GUEST_BITS_0) !== 0n || (high & ~GUEST_BITS_1) !== 0n) return -Errno.EIO;
  const kind = configOf(low);
  if (kind !== SteConfig.ABORT && kind !== SteConfig.BYPASS && kind !== SteConfig.S1_TRANSLATE) return -Errno.EIO;
  // Only ATS off or fully on.
  return (high & EATS_MASK) >> EATS_SHIFT > 1n ? -Errno.EIO : [low, high];
}

function invalidate(viommu: VirtualIommu, entries: UserArray): number {
  const commands = entries.readAll(IommuViommuArmSmmuv3Invalidate, InvalidateDataType.VIOMMU_ARM_SMMUV3);
  entries.entryCount = 0;
  if (typeof commands === "number") return commands;
  for (const { cmd } of commands) {
    const opcode = Number(cmd[0]! & CMD_OPCODE);
    const isStream = STREAM_COMMANDS.has(opcode);
    if (!isStream && !TLB_COMMANDS.has(opcode)) return -Errno.EIO;
    if (isStream && viommu.deviceOf(cmd[0]! >> SID_SHIFT) === undefined) return -Errno.EIO;
    entries.entryCount++;
  }
  return 0;
}

export const smmuv3Rules: ModelRules = {
  occupied: -Errno.EEXIST,
  flagSets: [0, NEST_PARENT, DIRTY_TRACKING, DIRTY_TRACKING | PASID, PASID],
  hwInfo: (d) => ({
    type: HwInfoType.ARM_SMMUV3,
    data: IommuHwInfoArmSmmuv3.encode({ idr: registers(d), iidr: 0, aidr: 2 }),
  }),
  attachNested(device, domain) {
    if (domain.parent.unit !== device.unit) return -Errno.EINVAL;
    for (const pasid of device.group.pasidDomains.keys()) if (pasid !== NO_PASID) return -Errno.EBUSY;
    const [ste0] = IommuHwptArmSmmuv3.decode(domain.data).ste as [bigint, bigint];
    // Without a number of the guest's, its invalidations and its events could not name the device.
    const known = domain.viommu?.virtualIdOf(device) !== undefined;
    return known || configOf(ste0) !== SteConfig.S1_TRANSLATE ? 0 : -Errno.ENOENT;
  },
  hasViommu: (type) => type === ViommuType.ARM_SMMUV3,
  initViommu(viommu) {
    if (viommu.table.unit !== viommu.unit) return -Errno.EINVAL;
    return {
      allocNested(v, flags, data) {
        if (flags !== 0) return -Errno.EOPNOTSUPP;
        const ste = guestEntry(data);
        if (typeof ste === "number") return ste;
        return new NestedDomain(v.unit, v.table, v, IommuHwptArmSmmuv3.encode({ ste: [...ste] }));
      },
      invalidate,
    };
  },
  tableUnder(domain) {
    const [ste0] = IommuHwptArmSmmuv3.decode(domain.data).ste as [bigint, bigint];
    return configOf(ste0) === SteConfig.ABORT ? undefined : domain.parent;
  },
};

/**
 * An event of the unit about a device (four words, SMMUv3 §7.3): goes to the queue of the vIOMMU that the device is nested
 * on, under the guest's stream number. -EOPNOTSUPP when there is none.
 */
export function reportStreamEvent(device: PhysicalDevice, event: readonly [bigint, bigint, bigint, bigint]): number {
  const domain = device.group.domain;
  const viommu = domain?.kind === "nested" ? domain.viommu : undefined;
  const sid = viommu?.virtualIdOf(device);
  if (viommu === undefined || sid === undefined) return -Errno.EOPNOTSUPP;
  const [first, ...others] = event;
  const named = (first & 0xffff_ffffn) | (BigInt.asUintN(32, sid) << SID_SHIFT);
  return viommu.report(VeventqType.ARM_SMMUV3, IommuVeventArmSmmuv3.encode({ evt: [named, ...others] }));
}
