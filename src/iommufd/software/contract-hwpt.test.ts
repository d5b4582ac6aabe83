// Page tables: the errno of their calls in the kernel's order, attachment rules, DMA, faults and virtual IOMMUs.
import { describe, expect, test } from "vitest";
import {
  Errno,
  HwptAllocFlag,
  IOMMU_HWPT_DATA_SELFTEST,
  IOMMU_VEVENTQ_TYPE_SELFTEST,
  IOMMU_VIOMMU_TYPE_SELFTEST,
  IommuHwptSelftest,
  MockDeviceFlag,
  TestOp,
  TestPair,
} from "../uapi/index.ts";
import { attachDevice, replaceDevice } from "./attach-device.ts";
import { detachDevice } from "./bound-device.ts";
import { DmaResult } from "./device-dma.ts";
import { swMsiAddress } from "./sw-msi.ts";
import { testBench } from "./test-bench.ts";
import { makeGroup, NO_PASID } from "./unit.ts";
import { unitProfiles } from "./unit-description.ts";

const ssads = unitProfiles["vtd-ssads"]!;
const plain = unitProfiles["vtd"]!;
const { DIRTY_TRACKING, NEST_PARENT, PASID, FAULT_ID_VALID } = HwptAllocFlag;
const nestedData = { type: IOMMU_HWPT_DATA_SELFTEST, bytes: IommuHwptSelftest.encode({ iotlb: 7 }) };

describe("HWPT_ALLOC", () => {
  test("checks come in the kernel's order: data, device ENOENT, parent EINVAL, flags EOPNOTSUPP", () => {
    const b = testBench();
    const ioas = b.client.ioasAlloc();
    const { deviceId } = b.mockDevice(ioas);
    const errno = (fields: object): number =>
      b.client.attempt("hwptAlloc", { dev_id: deviceId, pt_id: ioas, ...fields }).errno;
    expect(errno({ __reserved: 1, data_len: 1 })).toBe(Errno.EOPNOTSUPP);
    expect(errno({ data_len: 1, dev_id: 99 })).toBe(Errno.EINVAL);
    expect(errno({ data_type: 1, dev_id: 99 })).toBe(Errno.EINVAL);
    expect(errno({ dev_id: 99, pt_id: 99 })).toBe(Errno.ENOENT);
    expect(errno({ dev_id: ioas })).toBe(Errno.ENOENT);
    expect(errno({ pt_id: 99 })).toBe(Errno.EINVAL);
    expect(errno({ pt_id: deviceId })).toBe(Errno.EINVAL);
    expect(errno({ flags: 0x10 })).toBe(Errno.EOPNOTSUPP);
    expect(errno({ flags: FAULT_ID_VALID | NEST_PARENT })).toBe(Errno.EOPNOTSUPP);
    expect(errno({ flags: FAULT_ID_VALID, fault_id: 99 })).toBe(Errno.ENOENT);
    expect(errno({})).toBe(0);
  });

  test("a nested one needs a parent made for it, data, and no other flags", () => {
    const b = testBench();
    const ioas = b.client.ioasAlloc();
    const { deviceId, hwptId: automatic } = b.mockDevice(ioas);
    const parent = b.client.hwptAlloc({ deviceId, parentId: ioas, flags: NEST_PARENT });
    const alloc = (parentId: number, flags: number): (() => number) => {
      return () => b.client.hwptAlloc({ deviceId, parentId, flags, data: nestedData });
    };
    expect(alloc(parent, DIRTY_TRACKING)).toThrow("EOPNOTSUPP");
    expect(() => b.client.hwptAlloc({ deviceId, parentId: parent })).toThrow("EOPNOTSUPP");
    expect(alloc(automatic, 0)).toThrow("EINVAL");
    const nested = alloc(parent, 0)();
    expect(b.client.attempt("destroy", { id: parent }).errno).toBe(Errno.EBUSY);
    expect(b.client.attempt("hwptSetDirtyTracking", { hwpt_id: nested }).errno).toBe(Errno.ENOENT);
    b.client.destroy(nested);
    b.client.destroy(parent);
  });

  test("areas outside the unit's aperture are EADDRINUSE, and the IOAS is as before", () => {
    const b = testBench();
    const [near, far] = [b.client.ioasAlloc(), b.client.ioasAlloc()];
    const { deviceId } = b.mockDevice(near);
    b.client.map(0n, { ioasId: far, lengthBytes: 0x1000n, iova: 0x1000n });
    expect(b.client.attempt("hwptAlloc", { dev_id: deviceId, pt_id: far }).errno).toBe(Errno.EADDRINUSE);
    expect(b.client.iovaRanges(far).ranges).toHaveLength(1);
    expect(b.client.attempt("destroy", { id: far }).errno).toBe(0);
  });
});

describe("attaching", () => {
  test("to an IOAS makes a page table that goes with its last device and is never dirty-tracked", () => {
    const b = testBench();
    const ioas = b.client.ioasAlloc();
    const { bound } = b.bind(ssads);
    const hwpt = attachDevice(bound, NO_PASID, ioas);
    expect(b.client.attempt("hwptSetDirtyTracking", { hwpt_id: hwpt, flags: 1 }).errno).toBe(Errno.EOPNOTSUPP);
    expect(detachDevice(bound, NO_PASID)).toBe(true);
    expect(b.client.attempt("destroy", { id: hwpt }).errno).toBe(Errno.ENOENT);
  });

  test("twice is EBUSY, a sibling to another page table EINVAL, an unknown id ENOENT, a device's id EINVAL", () => {
    const b = testBench();
    const [x, y] = [b.client.ioasAlloc(), b.client.ioasAlloc()];
    const group = makeGroup(7);
    const first = b.bind(ssads, group).bound;
    const second = b.bind(ssads, group).bound;
    const hwpt = attachDevice(first, NO_PASID, x);
    const other = b.client.hwptAlloc({ deviceId: first.id, parentId: y });
    expect(attachDevice(first, NO_PASID, hwpt)).toBe(-Errno.EBUSY);
    expect(attachDevice(second, NO_PASID, other)).toBe(-Errno.EINVAL);
    expect(attachDevice(second, NO_PASID, 99)).toBe(-Errno.ENOENT);
    expect(attachDevice(second, NO_PASID, first.id)).toBe(-Errno.EINVAL);
    expect(attachDevice(second, NO_PASID, hwpt)).toBe(hwpt);
    expect(replaceDevice(first, NO_PASID, other)).toBe(other);
    expect(b.client.attempt("destroy", { id: hwpt }).errno).toBe(Errno.ENOENT);
    expect(b.client.attempt("destroy", { id: other }).errno).toBe(Errno.EBUSY);
  });

  test("groups of the same number behind different units are different groups", () => {
    const b = testBench();
    const [x, y] = [b.client.ioasAlloc(), b.client.ioasAlloc()];
    const first = b.bind(ssads, makeGroup(7)).bound;
    const second = b.bind(plain, makeGroup(7)).bound;
    expect(attachDevice(first, NO_PASID, x)).toBeGreaterThan(0);
    expect(attachDevice(second, NO_PASID, y)).toBeGreaterThan(0);
    detachDevice(first, NO_PASID);
    expect(second.device.group.domain).toBeDefined();
  });

  test("a device's reserved regions narrow the IOAS while it is attached, and refuse what is mapped there", () => {
    const b = testBench();
    const ioas = b.client.ioasAlloc();
    const { bound } = b.bind(ssads, undefined, [{ start: 0xfee0_0000n, last: 0xfeef_ffffn, kind: "hw-msi" }]);
    b.client.map(0n, { ioasId: ioas, lengthBytes: 0x1000n, iova: 0xfee0_0000n });
    expect(attachDevice(bound, NO_PASID, ioas)).toBe(-Errno.EADDRINUSE);
    b.client.unmapAll(ioas);
    expect(attachDevice(bound, NO_PASID, ioas)).toBeGreaterThan(0);
    expect(b.client.iovaRanges(ioas).ranges.map((r) => r.start)).toEqual([0n, 0xfef0_0000n]);
    detachDevice(bound, NO_PASID);
    expect(b.client.iovaRanges(ioas).ranges).toHaveLength(1);
  });

  test.for([
    [true, 1],
    [false, 2],
  ] as const)(
    "a replacement that is refused within one IOAS, with the kernel's quirks %s, leaves %i usable ranges",
    ([kernelQuirks, ranges]) => {
      const b = testBench({ kernelQuirks });
      const ioas = b.client.ioasAlloc();
      const { bound } = b.bind(plain);
      const dirty = b.client.hwptAlloc({ deviceId: b.bind(ssads).bound.id, parentId: ioas, flags: DIRTY_TRACKING });
      attachDevice(bound, NO_PASID, ioas);
      expect(replaceDevice(bound, NO_PASID, dirty)).toBe(-Errno.EINVAL);
      // With the region of interrupts between them, there are two; its unit's aperture is the end of both.
      expect(b.client.iovaRanges(ioas).ranges).toHaveLength(ranges);
    },
  );

  test("PASIDs need page tables made for them on both sides", () => {
    const b = testBench();
    const ioas = b.client.ioasAlloc();
    const { bound } = b.bind(ssads);
    const compatible = b.client.hwptAlloc({ deviceId: bound.id, parentId: ioas, flags: PASID });
    const ordinary = b.client.hwptAlloc({ deviceId: bound.id, parentId: ioas });
    attachDevice(bound, NO_PASID, ordinary);
    expect(attachDevice(bound, 5, compatible)).toBe(-Errno.EINVAL);
    replaceDevice(bound, NO_PASID, compatible);
    expect(attachDevice(bound, 5, ioas)).toBe(-Errno.EINVAL);
    expect(attachDevice(bound, 1 << 20, compatible)).toBe(-Errno.EINVAL);
    expect(attachDevice(bound, 5, compatible)).toBe(compatible);
    expect(attachDevice(bound, 5, compatible)).toBe(-Errno.EBUSY);
    expect(replaceDevice(bound, NO_PASID, ordinary)).toBe(-Errno.EINVAL);
  });

  test("a doorbell page stays in a table after its device has moved on: mapping over it is refused", () => {
    const b = testBench();
    const ioasId = b.client.ioasAlloc();
    const { bound } = b.bind(unitProfiles["smmuv3-httu"]!);
    const table = b.client.hwptAlloc({ deviceId: bound.id, parentId: ioasId });
    attachDevice(bound, NO_PASID, table);
    swMsiAddress(bound, 0x2400_0000n);
    detachDevice(bound, NO_PASID);
    const map = { flags: 7, ioas_id: ioasId, iova: 0x7ff_f000n, length: 0x3000n };
    expect(b.client.attempt("ioasMap", map).errno).toBe(Errno.EEXIST);
    expect(b.host.audit().pinnedPages).toBe(0);
    b.client.destroy(table);
    expect(b.client.attempt("ioasMap", map).errno).toBe(0);
  });

  test("a doorbell gets one address per context, the same in every domain", () => {
    const b = testBench();
    const smmu = unitProfiles["smmuv3-httu"]!;
    const [x, y] = [b.bind(smmu), b.bind(smmu)];
    attachDevice(x.bound, NO_PASID, b.client.ioasAlloc());
    attachDevice(y.bound, NO_PASID, b.client.ioasAlloc());
    expect(swMsiAddress(x.bound, 0x2400_0040n)).toBe(0x800_0040n);
    expect(swMsiAddress(x.bound, 0x2500_0000n)).toBe(0x800_1000n);
    expect(swMsiAddress(y.bound, 0x2400_0000n)).toBe(0x800_0000n);
    expect(y.dma.write(0x800_0000n, new Uint8Array(4))).toBe(DmaResult.unmapped);
  });
});

describe("DMA", () => {
  test("reads and writes what is mapped, obeys permissions, faults elsewhere", () => {
    const b = testBench();
    const ioasId = b.client.ioasAlloc();
    const { bound, dma, faults } = b.bind(ssads);
    attachDevice(bound, NO_PASID, ioasId);
    b.client.map(0x1_0000n, { ioasId, lengthBytes: 0x3000n, iova: 0x5000n });
    b.client.map(0x2_0000n, { ioasId, lengthBytes: 0x1000n, iova: 0x8000n, writable: false });
    expect(dma.write(0x5ffen, Uint8Array.of(1, 2, 3, 4))).toBe(DmaResult.ok);
    expect([...b.bytes.subarray(0x1_0ffe, 0x1_1002)]).toEqual([1, 2, 3, 4]);
    const back = new Uint8Array(4);
    expect(dma.read(0x5ffen, back)).toBe(DmaResult.ok);
    expect([...back]).toEqual([1, 2, 3, 4]);
    expect(dma.write(0x8000n, back)).toBe(DmaResult.forbidden);
    expect(dma.read(0x8ffen, back)).toBe(DmaResult.unmapped);
    expect(faults.map((f) => [f.iova, f.write])).toEqual([
      [0x8000n, true],
      [0x9000n, false],
    ]);
    b.client.unmapAll(ioasId);
    expect(dma.read(0x5000n, back)).toBe(DmaResult.unmapped);
  });
});

describe("faults and virtual IOMMUs", () => {
  test("a fault descriptor gives whole records and takes answers", () => {
    const b = testBench();
    const ioas = b.client.ioasAlloc();
    const { deviceId, mockId } = b.mockDevice(ioas);
    const queue = b.client.faultQueueAlloc();
    const hwpt = b.client.hwptAlloc({ deviceId, parentId: ioas, flags: FAULT_ID_VALID, faultQueueId: queue.id });
    b.test(TestOp.MOCK_DOMAIN_REPLACE, mockId, TestPair, { first: hwpt });
    expect(b.session.read(queue.fd, 0x400n, 40)).toBe(0);
    b.test(TestOp.TRIGGER_IOPF, 0, TestPair, { first: deviceId });
    expect(b.session.poll(queue.fd)).toBe(5);
    expect(b.session.read(queue.fd, 0x400n, 39)).toBe(-Errno.ESPIPE);
    expect(b.session.read(queue.fd, 0x400n, 0)).toBe(-Errno.EINVAL);
    expect(b.session.read(queue.fd, 0x400n, 80)).toBe(40);
    expect(b.session.poll(queue.fd)).toBe(4);
    b.bytes.set([2, 0, 0, 0, 0, 0, 0, 0], 0x500);
    expect(b.session.write(queue.fd, 0x500n, 8)).toBe(-Errno.EINVAL);
    b.bytes[0x500] = 1;
    expect(b.session.write(queue.fd, 0x500n, 8)).toBe(8);
    expect(b.client.attempt("destroy", { id: queue.id }).errno).toBe(Errno.EBUSY);
  });

  test("a virtual device stays buried when its device goes: the id is never given again", () => {
    const b = testBench();
    const ioas = b.client.ioasAlloc();
    const { deviceId, mockId } = b.mockDevice(ioas);
    const parent = b.client.hwptAlloc({ deviceId, parentId: ioas, flags: NEST_PARENT });
    const viommu = b.client.viommuAlloc(deviceId, parent, IOMMU_VIOMMU_TYPE_SELFTEST);
    const vdevice = b.client.vdeviceAlloc(viommu, deviceId, 0x99n);
    expect(() => b.client.vdeviceAlloc(viommu, deviceId, 0x98n)).toThrow("EEXIST");
    b.client.destroy(mockId);
    expect(b.client.attempt("destroy", { id: vdevice }).errno).toBe(Errno.ENOENT);
    const next = [b.client.ioasAlloc(), b.client.ioasAlloc(), b.client.ioasAlloc(), b.client.ioasAlloc()];
    expect(next).not.toContain(vdevice);
  });

  test("an event queue of a type exists once per vIOMMU, with a sane depth", () => {
    const b = testBench();
    const ioas = b.client.ioasAlloc();
    const { deviceId } = b.mockDevice(ioas, MockDeviceFlag.NO_DIRTY);
    const parent = b.client.hwptAlloc({ deviceId, parentId: ioas, flags: NEST_PARENT });
    expect(() => b.client.viommuAlloc(deviceId, parent, 1)).toThrow("EOPNOTSUPP");
    expect(() => b.client.viommuAlloc(deviceId, ioas, IOMMU_VIOMMU_TYPE_SELFTEST)).toThrow("ENOENT");
    const viommu = b.client.viommuAlloc(deviceId, parent, IOMMU_VIOMMU_TYPE_SELFTEST);
    expect(() => b.client.veventqAlloc(viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 0)).toThrow("EINVAL");
    expect(() => b.client.veventqAlloc(viommu, 0, 1)).toThrow("EOPNOTSUPP");
    expect(() => b.client.veventqAlloc(99, IOMMU_VEVENTQ_TYPE_SELFTEST, 1)).toThrow("ENOENT");
    const queue = b.client.veventqAlloc(viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 1);
    expect(() => b.client.veventqAlloc(viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 1)).toThrow("EEXIST");
    expect(b.session.read(queue.fd, 0x400n, 7)).toBe(-Errno.EINVAL);
  });
});
