// Steps that follow from each other: objects that need others before them, and what happens to them then.
import {
  HwptAllocFlag,
  HwptDataType,
  IOMMU_HW_QUEUE_TYPE_SELFTEST,
  IOMMU_HWPT_DATA_SELFTEST,
  IOMMU_VEVENTQ_TYPE_SELFTEST,
  IOMMU_VIOMMU_TYPE_SELFTEST,
  IommuHwptSelftest,
  IommuHwptVtdS1,
  IommuViommuSelftest,
  TestAccessPages,
  TestAccessRw,
  TestCreateAccess,
  TestDmabufRevoke,
  TestMockDomain,
  TestOp,
  TestPair,
  VeventqType,
  VfioIommuType1DmaMap,
  VfioIommuType1DmaUnmap,
  ViommuType,
} from "../../../src/iommufd/index.ts";
import type { Guess } from "./guess.ts";
import { DEVICE_AT } from "./devices.ts";
import { bare, ioctl, testOp, vfio } from "./make-step.ts";
import { insideArea, NEWEST, reference } from "./references.ts";
import { smmuEntry } from "./requests.ts";
import { PAYLOAD_VA, REQUEST_AT, StepKind } from "./steps.ts";

type Chain = (g: Guess) => Uint8Array[];

const { NEST_PARENT, DIRTY_TRACKING, FAULT_ID_VALID, PASID } = HwptAllocFlag;
const ioas = reference("ioas", NEWEST);
const hwpt = reference("hwpt-paging", NEWEST);
const nested = reference("hwpt-nested", NEWEST);
const viommu = reference("viommu", NEWEST);
const descriptor = reference("descriptor", NEWEST);
const device = (index: number): number => reference("device", index);

const newIoas = (): Uint8Array => ioctl("ioasAlloc", { fields: {} });

function map(iova: bigint, length = 0x4000n, flags = 7): Uint8Array {
  const user_va = length === 0x20_0000n ? length : 0x10_0000n;
  return ioctl("ioasMap", { fields: { flags, ioas_id: ioas, user_va, length, iova } });
}

function hwptOn(devId: number, flags: number): Uint8Array {
  const fault_id = reference("fault", NEWEST);
  return ioctl("hwptAlloc", { fields: { flags, dev_id: devId, pt_id: ioas, fault_id } });
}

function nestedOn(devId: number, parent: number, type: number, bytes: Uint8Array): Uint8Array {
  const data = { data_type: type, data_len: bytes.length, data_uptr: BigInt(PAYLOAD_VA) };
  return ioctl("hwptAlloc", { fields: { dev_id: devId, pt_id: parent, ...data }, payload: bytes });
}

const mockNesting: Chain = (g) => {
  const selftest = reference("selftest", NEWEST);
  const mock = device(NEWEST);
  const table = IommuHwptSelftest.encode({ iotlb: 7 });
  return [
    newIoas(),
    map(0x100_0000n),
    testOp(TestOp.MOCK_DOMAIN_FLAGS, { id: ioas, layout: TestMockDomain, values: { dev_flags: g.of(0, 0, 4) } }),
    hwptOn(mock, NEST_PARENT | g.of(0, DIRTY_TRACKING, PASID)),
    ioctl("viommuAlloc", {
      fields: {
        type: IOMMU_VIOMMU_TYPE_SELFTEST,
        dev_id: mock,
        hwpt_id: hwpt,
        data_len: g.of(0, 24),
        data_uptr: 0x800n,
      },
      payload: IommuViommuSelftest.encode({ in_data: 5 }),
    }),
    ioctl("vdeviceAlloc", { fields: { viommu_id: viommu, dev_id: mock, virt_id: 1n } }),
    ioctl("veventqAlloc", { fields: { viommu_id: viommu, type: IOMMU_VEVENTQ_TYPE_SELFTEST, veventq_depth: 1 } }),
    ioctl("hwQueueAlloc", {
      fields: {
        viommu_id: viommu,
        type: IOMMU_HW_QUEUE_TYPE_SELFTEST,
        index: 0,
        nesting_parent_iova: 0x100_0000n,
        length: g.of(0x1000n, 0x1800n, 0x800n),
      },
    }),
    bare(StepKind.MMAP, { 3: g.of(2, 2, 1), 4: 3 }, { iova: 0x1000n }),
    nestedOn(mock, g.of(viommu, viommu, hwpt), IOMMU_HWPT_DATA_SELFTEST, table),
    testOp(TestOp.MOCK_DOMAIN_REPLACE, { id: selftest, layout: TestPair, values: { first: nested } }),
    testOp(TestOp.TRIGGER_VEVENT, { id: 0, layout: TestPair, values: { first: mock } }),
    testOp(TestOp.TRIGGER_VEVENT, { id: 0, layout: TestPair, values: { first: mock } }),
    bare(StepKind.READ, { 2: g.rng.below(16), 3: g.of(12, 24, 8, 40) }),
    ioctl("ioasUnmap", { fields: { ioas_id: ioas, iova: 0x100_0000n, length: 0x4000n } }),
  ];
};

const smmuNesting: Chain = (g) => {
  const smmu = device(DEVICE_AT.smmu);
  return [
    newIoas(),
    map(0x100_0000n),
    hwptOn(smmu, NEST_PARENT),
    ioctl("viommuAlloc", { fields: { type: ViommuType.ARM_SMMUV3, dev_id: smmu, hwpt_id: hwpt } }),
    ioctl("vdeviceAlloc", { fields: { viommu_id: viommu, dev_id: smmu, virt_id: 1n } }),
    ioctl("veventqAlloc", { fields: { viommu_id: viommu, type: VeventqType.ARM_SMMUV3, veventq_depth: 2 } }),
    nestedOn(smmu, viommu, HwptDataType.ARM_SMMUV3, smmuEntry(g)),
    bare(StepKind.ATTACH, { 1: DEVICE_AT.smmu }, { id: nested }),
    bare(StepKind.STREAM_EVENT, { 1: DEVICE_AT.smmu }, { iova: g.edge() }),
    bare(StepKind.READ, { 2: g.rng.below(16), 3: 40 }),
    bare(StepKind.DMA, { 1: DEVICE_AT.smmu, 2: g.bits(1), 3: 4 }, { iova: insideArea(NEWEST, 0x10) }),
  ];
};

const vtdNesting: Chain = (g) => {
  const table = IommuHwptVtdS1.encode({ addr_width: 48 });
  return [
    newIoas(),
    hwptOn(device(DEVICE_AT.vtd), NEST_PARENT | g.of(0, DIRTY_TRACKING)),
    nestedOn(device(DEVICE_AT.vtd), hwpt, HwptDataType.VTD_S1, table),
    bare(StepKind.ATTACH, { 1: DEVICE_AT.vtd }, { id: nested }),
    map(0x100_0000n),
    ioctl("hwptSetDirtyTracking", { fields: { flags: 1, hwpt_id: hwpt } }),
    bare(StepKind.DMA, { 1: DEVICE_AT.vtd, 2: 1, 3: 200 }, { iova: 0x100_0f00n }),
  ];
};

const dirty: Chain = (g) => {
  const at = g.of(DEVICE_AT.vtd, DEVICE_AT.smmu, DEVICE_AT.amd, DEVICE_AT.mock);
  const length = g.of(0x4000n, 0x20_0000n);
  const fields = {
    hwpt_id: hwpt,
    iova: 0x200_0000n,
    length,
    page_size: g.of(0x1000n, 0x800n, length),
    data: g.buffer(),
  };
  return [
    newIoas(),
    hwptOn(device(at), DIRTY_TRACKING),
    bare(StepKind.ATTACH, { 1: at }, { id: hwpt }),
    map(0x200_0000n, length),
    ioctl("hwptSetDirtyTracking", { fields: { flags: 1, hwpt_id: hwpt } }),
    bare(StepKind.DMA, { 1: at, 2: 1, 3: g.rng.below(256) }, { iova: 0x200_0ff0n }),
    ioctl("hwptGetDirtyBitmap", { fields: { ...fields, flags: g.bits(1) } }),
    bare(g.of(StepKind.REPLACE, StepKind.DETACH, StepKind.DMA), { 1: at, 2: 1 }, { id: g.parent(), iova: 0x200_0000n }),
    ioctl("hwptGetDirtyBitmap", { fields }),
  ];
};

/** Answers the first page request, on some descriptor. */
function answer(lengthBytes: number, descriptorAt: number): Uint8Array {
  const step = bare(StepKind.WRITE, { 2: descriptorAt, 3: lengthBytes });
  step[REQUEST_AT] = 1;
  return step;
}

const faults: Chain = (g) => {
  const at = g.of(DEVICE_AT.vtd, DEVICE_AT.mock);
  const request = (last: number): Uint8Array =>
    bare(StepKind.PAGE_REQUEST, { 1: at, 3: last, 4: 1, 5: 3 }, { iova: 0x100_0000n });
  return [
    newIoas(),
    ioctl("faultQueueAlloc", { fields: {} }),
    hwptOn(device(at), FAULT_ID_VALID | g.of(0, PASID)),
    bare(StepKind.ATTACH, { 1: at }, { id: hwpt }),
    request(g.of(0, 2)),
    request(2),
    bare(StepKind.READ, { 2: g.rng.below(16), 3: g.of(80, 40, 120, 41) }),
    answer(g.of(8, 16, 7), g.rng.below(16)),
    request(2),
    bare(g.of(StepKind.DETACH, StepKind.REPLACE), { 1: at }, { id: ioas }),
  ];
};

const access: Chain = (g) => {
  const pages = { flags: g.bits(1), iova: 0x100_0000n, length: g.of(0x1000n, 0x2000n, 0x4000n) };
  return [
    newIoas(),
    map(0x100_0000n),
    testOp(TestOp.CREATE_ACCESS, { id: ioas, layout: TestCreateAccess, values: { flags: g.of(1, 1, 0) } }),
    testOp(TestOp.ACCESS_PAGES, { id: descriptor, layout: TestAccessPages, values: pages }),
    testOp(TestOp.ACCESS_RW, {
      id: descriptor,
      layout: TestAccessRw,
      values: { iova: 0x100_0ffdn, length: g.of(1n, 7n, 0x1001n), uptr: g.buffer(), flags: g.bits(5) },
    }),
    g.once(2)
      ? ioctl("ioasUnmap", { fields: { ioas_id: ioas, iova: 0x100_0000n, length: 0x4000n } })
      : testOp(TestOp.ACCESS_REPLACE_IOAS, { id: descriptor, layout: TestPair, values: { first: g.id("ioas") } }),
  ];
};

const dmaBuffer: Chain = (g) => {
  const revoke = (revoked: number): Uint8Array =>
    testOp(TestOp.DMABUF_REVOKE, { id: 0, layout: TestDmabufRevoke, values: { dmabuf_fd: descriptor, revoked } });
  const mapIt = ioctl("ioasMapFile", {
    fields: { flags: 7, ioas_id: ioas, fd: descriptor, start: g.of(0n, 0x1000n), length: 0x1000n, iova: 0x100_0000n },
  });
  return [
    newIoas(),
    bare(StepKind.ATTACH, { 1: g.rng.below(7) }, { id: ioas }),
    testOp(TestOp.DMABUF_GET, { id: 0, layout: TestPair, values: { first: 0x2000 } }),
    mapIt,
    revoke(1),
    g.of(mapIt, hwptOn(device(DEVICE_AT.vtd), 0)),
    revoke(0),
    bare(StepKind.DMA, { 1: g.rng.below(7), 2: g.bits(1), 3: 8 }, { iova: 0x100_0000n }),
    ioctl("ioasUnmap", { fields: { ioas_id: ioas, iova: 0x100_0000n, length: 0x1000n } }),
  ];
};

const compatibility: Chain = (g) => {
  const map1 = VfioIommuType1DmaMap.encode({
    argsz: 32,
    flags: 3,
    vaddr: 0x10_0000n,
    iova: 0x100_0000n,
    size: 0x4000n,
  });
  const cut = VfioIommuType1DmaUnmap.encode({ argsz: 24, iova: g.iova(), size: g.length() });
  const all = VfioIommuType1DmaUnmap.encode({ argsz: 24, flags: 2 });
  return [
    newIoas(),
    ioctl("vfioIoas", { fields: { op: 1, ioas_id: ioas } }),
    vfio(102, new Uint8Array(0), g.of(1, 3, 2)),
    bare(StepKind.ATTACH, { 1: g.rng.below(7) }, { id: g.of(ioas, hwpt) }),
    vfio(113, map1),
    vfio(112, new Uint8Array(Uint32Array.of(g.of(15, 16, 24, 72, 80)).buffer)),
    vfio(114, cut),
    vfio(114, g.of(cut, all)),
  ];
};

const pasids: Chain = (g) => {
  const at = g.of(DEVICE_AT.vtd, DEVICE_AT.amd, DEVICE_AT.mock);
  return [
    newIoas(),
    hwptOn(device(at), PASID),
    bare(StepKind.ATTACH, { 1: at, 6: g.of(0, 161) }, { id: hwpt }),
    bare(StepKind.ATTACH, { 1: at, 6: g.of(161, 162) }, { id: hwpt }),
    hwptOn(device(at), PASID | g.of(0, DIRTY_TRACKING)),
    bare(g.of(StepKind.REPLACE, StepKind.DETACH), { 1: at, 6: 161 }, { id: hwpt }),
  ];
};

export const chains: readonly Chain[] = [
  mockNesting,
  smmuNesting,
  vtdNesting,
  dirty,
  faults,
  access,
  dmaBuffer,
  compatibility,
  pasids,
];
