// The dirty-tracking matrix: who can have bits, what sets them, what reads and what loses them.
import { describe, expect, test } from "vitest";
import {
  Errno,
  HwCapability,
  HwptAllocFlag,
  HwptDataType,
  IommuHwptVtdS1,
  IOMMU_HWPT_DATA_SELFTEST,
  IommuHwptSelftest,
  MockDeviceFlag,
  TestDirty,
  TestOp,
} from "../uapi/index.ts";
import { Access } from "./access.ts";
import { attachDevice, replaceDevice } from "./attach-device.ts";
import { detachDevice } from "./bound-device.ts";
import { DmaResult } from "./device-dma.ts";
import { testBench, type TestBench } from "./test-bench.ts";
import { makeGroup, NO_PASID, type DeviceGroup } from "./unit.ts";
import { unitProfiles, type UnitDescription } from "./unit-description.ts";

const PAGE = 0x1000n;
const LARGE = 0x20_0000n;
const { DIRTY_TRACKING, NEST_PARENT, PASID } = HwptAllocFlag;
const profile = (name: string): UnitDescription => unitProfiles[name]!;
const ssads = profile("vtd-ssads");
const plain = profile("vtd");
const ONE = new Uint8Array(1);

/** Dirty bits of `pages` pages from `iova`, as a list of page numbers. */
function dirtyPages(b: TestBench, hwpt: number, iova: bigint, pages: number, keep = false): number[] {
  const bitmap = b.client.getDirtyBitmap(hwpt, iova, BigInt(pages) * PAGE, PAGE, { keep });
  return Array.from({ length: pages }, (_, i) => i).filter((i) => (bitmap[i >> 3]! & (1 << (i & 7))) !== 0);
}

/** A device on a page table with dirty bits, tracking, 16 pages mapped at 0x1000. */
function tracked(b: TestBench, unit: UnitDescription = ssads, group?: DeviceGroup) {
  const ioasId = b.client.ioasAlloc();
  const { bound, dma } = b.bind(unit, group);
  const hwpt = b.client.hwptAlloc({ deviceId: bound.id, parentId: ioasId, flags: DIRTY_TRACKING });
  attachDevice(bound, NO_PASID, hwpt);
  b.client.map(PAGE, { ioasId, lengthBytes: 16n * PAGE, iova: PAGE });
  b.client.setDirtyTracking(hwpt, true);
  return { ioasId, bound, dma, hwpt };
}

describe("who can have dirty bits", () => {
  test.for([
    ["vtd-ssads", true],
    ["vtd", false],
    ["amd", true],
    ["smmuv3-httu", true],
    ["smmuv3", false],
    ["riscv-hwad", true],
    ["riscv", false],
    ["mock", true],
  ] as const)("a device behind %s: %s, by its capabilities and by what it is given", ([name, can]) => {
    const b = testBench();
    const ioas = b.client.ioasAlloc();
    const deviceId = b.bind(profile(name)).bound.id;
    const capability = b.client.getHwInfo(deviceId).capabilities & BigInt(HwCapability.DIRTY_TRACKING);
    expect(capability).toBe(can ? 1n : 0n);
    const { errno } = b.client.attempt("hwptAlloc", { dev_id: deviceId, pt_id: ioas, flags: DIRTY_TRACKING });
    expect(errno).toBe(can ? 0 : Errno.EOPNOTSUPP);
  });

  test("a mock device made without them is refused, one with them is not", () => {
    const b = testBench();
    const ioas = b.client.ioasAlloc();
    const able = b.mockDevice(ioas).deviceId;
    const unable = b.mockDevice(ioas, MockDeviceFlag.NO_DIRTY).deviceId;
    const alloc = (dev_id: number) =>
      b.client.attempt("hwptAlloc", { dev_id, pt_id: ioas, flags: DIRTY_TRACKING }).errno;
    expect([alloc(able), alloc(unable)]).toEqual([0, Errno.EOPNOTSUPP]);
    const dirty = b.client.hwptAlloc({ deviceId: able, parentId: ioas, flags: DIRTY_TRACKING });
    expect(() => b.mockDevice(dirty, MockDeviceFlag.NO_DIRTY)).toThrow(`${-Errno.EINVAL}`);
  });

  test.for([
    ["able", "plain", 0],
    ["able", "dirty", 0],
    ["unable", "plain", 0],
    ["unable", "dirty", -Errno.EINVAL],
  ] as const)("a device that is %s, on a %s page table: %i", ([device, table, answer]) => {
    const b = testBench();
    const ioas = b.client.ioasAlloc();
    const maker = b.bind(ssads).bound;
    const flags = table === "dirty" ? DIRTY_TRACKING : 0;
    // The coherency of the maker's unit is the other's too.
    const hwpt = b.client.hwptAlloc({ deviceId: maker.id, parentId: ioas, flags });
    const { bound } = b.bind(device === "able" ? ssads : plain);
    expect(attachDevice(bound, NO_PASID, hwpt)).toBe(answer === 0 ? hwpt : answer);
  });

  test("a plain page table can neither be told to track nor be asked", () => {
    const b = testBench();
    const ioas = b.client.ioasAlloc();
    const { bound } = b.bind(ssads);
    const hwpt = attachDevice(bound, NO_PASID, ioas);
    expect(b.client.attempt("hwptSetDirtyTracking", { hwpt_id: hwpt, flags: 1 }).errno).toBe(Errno.EOPNOTSUPP);
    expect(b.client.attempt("hwptSetDirtyTracking", { hwpt_id: hwpt }).errno).toBe(Errno.EOPNOTSUPP);
    const query = { hwpt_id: hwpt, iova: 0n, length: PAGE, page_size: PAGE };
    expect(b.client.attempt("hwptGetDirtyBitmap", query).errno).toBe(Errno.EOPNOTSUPP);
  });

  test("a device that cannot does not move to a dirty page table, and its DMA goes on as before", () => {
    const b = testBench();
    const { hwpt, ioasId } = tracked(b);
    const { bound, dma } = b.bind(plain);
    const own = b.client.hwptAlloc({ deviceId: bound.id, parentId: ioasId });
    attachDevice(bound, NO_PASID, own);
    expect(replaceDevice(bound, NO_PASID, hwpt)).toBe(-Errno.EINVAL);
    expect(dma.write(PAGE, ONE)).toBe(DmaResult.ok);
    expect(dirtyPages(b, hwpt, PAGE, 16)).toEqual([]);
  });
});

describe("groups", () => {
  test("a group with a device that cannot is refused as a whole", () => {
    const b = testBench();
    const { hwpt } = tracked(b);
    const group = makeGroup(7);
    const able = b.bind(ssads, group).bound;
    b.bind(plain, group);
    expect(attachDevice(able, NO_PASID, hwpt)).toBe(-Errno.EINVAL);
    expect(group.domain).toBeUndefined();
  });

  test("writes of every device of a group show in its one page table", () => {
    const b = testBench();
    const group = makeGroup(7);
    const first = tracked(b, ssads, group);
    const second = b.bind(ssads, group);
    attachDevice(second.bound, NO_PASID, first.hwpt);
    first.dma.write(2n * PAGE, ONE);
    second.dma.write(4n * PAGE, ONE);
    expect(dirtyPages(b, first.hwpt, PAGE, 16)).toEqual([1, 3]);
  });

  test("moving one device moves its group: later writes of all are in the new page table", () => {
    const b = testBench();
    const group = makeGroup(7);
    const { bound, dma, hwpt, ioasId } = tracked(b, ssads, group);
    const second = b.bind(ssads, group);
    attachDevice(second.bound, NO_PASID, hwpt);
    const other = b.client.hwptAlloc({ deviceId: bound.id, parentId: ioasId, flags: DIRTY_TRACKING });
    b.client.setDirtyTracking(other, true);
    dma.write(PAGE, ONE);
    expect(replaceDevice(bound, NO_PASID, other)).toBe(other);
    second.dma.write(3n * PAGE, ONE);
    expect(dirtyPages(b, hwpt, PAGE, 16)).toEqual([0]);
    expect(dirtyPages(b, other, PAGE, 16)).toEqual([2]);
  });
});

describe("what sets bits", () => {
  test("writes do, once tracking is on, and reads never", () => {
    const b = testBench();
    const { dma, hwpt } = tracked(b);
    b.client.setDirtyTracking(hwpt, false);
    dma.write(PAGE, ONE);
    b.client.setDirtyTracking(hwpt, true);
    dma.write(0x3fffn, new Uint8Array(2));
    dma.read(0x6000n, new Uint8Array(8));
    expect(dirtyPages(b, hwpt, PAGE, 16)).toEqual([2, 3]);
  });

  test("a write that is refused, or that finds a read-only page, does not", () => {
    const b = testBench();
    const { dma, hwpt, ioasId } = tracked(b);
    b.client.map(0n, { ioasId, lengthBytes: PAGE, iova: 17n * PAGE, writable: false });
    expect(dma.write(17n * PAGE, ONE)).toBe(DmaResult.forbidden);
    expect(dma.write(40n * PAGE, ONE)).toBe(DmaResult.unmapped);
    expect(dirtyPages(b, hwpt, PAGE, 17)).toEqual([]);
  });

  test("a write that ends at a hole leaves what it wrote before it", () => {
    const b = testBench();
    const { dma, hwpt } = tracked(b);
    expect(dma.write(16n * PAGE, new Uint8Array(0x1800))).toBe(DmaResult.unmapped);
    expect(dirtyPages(b, hwpt, PAGE, 16)).toEqual([15]);
  });

  test("pages mapped while tracking is on are tracked, and begin clean", () => {
    const b = testBench();
    const { dma, hwpt, ioasId } = tracked(b);
    b.client.map(0n, { ioasId, lengthBytes: 2n * PAGE, iova: 64n * PAGE });
    expect(dirtyPages(b, hwpt, 64n * PAGE, 2)).toEqual([]);
    dma.write(65n * PAGE, ONE);
    expect(dirtyPages(b, hwpt, 64n * PAGE, 2)).toEqual([1]);
  });

  test("a page table made over what is mapped begins clean", () => {
    const b = testBench();
    const { bound, dma, ioasId, hwpt } = tracked(b);
    dma.write(PAGE, ONE);
    const late = b.client.hwptAlloc({ deviceId: bound.id, parentId: ioasId, flags: DIRTY_TRACKING });
    expect(dirtyPages(b, late, PAGE, 16)).toEqual([]);
    expect(dirtyPages(b, hwpt, PAGE, 16)).toEqual([0]);
  });

  test("only the page table that a device is attached to sees its writes", () => {
    const b = testBench();
    const first = tracked(b);
    const second = b.bind(ssads);
    const other = b.client.hwptAlloc({ deviceId: second.bound.id, parentId: first.ioasId, flags: DIRTY_TRACKING });
    attachDevice(second.bound, NO_PASID, other);
    b.client.setDirtyTracking(other, true);
    first.dma.write(PAGE, ONE);
    second.dma.write(2n * PAGE, ONE);
    expect(dirtyPages(b, first.hwpt, PAGE, 16)).toEqual([0]);
    expect(dirtyPages(b, other, PAGE, 16)).toEqual([1]);
  });

  test("a PASID's writes show in the page table of the PASID", () => {
    const b = testBench();
    const ioasId = b.client.ioasAlloc();
    const { bound, dma } = b.bind(ssads);
    const alloc = () => b.client.hwptAlloc({ deviceId: bound.id, parentId: ioasId, flags: DIRTY_TRACKING | PASID });
    const [own, pasid] = [alloc(), alloc()];
    attachDevice(bound, NO_PASID, own);
    attachDevice(bound, 5, pasid);
    b.client.map(PAGE, { ioasId, lengthBytes: 4n * PAGE, iova: PAGE });
    for (const hwpt of [own, pasid]) b.client.setDirtyTracking(hwpt, true);
    dma.write(2n * PAGE, ONE, 5);
    expect(dirtyPages(b, own, PAGE, 4)).toEqual([]);
    expect(dirtyPages(b, pasid, PAGE, 4)).toEqual([1]);
  });

  test("a mediated device's writes go past every page table", () => {
    const b = testBench();
    const { hwpt, ioasId } = tracked(b);
    const access = Access.create(b.context, { pinsPages: true, onUnmap: () => {} }) as Access;
    access.attach(ioasId);
    expect(access.copy(b.caller, PAGE, ONE, true, true)).toBe(0);
    expect(dirtyPages(b, hwpt, PAGE, 16)).toEqual([]);
    access.close();
  });
});

describe("nested parents", () => {
  const vtd = { type: HwptDataType.VTD_S1, bytes: IommuHwptVtdS1.encode({ addr_width: 48 }) };

  test("guests' tables have no bits of their own; what they write shows in the parent's", () => {
    const b = testBench();
    const ioasId = b.client.ioasAlloc();
    const devices = [b.bind(ssads), b.bind(ssads)];
    const flags = NEST_PARENT | DIRTY_TRACKING;
    const parent = b.client.hwptAlloc({ deviceId: devices[0]!.bound.id, parentId: ioasId, flags });
    b.client.map(PAGE, { ioasId, lengthBytes: 4n * PAGE, iova: PAGE });
    b.client.setDirtyTracking(parent, true);
    for (const { bound } of devices) {
      const nested = b.client.hwptAlloc({ deviceId: bound.id, parentId: parent, data: vtd });
      expect(attachDevice(bound, NO_PASID, nested)).toBe(nested);
      expect(b.client.attempt("hwptSetDirtyTracking", { hwpt_id: nested, flags: 1 }).errno).toBe(Errno.ENOENT);
      const query = { hwpt_id: nested, iova: PAGE, length: PAGE, page_size: PAGE };
      expect(b.client.attempt("hwptGetDirtyBitmap", query).errno).toBe(Errno.ENOENT);
    }
    devices[0]!.dma.write(2n * PAGE, ONE);
    devices[1]!.dma.write(4n * PAGE, ONE);
    expect(dirtyPages(b, parent, PAGE, 4)).toEqual([1, 3]);
  });

  test("a guest's table cannot be made with them, whatever its parent has", () => {
    const b = testBench();
    const ioas = b.client.ioasAlloc();
    const { deviceId } = b.mockDevice(ioas);
    const parentId = b.client.hwptAlloc({ deviceId, parentId: ioas, flags: NEST_PARENT | DIRTY_TRACKING });
    const data = { type: IOMMU_HWPT_DATA_SELFTEST, bytes: IommuHwptSelftest.encode({ iotlb: 7 }) };
    expect(() => b.client.hwptAlloc({ deviceId, parentId, flags: DIRTY_TRACKING, data })).toThrow("EOPNOTSUPP");
  });
});

describe("what reads and what loses bits", () => {
  test("a query clears what it reports; one that keeps does not", () => {
    const b = testBench();
    const { dma, hwpt } = tracked(b);
    dma.write(3n * PAGE, ONE);
    const query = (keep: boolean) => dirtyPages(b, hwpt, PAGE, 16, keep);
    expect([query(true), query(true), query(false), query(false)]).toEqual([[2], [2], [2], []]);
    dma.write(3n * PAGE, ONE);
    expect(query(false)).toEqual([2]);
  });

  test("a query leaves what lies outside its range", () => {
    const b = testBench();
    const { dma, hwpt } = tracked(b);
    dma.write(PAGE, ONE);
    dma.write(9n * PAGE, ONE);
    expect(dirtyPages(b, hwpt, 9n * PAGE, 8)).toEqual([0]);
    expect(dirtyPages(b, hwpt, PAGE, 8)).toEqual([0]);
  });

  test("turning tracking on again loses what was not read; turning it off keeps it", () => {
    const b = testBench();
    const { dma, hwpt } = tracked(b);
    dma.write(PAGE, ONE);
    b.client.setDirtyTracking(hwpt, false);
    dma.write(2n * PAGE, ONE);
    expect(dirtyPages(b, hwpt, PAGE, 16, true)).toEqual([0]);
    b.client.setDirtyTracking(hwpt, true);
    expect(dirtyPages(b, hwpt, PAGE, 16)).toEqual([]);
    dma.write(PAGE, ONE);
    b.client.setDirtyTracking(hwpt, true);
    expect(dirtyPages(b, hwpt, PAGE, 16)).toEqual([]);
  });

  test("turning tracking on is for what is dirty anywhere, and for this page table alone", () => {
    const b = testBench();
    const first = tracked(b);
    const second = b.bind(ssads);
    const other = b.client.hwptAlloc({ deviceId: second.bound.id, parentId: first.ioasId, flags: DIRTY_TRACKING });
    attachDevice(second.bound, NO_PASID, other);
    b.client.setDirtyTracking(other, true);
    first.dma.write(PAGE, ONE);
    second.dma.write(PAGE, ONE);
    b.client.setDirtyTracking(other, true);
    expect(dirtyPages(b, other, PAGE, 16)).toEqual([]);
    expect(dirtyPages(b, first.hwpt, PAGE, 16)).toEqual([0]);
  });

  test("unmapping loses the bits: the same place mapped again is clean", () => {
    const b = testBench();
    const { dma, hwpt, ioasId } = tracked(b);
    dma.write(PAGE, ONE);
    b.client.unmapAll(ioasId);
    expect(dirtyPages(b, hwpt, PAGE, 16)).toEqual([]);
    b.client.map(PAGE, { ioasId, lengthBytes: 16n * PAGE, iova: PAGE });
    expect(dirtyPages(b, hwpt, PAGE, 16)).toEqual([]);
  });

  test("detaching the device keeps bits and tracking: after it, and when it comes back", () => {
    const b = testBench();
    const { bound, dma, hwpt } = tracked(b);
    dma.write(PAGE, ONE);
    detachDevice(bound, NO_PASID);
    expect(dma.write(2n * PAGE, ONE)).toBe(DmaResult.unmapped);
    expect(dirtyPages(b, hwpt, PAGE, 16, true)).toEqual([0]);
    attachDevice(bound, NO_PASID, hwpt);
    dma.write(3n * PAGE, ONE);
    expect(dirtyPages(b, hwpt, PAGE, 16)).toEqual([0, 2]);
  });

  test("a device that moves away leaves its bits behind", () => {
    const b = testBench();
    const { bound, dma, hwpt, ioasId } = tracked(b);
    dma.write(PAGE, ONE);
    expect(replaceDevice(bound, NO_PASID, ioasId)).toBeGreaterThan(0);
    dma.write(2n * PAGE, ONE);
    expect(dirtyPages(b, hwpt, PAGE, 16)).toEqual([0]);
  });

  test.for([
    [true, [0]],
    [false, [0, 20]],
  ] as const)("a query that meets a hole, with the kernel's quirks %s", ([kernelQuirks, found]) => {
    const b = testBench({ kernelQuirks });
    const { dma, hwpt, ioasId } = tracked(b);
    b.client.map(PAGE, { ioasId, lengthBytes: PAGE, iova: 21n * PAGE });
    dma.write(PAGE, ONE);
    dma.write(21n * PAGE, ONE);
    expect(dirtyPages(b, hwpt, PAGE, 24)).toEqual(found);
    // What the quirk leaves out is not lost: asked by itself, it is there.
    expect(dirtyPages(b, hwpt, 21n * PAGE, 1)).toEqual(kernelQuirks ? [0] : []);
  });

  test("a query that begins in a hole reports nothing, and clears nothing", () => {
    const b = testBench();
    const { dma, hwpt } = tracked(b);
    dma.write(PAGE, ONE);
    expect(dirtyPages(b, hwpt, 0n, 16)).toEqual([]);
    expect(dirtyPages(b, hwpt, PAGE, 16)).toEqual([0]);
  });
});

describe("pages and granules", () => {
  /** 2 MiB at 4 MiB, in one large page unless they are off. */
  function large(b: TestBench, unit = ssads, largePages = true) {
    const ioasId = b.client.ioasAlloc();
    b.client.setLargePages(ioasId, largePages);
    const { bound, dma } = b.bind(unit);
    const hwpt = b.client.hwptAlloc({ deviceId: bound.id, parentId: ioasId, flags: DIRTY_TRACKING });
    attachDevice(bound, NO_PASID, hwpt);
    b.client.map(0n, { ioasId, lengthBytes: LARGE, iova: 2n * LARGE });
    b.client.setDirtyTracking(hwpt, true);
    return { dma, hwpt, ioasId };
  }

  test.for([
    [true, 512],
    [false, 1],
  ] as const)("a write to 2 MiB, with large pages %s, makes %i pages dirty", ([largePages, count]) => {
    const b = testBench();
    const { dma, hwpt } = large(b, ssads, largePages);
    dma.write(2n * LARGE + 5n * PAGE, ONE);
    expect(dirtyPages(b, hwpt, 2n * LARGE, 512)).toHaveLength(count);
  });

  test("2 MiB that memory or alignment breaks up are small pages", () => {
    const b = testBench();
    const { dma, hwpt, ioasId } = large(b);
    b.client.map(PAGE, { ioasId, lengthBytes: LARGE, iova: 4n * LARGE });
    dma.write(4n * LARGE + 5n * PAGE, ONE);
    expect(dirtyPages(b, hwpt, 4n * LARGE, 512)).toEqual([5]);
  });

  test("a query of part of a large page reports that part, and cleans the whole", () => {
    const b = testBench();
    const { dma, hwpt } = large(b);
    dma.write(2n * LARGE, ONE);
    expect(dirtyPages(b, hwpt, 2n * LARGE + 256n * PAGE, 8)).toHaveLength(8);
    expect(dirtyPages(b, hwpt, 2n * LARGE, 512)).toEqual([]);
  });

  test("a bit of more than a page covers all of them, and one of less needs the unit's granule", () => {
    const b = testBench();
    const { dma, hwpt } = tracked(b);
    dma.write(3n * PAGE, ONE);
    const bits = (iova: bigint, pageBytes: bigint, count: bigint) => [
      ...b.client.getDirtyBitmap(hwpt, iova, count * pageBytes, pageBytes, { keep: true }),
    ];
    expect(bits(0x2000n, 0x2000n, 4n)).toEqual([0b1]);
    expect(bits(0x2000n, 0x800n, 6n)).toEqual([0b1100]);
    const { errno } = b.client.attempt("hwptGetDirtyBitmap", {
      hwpt_id: hwpt,
      iova: 0x1800n,
      length: 0x800n,
      page_size: 0x800n,
    });
    expect(errno).toBe(Errno.EINVAL);
  });

  test("a page size that is no power of two counts as its lowest bit", () => {
    const b = testBench();
    const { dma, hwpt } = tracked(b);
    dma.write(4n * PAGE, ONE);
    b.bytes[0x300] = 0;
    b.client.call("hwptGetDirtyBitmap", {
      hwpt_id: hwpt,
      iova: PAGE,
      length: 12n * PAGE,
      page_size: 0x3000n,
      data: 0x300n,
    });
    expect(b.bytes[0x300]).toBe(0b1000);
  });

  test("the mock's granule is 2 KiB, and 1 MiB where its table is made for that", () => {
    const b = testBench();
    const ioasId = b.client.ioasAlloc();
    const { deviceId } = b.mockDevice(ioasId);
    b.client.map(0x10_0000n, { ioasId, lengthBytes: 0x10_0000n, iova: 0x100_0000n });
    const dirtyBits = (tableType: number) => {
      const data = { type: IOMMU_HWPT_DATA_SELFTEST, bytes: IommuHwptSelftest.encode({ pagetable_type: tableType }) };
      const hwpt = b.client.hwptAlloc({ deviceId, parentId: ioasId, flags: DIRTY_TRACKING, data });
      b.client.setDirtyTracking(hwpt, true);
      b.bytes.fill(0, 0x200, 0x240);
      b.bytes[0x200] = 0b10;
      const set = { iova: 0x100_0000n, length: 0x10_0000n, page_size: 0x800n, uptr: 0x200n };
      expect(b.test(TestOp.DIRTY, hwpt, TestDirty, set).result).toBe(0);
      return b.client
        .getDirtyBitmap(hwpt, 0x100_0000n, 0x10_0000n, 0x800n)
        .reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
    };
    expect(dirtyBits(0)).toBe(1);
    expect(dirtyBits(1)).toBe(512);
  });
});

describe("the caller's bitmap", () => {
  test("may begin at any byte, keeps bits that are set, and is not written outside", () => {
    const b = testBench();
    const { dma, hwpt } = tracked(b);
    const query = (data: bigint) =>
      b.client.call("hwptGetDirtyBitmap", { hwpt_id: hwpt, iova: PAGE, length: 16n * PAGE, page_size: PAGE, data });
    for (const at of [0x300, 0x301, 0x303, 0xfff]) {
      b.bytes.fill(0, at - 4, at + 8);
      b.bytes[at] = 0x80;
      dma.write(3n * PAGE, ONE);
      dma.write(9n * PAGE, ONE);
      query(BigInt(at));
      expect([...b.bytes.subarray(at - 4, at + 8)]).toEqual([0, 0, 0, 0, 0x84, 0x01, 0, 0, 0, 0, 0, 0]);
    }
  });

  test("collects the bits of several page tables", () => {
    const b = testBench();
    const first = tracked(b);
    const second = b.bind(ssads);
    const other = b.client.hwptAlloc({ deviceId: second.bound.id, parentId: first.ioasId, flags: DIRTY_TRACKING });
    attachDevice(second.bound, NO_PASID, other);
    b.client.setDirtyTracking(other, true);
    first.dma.write(PAGE, ONE);
    second.dma.write(3n * PAGE, ONE);
    b.bytes[0x300] = 0;
    for (const hwpt_id of [first.hwpt, other]) {
      const query = { hwpt_id, iova: PAGE, length: 8n * PAGE, page_size: PAGE, data: 0x300n };
      b.client.call("hwptGetDirtyBitmap", query);
    }
    expect(b.bytes[0x300]).toBe(0b101);
  });

  test("that is out of reach is no error, and its bits are lost", () => {
    const b = testBench();
    const { dma, hwpt } = tracked(b);
    dma.write(PAGE, ONE);
    const query = { hwpt_id: hwpt, iova: PAGE, length: PAGE, page_size: PAGE, data: 1n << 40n };
    expect(b.client.attempt("hwptGetDirtyBitmap", query).errno).toBe(0);
    expect(dirtyPages(b, hwpt, PAGE, 16)).toEqual([]);
  });
});

describe("errno", () => {
  test("SET_DIRTY_TRACKING: unknown flags, then the id, then what the page table can; the reserved field is not looked at", () => {
    const b = testBench();
    const { hwpt, ioasId } = tracked(b);
    const errno = (fields: object) => b.client.attempt("hwptSetDirtyTracking", { hwpt_id: hwpt, ...fields }).errno;
    expect(errno({ flags: 2, hwpt_id: 99 })).toBe(Errno.EOPNOTSUPP);
    expect(errno({ hwpt_id: 99 })).toBe(Errno.ENOENT);
    expect(errno({ hwpt_id: ioasId })).toBe(Errno.ENOENT);
    expect(errno({ __reserved: 1 })).toBe(0);
  });

  test("GET_DIRTY_BITMAP's checks come in the kernel's order", () => {
    const b = testBench();
    const ioas = b.client.ioasAlloc();
    const { deviceId, hwptId } = b.mockDevice(ioas);
    const dirty = b.client.hwptAlloc({ deviceId, parentId: ioas, flags: DIRTY_TRACKING });
    const query = { hwpt_id: dirty, iova: 0x100_0000n, length: 0x1000n, page_size: 0x800n };
    const errno = (fields: object): number => b.client.attempt("hwptGetDirtyBitmap", { ...query, ...fields }).errno;
    expect(errno({ flags: 2 })).toBe(Errno.EOPNOTSUPP);
    expect(errno({ hwpt_id: ioas })).toBe(Errno.ENOENT);
    expect(errno({ length: 0n })).toBe(Errno.EOVERFLOW);
    expect(errno({ iova: 0x100_0001n })).toBe(Errno.EINVAL);
    expect(errno({ page_size: 0n })).toBe(Errno.EINVAL);
    expect(errno({ page_size: 0x2000n })).toBe(Errno.EINVAL);
    expect(errno({ hwpt_id: hwptId })).toBe(Errno.EOPNOTSUPP);
    expect(errno({})).toBe(0);
  });

  test("the mock's DIRTY needs tracking to be on, and never clears the caller's bits", () => {
    const b = testBench();
    const ioasId = b.client.ioasAlloc();
    const { deviceId } = b.mockDevice(ioasId);
    b.client.map(0n, { ioasId, lengthBytes: 0x4000n, iova: 0x100_0000n });
    const hwpt = b.client.hwptAlloc({ deviceId, parentId: ioasId, flags: DIRTY_TRACKING });
    const set = { iova: 0x100_0000n, length: 0x4000n, page_size: 0x800n, uptr: 0x200n };
    b.bytes[0x200] = 0b101;
    expect(b.test(TestOp.DIRTY, hwpt, TestDirty, set).result).toBe(-Errno.EINVAL);
    b.client.setDirtyTracking(hwpt, true);
    expect(b.test(TestOp.DIRTY, hwpt, TestDirty, set).result).toBe(0);
    b.bytes[0x300] = 0x80;
    const query = { hwpt_id: hwpt, iova: set.iova, length: set.length, page_size: 0x800n, data: 0x300n };
    b.client.call("hwptGetDirtyBitmap", query);
    expect(b.bytes[0x300]).toBe(0x85);
  });
});
