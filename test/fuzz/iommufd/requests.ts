// For each ioctl, requests that are likely to do something.
import {
  HwptAllocFlag,
  HwptDataType,
  InvalidateDataType,
  IOMMU_HW_QUEUE_TYPE_SELFTEST,
  IOMMU_HWPT_DATA_SELFTEST,
  IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
  IOMMU_VEVENTQ_TYPE_SELFTEST,
  IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
  IOMMU_VIOMMU_TYPE_SELFTEST,
  IommuHwptArmSmmuv3,
  IommuHwptInvalidateSelftest,
  IommuHwptSelftest,
  IommuHwptVtdS1,
  IommuHwptVtdS1Invalidate,
  IommuIovaRange,
  IommuViommuArmSmmuv3Invalidate,
  IommuViommuInvalidateSelftest,
  IommuViommuSelftest,
  TestAccessPages,
  TestAccessRw,
  TestAddReserved,
  TestCheckMap,
  TestCheckRefs,
  TestCreateAccess,
  TestDirty,
  TestDmabufRevoke,
  TestMockDomain,
  TestOp,
  TestPair,
  TestTriggerIopf,
  VeventqType,
  ViommuType,
  type AnyLayout,
  type IommufdIoctl,
} from "../../../src/iommufd/index.ts";
import type { Guess } from "./guess.ts";
import { PAYLOAD_VA } from "./steps.ts";

/** Fields of a structure, and the driver's own structure that one of them points to. */
export interface Request {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly payload?: Uint8Array;
}

const { NEST_PARENT, DIRTY_TRACKING, FAULT_ID_VALID, PASID } = HwptAllocFlag;
const PAYLOAD = BigInt(PAYLOAD_VA);
const FIXED = 1;
const WRITABLE = 2;
const READABLE = 4;

function mapFlags(g: Guess): number {
  return (g.once(4) ? 0 : FIXED) | (g.once(5) ? READABLE : READABLE | WRITABLE) | (g.once(20) ? WRITABLE : 0);
}

interface DriverData {
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** What a guest's page table looks like to the units that can nest. */
export function nestedData(g: Guess): DriverData {
  switch (g.of("mock", "mock", "vt-d", "smmu", "amd")) {
    case "mock":
      return {
        type: IOMMU_HWPT_DATA_SELFTEST,
        bytes: IommuHwptSelftest.encode({ iotlb: 7, pagetable_type: g.bits(1) }),
      };
    case "vt-d":
      return {
        type: HwptDataType.VTD_S1,
        bytes: IommuHwptVtdS1.encode({ addr_width: g.of(48, 48, 39), flags: BigInt(g.of(0, 0, 4, 1)) }),
      };
    case "smmu":
      return { type: HwptDataType.ARM_SMMUV3, bytes: smmuEntry(g) };
    default:
      return { type: HwptDataType.AMD_GUEST, bytes: new Uint8Array(32) };
  }
}

/** A stream table entry: valid; abort, bypass or translate. */
export function smmuEntry(g: Guess): Uint8Array {
  return IommuHwptArmSmmuv3.encode({ ste: [1n | (g.of(0n, 4n, 5n, 5n, 6n) << 1n), g.once(4) ? g.edge() : 0n] });
}

/** Entries of an invalidation, with the type that they are of. */
function invalidation(g: Guess): DriverData {
  switch (g.of("mock", "device", "vt-d", "smmu")) {
    case "mock":
      return {
        type: IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
        bytes: IommuHwptInvalidateSelftest.encode({ flags: g.bits(3), iotlb_id: g.rng.below(5) }),
      };
    case "device":
      return {
        type: IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
        bytes: IommuViommuInvalidateSelftest.encode({ flags: g.bits(1), vdev_id: g.of(1, 1, 9), cache_id: 1 }),
      };
    case "vt-d":
      return {
        type: InvalidateDataType.VTD_S1,
        bytes: IommuHwptVtdS1Invalidate.encode({ addr: g.iova(), npages: g.of(1n, 0xffff_ffff_ffff_ffffn) }),
      };
    default:
      return {
        type: InvalidateDataType.VIOMMU_ARM_SMMUV3,
        bytes: IommuViommuArmSmmuv3Invalidate.encode({ cmd: [g.of(0x10n, 0x30n, 0x40n | (1n << 32n), 5n), 0n] }),
      };
  }
}

export const requests: { readonly [K in IommufdIoctl]: (g: Guess) => Request } = {
  destroy: (g) => ({ fields: { id: g.id(g.of("ioas", "hwpt-paging", "hwpt-nested", "viommu", "fault", "selftest")) } }),
  ioasAlloc: () => ({ fields: {} }),
  ioasAllowIovas: (g) => {
    const start = g.iova();
    const payload = new Uint8Array(32);
    IommuIovaRange.encode({ start, last: BigInt.asUintN(64, start + 0x1_ffffn) }, payload);
    IommuIovaRange.encode({ start: 0x40_0000_0000n, last: g.of(0x40_ffff_ffffn, 0n) }, payload, 16);
    return {
      fields: {
        ioas_id: g.id("ioas"),
        num_iovas: g.of(0, 0, 1, 2, 3),
        allowed_iovas: g.of(PAYLOAD, PAYLOAD, g.edge()),
      },
      payload,
    };
  },
  ioasCopy: (g) => ({
    fields: {
      flags: mapFlags(g),
      dst_ioas_id: g.id("ioas"),
      src_ioas_id: g.id("ioas"),
      length: g.length(),
      dst_iova: g.iova(),
      src_iova: g.iova(),
    },
  }),
  ioasIovaRanges: (g) => ({
    fields: { ioas_id: g.id("ioas"), num_iovas: g.rng.below(8), allowed_iovas: g.buffer() },
  }),
  ioasMap: (g) => {
    const length = g.length();
    return { fields: { flags: mapFlags(g), ioas_id: g.id("ioas"), user_va: g.va(length), length, iova: g.iova() } };
  },
  ioasUnmap: (g) => ({
    fields: g.once(8)
      ? { ioas_id: g.id("ioas"), iova: 0n, length: 0xffff_ffff_ffff_ffffn }
      : { ioas_id: g.id("ioas"), iova: g.iova(), length: g.length() },
  }),
  option: (g) => ({
    fields: {
      option_id: g.of(1, 1, 1, 0, 2),
      op: g.of(0, 0, 1, 2),
      object_id: g.of(g.id("ioas"), 0),
      val64: g.of(0n, 1n, 2n),
    },
  }),
  vfioIoas: (g) => ({ fields: { ioas_id: g.id("ioas"), op: g.of(0, 1, 1, 1, 2, 3) } }),
  hwptAlloc: (g) => {
    const nested = g.once(3);
    const data = nested || g.once(10) ? nestedData(g) : undefined;
    return {
      fields: {
        flags: nested
          ? g.of(0, 0, PASID, FAULT_ID_VALID)
          : g.of(0, NEST_PARENT, DIRTY_TRACKING, 3, PASID, 4, 12, 10, 11),
        dev_id: g.id("device"),
        pt_id: nested ? g.id(g.of("hwpt-paging", "viommu", "viommu")) : g.id("ioas"),
        fault_id: g.id("fault"),
        data_type: data?.type ?? 0,
        data_len: data?.bytes.length ?? 0,
        data_uptr: g.once(16) ? g.edge() : PAYLOAD,
      },
      ...(data === undefined ? {} : { payload: data.bytes }),
    };
  },
  getHwInfo: (g) => ({
    fields: {
      flags: g.bits(1),
      dev_id: g.id("device"),
      data_len: g.of(0, 8, 24, 64, 0x2000),
      data_uptr: g.buffer(),
      data_type: g.of(0, 1, 2, 4),
    },
  }),
  hwptSetDirtyTracking: (g) => ({ fields: { flags: g.of(1, 1, 0), hwpt_id: g.id("hwpt-paging") } }),
  hwptGetDirtyBitmap: (g) => ({
    fields: {
      hwpt_id: g.id("hwpt-paging"),
      flags: g.bits(1),
      iova: g.iova(),
      length: g.length(),
      page_size: g.of(0x1000n, 0x1000n, 0x800n, 0x20_0000n, g.edge()),
      data: g.buffer(),
    },
  }),
  hwptInvalidate: (g) => {
    const { type, bytes } = invalidation(g);
    return {
      fields: {
        hwpt_id: g.id(g.of("hwpt-nested", "viommu", "hwpt-nested", "ioas")),
        data_uptr: g.once(16) ? g.edge() : PAYLOAD,
        data_type: type,
        entry_len: bytes.length,
        entry_num: g.of(1, 1, 1, 0, 2),
      },
      payload: bytes,
    };
  },
  faultQueueAlloc: () => ({ fields: {} }),
  ioasMapFile: (g) => ({
    fields: {
      flags: mapFlags(g),
      ioas_id: g.id("ioas"),
      fd: g.id("descriptor"),
      start: g.of(0n, 0n, 0x1000n, 0x800n, g.edge()),
      length: g.length(),
      iova: g.iova(),
    },
  }),
  viommuAlloc: (g) => {
    const withData = g.once(3);
    return {
      fields: {
        type: g.of(IOMMU_VIOMMU_TYPE_SELFTEST, IOMMU_VIOMMU_TYPE_SELFTEST, ViommuType.ARM_SMMUV3, 2),
        dev_id: g.id("device"),
        hwpt_id: g.id("hwpt-paging"),
        data_len: withData ? g.of(24, 24, 8, 7) : 0,
        data_uptr: g.once(8) ? g.edge() : PAYLOAD,
      },
      payload: IommuViommuSelftest.encode({ in_data: 5 }),
    };
  },
  vdeviceAlloc: (g) => ({
    fields: { viommu_id: g.id("viommu"), dev_id: g.id("device"), virt_id: g.of(1n, 1n, 2n, 0n) },
  }),
  ioasChangeProcess: () => ({ fields: {} }),
  veventqAlloc: (g) => ({
    fields: {
      viommu_id: g.id("viommu"),
      type: g.of(IOMMU_VEVENTQ_TYPE_SELFTEST, IOMMU_VEVENTQ_TYPE_SELFTEST, VeventqType.ARM_SMMUV3, 9),
      veventq_depth: g.of(1, 2, 4, 0),
    },
  }),
  hwQueueAlloc: (g) => ({
    fields: {
      viommu_id: g.id("viommu"),
      type: g.once(8) ? 1 : IOMMU_HW_QUEUE_TYPE_SELFTEST,
      index: g.of(0, 0, 1, 2),
      nesting_parent_iova: g.iova(),
      length: g.length(),
    },
  }),
};

interface TestRequest {
  readonly id: number;
  readonly layout?: AnyLayout;
  readonly values?: object;
}

function pasidPair(g: Guess): TestRequest {
  return {
    id: g.id("selftest"),
    layout: TestPair,
    values: { first: g.of(1, 2, 1024, 0), second: g.id(g.of("hwpt-paging", "hwpt-nested", "ioas")) },
  };
}

/** The operations of the kernel's test interface, by number. */
export const testRequests: { readonly [op: number]: (g: Guess) => TestRequest } = {
  [TestOp.ADD_RESERVED]: (g) => ({
    id: g.id("ioas"),
    layout: TestAddReserved,
    values: { start: g.of(0x3000_0000n, g.iova()), length: g.length() },
  }),
  [TestOp.MOCK_DOMAIN]: (g) => ({ id: g.parent() }),
  [TestOp.MOCK_DOMAIN_FLAGS]: (g) => ({
    id: g.parent(),
    layout: TestMockDomain,
    values: { dev_flags: g.of(0, 1, 4, 5, 2) },
  }),
  [TestOp.MOCK_DOMAIN_REPLACE]: (g) => ({ id: g.id("selftest"), layout: TestPair, values: { first: g.parent() } }),
  [TestOp.MD_CHECK_MAP]: (g) => ({
    id: g.id("hwpt-paging"),
    layout: TestCheckMap,
    values: { iova: g.iova(), length: g.length(), uptr: g.va(0x1000n) },
  }),
  [TestOp.MD_CHECK_REFS]: (g) => ({
    id: 0,
    layout: TestCheckRefs,
    values: { length: 0x1000n, uptr: g.va(0x1000n), refs: g.rng.below(3) },
  }),
  [TestOp.MD_CHECK_IOTLB]: (g) => ({
    id: g.id("hwpt-nested"),
    layout: TestPair,
    values: { first: g.rng.below(5), second: 7 },
  }),
  [TestOp.DEV_CHECK_CACHE]: (g) => ({ id: g.id("device"), layout: TestPair, values: { first: g.rng.below(5) } }),
  [TestOp.CREATE_ACCESS]: (g) => ({ id: g.id("ioas"), layout: TestCreateAccess, values: { flags: g.of(1, 1, 0, 2) } }),
  [TestOp.ACCESS_REPLACE_IOAS]: (g) => ({ id: g.id("descriptor"), layout: TestPair, values: { first: g.id("ioas") } }),
  [TestOp.ACCESS_PAGES]: (g) => ({
    id: g.id("descriptor"),
    layout: TestAccessPages,
    values: { flags: g.bits(1), iova: g.iova(), length: g.length(), uptr: g.once(4) ? g.va(0x1000n) : 0n },
  }),
  [TestOp.DESTROY_ACCESS_PAGES]: (g) => ({
    id: g.id("descriptor"),
    layout: TestPair,
    values: { first: g.rng.below(3) },
  }),
  [TestOp.ACCESS_RW]: (g) => ({
    id: g.id("descriptor"),
    layout: TestAccessRw,
    values: { iova: g.iova(), length: g.of(1n, 0x801n, g.length()), uptr: g.buffer(), flags: g.bits(5) },
  }),
  [TestOp.SET_TEMP_MEMORY_LIMIT]: (g) => ({ id: 0, layout: TestPair, values: { first: g.of(11, 12, 65536) } }),
  [TestOp.DIRTY]: (g) => ({
    id: g.id("hwpt-paging"),
    layout: TestDirty,
    values: { iova: g.iova(), length: g.length(), page_size: g.of(0x800n, 0x1000n, 0n), uptr: g.buffer() },
  }),
  [TestOp.TRIGGER_IOPF]: (g) => ({
    id: 0,
    layout: TestTriggerIopf,
    values: { dev_id: g.id("device"), pasid: g.of(0, 0, 1), grpid: g.rng.below(3), perm: 1, addr: g.iova() },
  }),
  [TestOp.TRIGGER_VEVENT]: (g) => ({ id: 0, layout: TestPair, values: { first: g.id("device") } }),
  [TestOp.PASID_ATTACH]: pasidPair,
  [TestOp.PASID_REPLACE]: pasidPair,
  [TestOp.PASID_DETACH]: pasidPair,
  [TestOp.PASID_CHECK_HWPT]: pasidPair,
  [TestOp.DMABUF_GET]: (g) => ({ id: 0, layout: TestPair, values: { first: g.of(0x1000, 0x4000, 0x20_0000, 0) } }),
  [TestOp.DMABUF_REVOKE]: (g) => ({
    id: 0,
    layout: TestDmabufRevoke,
    values: { dmabuf_fd: g.id("descriptor"), revoked: g.bits(1) },
  }),
};
