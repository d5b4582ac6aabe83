import { describe, expect, test } from "vitest";
import { bytesBacking, makeGroup, type LocalFiles } from "../iommufd/index.ts";
import { aliasRegion, memoryTransaction, ramRegion, type PageSet } from "../memory/index.ts";
import {
  fakeLog,
  makeRig,
  OTHER_UNIT,
  PLAIN_UNIT,
  RAM_BASE,
  RAM_BYTES,
  TRACKING_UNIT,
  type Rig,
} from "./testing/rig.ts";

const PAGE = 4096;
const AUDIT_CLEAN = { pinnedPages: 0, accountsClear: true, openContexts: 1 };

/** Pages of RAM, by number from its start. */
function pagesOf(rig: Rig, pages: PageSet): number[] {
  const first = rig.ram.offset / PAGE;
  return Array.from({ length: RAM_BYTES / PAGE }, (_, i) => i).filter((i) => pages.has(first + i));
}

function address(page: number): bigint {
  return BigInt(RAM_BASE + page * PAGE);
}

describe("memory", () => {
  test("is where the guest sees it", () => {
    const rig = makeRig();
    const container = rig.container();
    const device = rig.device(TRACKING_UNIT);
    container.attach(device);
    rig.ram.bytes[5 * PAGE] = 77;
    const found = new Uint8Array(1);
    expect(device.dma.read(address(5), found)).toBe(0);
    expect(found[0]).toBe(77);
    expect(device.dma.read(BigInt(RAM_BASE + RAM_BYTES), found)).not.toBe(0);
    expect(container.ranges).toEqual([
      { iova: RAM_BASE, lengthBytes: RAM_BYTES, offset: rig.ram.offset, isWritable: true, name: "ram" },
    ]);
  });

  test("follows the guest's view of it", () => {
    const rig = makeRig();
    const container = rig.container();
    const device = rig.device(TRACKING_UNIT);
    container.attach(device);
    const [region] = rig.space.root.children.map((child) => child.region);
    memoryTransaction(() => {
      rig.space.root.remove(region!);
      rig.space.root.add(region!, 0x1_0000_0000);
    });
    expect(device.dma.read(address(0), new Uint8Array(8))).not.toBe(0);
    expect(device.dma.read(0x1_0000_0000n, new Uint8Array(8))).toBe(0);
    container.detach(device);
    expect(rig.host.audit()).toEqual(AUDIT_CLEAN);
  });

  test("that is read-only for the guest is so for devices", () => {
    const rig = makeRig();
    const container = rig.container();
    const device = rig.device(TRACKING_UNIT);
    const rom = aliasRegion("rom", ramRegion(rig.ram), { offsetBytes: 0, lengthBytes: PAGE, readOnly: true });
    rig.space.root.add(rom, 0x1000);
    container.attach(device);
    expect(device.dma.read(0x1000n, new Uint8Array(8))).toBe(0);
    expect(device.dma.write(0x1000n, new Uint8Array(8))).toBe(2);
  });

  test("with a file is mapped by its file", () => {
    const rig = makeRig();
    const file = new Uint8Array(RAM_BYTES + PAGE);
    const fd = (rig.files as LocalFiles).installBacking(bytesBacking("memfd:1", file));
    const container = rig.container({ fileOf: () => ({ fd, startBytes: BigInt(PAGE) }) });
    const device = rig.device(TRACKING_UNIT);
    container.attach(device);
    expect(device.dma.write(address(2), new Uint8Array([1, 2, 3]))).toBe(0);
    expect([...file.subarray(3 * PAGE, 3 * PAGE + 3)]).toEqual([1, 2, 3]);
  });

  test("over a device's reserved region refuses the device, and nothing is left", () => {
    const rig = makeRig();
    const region = { start: address(4), last: address(5) - 1n, kind: "reserved" as const };
    const device = rig.device({ ...TRACKING_UNIT, reserved: [region] });
    const container = rig.container();
    expect(() => container.attach(device)).toThrow(
      /^Device d0 cannot see the guest's memory: .* \(ram at 0x80000000, 4194304 bytes\) \(IOMMU_IOAS_MAP: EINVAL\); /,
    );
    expect(container.devices).toEqual([]);
    expect(container.domains).toEqual([]);
    container.close();
    expect(rig.host.audit()).toEqual(AUDIT_CLEAN);
  });

  test("that comes later and cannot be mapped is told of, and the machine goes on", () => {
    const rig = makeRig();
    const container = rig.container();
    container.attach(rig.device({ ...TRACKING_UNIT, apertureLast: 0xffff_ffffn }));
    rig.space.root.add(ramRegion(rig.ram), 0x1_0000_0000);
    expect(rig.warnings).toHaveLength(1);
    expect(rig.warnings[0]).toMatch(/^Memory ram at 0x100000000, .* IOMMU_IOAS_MAP failed with EINVAL/);
    expect(container.ranges).toHaveLength(1);
  });
});

describe("writes of devices", () => {
  test("are found by the dirty bits of their page table", () => {
    const rig = makeRig();
    const container = rig.container();
    const device = rig.device(TRACKING_UNIT);
    container.attach(device);
    const epoch = rig.world.notes.openEpoch("test");
    device.dma.write(address(3), new Uint8Array(PAGE * 2));
    expect(pagesOf(rig, epoch.read().pages)).toEqual([3, 4]);
    expect(pagesOf(rig, epoch.read().pages)).toEqual([]);
    epoch.close();
  });

  test("are found by the device's own log", () => {
    const rig = makeRig();
    const container = rig.container();
    const log = fakeLog();
    container.attach(rig.device(PLAIN_UNIT, { log }));
    const epoch = rig.world.notes.openEpoch("test");
    log.written.add(RAM_BASE / PAGE + 9);
    const round = epoch.read();
    expect(pagesOf(rig, round.pages)).toEqual([9]);
    expect([...round.bySource.keys()]).toEqual(["vfio d0 log"]);
    epoch.close();
    expect(log.calls).toEqual(["start 0+100000000 100000000+100000000", "stop"]);
  });

  test("into memory that came after the log began are found where the log left room", () => {
    const rig = makeRig();
    const container = rig.container();
    const log = fakeLog();
    container.attach(rig.device(PLAIN_UNIT, { log }));
    const epoch = rig.world.notes.openEpoch("test");
    rig.space.root.add(ramRegion(rig.ram), 0x1_4000_0000);
    log.written.add(0x1_4000_0000 / PAGE + 4);
    expect(pagesOf(rig, epoch.read().pages)).toEqual([4]);
    epoch.close();
  });

  test("of a device that nobody tracks may be anywhere", () => {
    const rig = makeRig();
    const container = rig.container();
    container.attach(rig.device(PLAIN_UNIT));
    expect(rig.warnings).toEqual([
      "d0: all that it can reach counts as written: its page table has no dirty bits, and the device cannot log what it writes",
    ]);
    const epoch = rig.world.notes.openEpoch("test");
    expect(epoch.read().dirtyPageCount).toBe(RAM_BYTES / PAGE);
    expect(epoch.read().dirtyPageCount).toBe(RAM_BYTES / PAGE);
    epoch.close();
  });

  test("are known before their memory is unmapped", () => {
    const rig = makeRig();
    const container = rig.container();
    const device = rig.device(TRACKING_UNIT);
    container.attach(device);
    const epoch = rig.world.notes.openEpoch("test");
    device.dma.write(address(6), new Uint8Array(8));
    const [region] = rig.space.root.children.map((child) => child.region);
    rig.space.root.remove(region!);
    expect(pagesOf(rig, epoch.read().pages)).toEqual([6]);
    epoch.close();
  });

  test("are known before the device leaves", () => {
    const rig = makeRig();
    const container = rig.container();
    const device = rig.device(TRACKING_UNIT);
    container.attach(device);
    const epoch = rig.world.notes.openEpoch("test");
    device.dma.write(address(7), new Uint8Array(8));
    container.detach(device);
    expect(pagesOf(rig, epoch.read().pages)).toEqual([7]);
    epoch.close();
  });

  test("are found when the device came while an epoch was open", () => {
    const rig = makeRig();
    const container = rig.container();
    const epoch = rig.world.notes.openEpoch("test");
    const device = rig.device(TRACKING_UNIT);
    container.attach(device);
    device.dma.write(address(8), new Uint8Array(8));
    expect(pagesOf(rig, epoch.read().pages)).toEqual([8]);
    epoch.close();
  });

  test("into memory that came after the log began count as anywhere in it, until a new log costs no more", () => {
    const rig = makeRig();
    const container = rig.container();
    const log = fakeLog(2 ** 31);
    container.attach(rig.device(PLAIN_UNIT, { log }));
    const epoch = rig.world.notes.openEpoch("test");
    const part = aliasRegion("part", ramRegion(rig.ram), { offsetBytes: 2 * PAGE, lengthBytes: RAM_BYTES / 2 });
    rig.space.root.add(part, 0x4000_0000);
    log.written.add(RAM_BASE / PAGE);
    const isHalf = [0, ...Array.from({ length: RAM_BYTES / PAGE / 2 }, (_, i) => i + 2)];
    expect(pagesOf(rig, epoch.read().pages)).toEqual(isHalf);
    expect(epoch.read().dirtyPageCount).toBe(RAM_BYTES / PAGE / 2);
    expect(log.calls).toEqual(["start 80000000+400000"]);
    expect(epoch.read().dirtyPageCount).toBe(RAM_BYTES / PAGE);
    expect(log.calls).toEqual(["start 80000000+400000", "stop", "start 40000000+40400000"]);
    expect(epoch.read().dirtyPageCount).toBe(0);
    epoch.close();
  });

  test("count as anywhere when the dirty bits cannot be read", () => {
    const rig = makeRig();
    const container = rig.container();
    const log = fakeLog();
    container.attach(rig.device(PLAIN_UNIT, { log }));
    const epoch = rig.world.notes.openEpoch("test");
    log.stop();
    expect(() => epoch.read()).toThrow("VFIO_DEVICE_FEATURE failed with EINVAL");
    log.start([], 4096n);
    expect(epoch.read().dirtyPageCount).toBeGreaterThanOrEqual(RAM_BYTES / PAGE);
    epoch.close();
  });
});

describe("tracking that cannot start", () => {
  const failing = {
    start(): void {
      throw new Error("no log");
    },
    stop(): void {},
    report: () => new Uint8Array(0),
  };

  test("refuses the epoch, with nothing started", () => {
    const rig = makeRig();
    const container = rig.container();
    const log = fakeLog();
    container.attach(rig.device(PLAIN_UNIT, { log }));
    container.attach(rig.device(PLAIN_UNIT, { log: failing }));
    expect(() => rig.world.notes.openEpoch("test")).toThrow("no log");
    expect(log.calls.at(-1)).toBe("stop");
    expect(rig.world.notes.openEpochs).toBe(0);
  });

  test("refuses a device that comes while an epoch is open, which leaves no trace", () => {
    const rig = makeRig();
    const container = rig.container();
    const first = rig.device(TRACKING_UNIT);
    container.attach(first);
    const epoch = rig.world.notes.openEpoch("test");
    expect(() => container.attach(rig.device(PLAIN_UNIT, { log: failing }))).toThrow("no log");
    expect(container.devices).toEqual([first]);
    expect(container.domains).toHaveLength(1);
    first.dma.write(address(1), new Uint8Array(1));
    expect(pagesOf(rig, epoch.read().pages)).toEqual([1]);
    epoch.close();
  });
});

describe("the simple mode", () => {
  test("leaves page tables to the kernel, which makes them without dirty bits", () => {
    const rig = makeRig();
    const container = rig.container();
    const device = rig.device(TRACKING_UNIT);
    container.attach(device, "ioas");
    expect(container.domains).toEqual([]);
    expect(container.trackers[0]!.tracker).toBe("none");
    expect(device.dma.write(address(0), new Uint8Array(8))).toBe(0);
    container.detach(device);
    container.close();
    expect(rig.host.audit()).toEqual(AUDIT_CLEAN);
  });
});

test("what is known of tracking forgets a device that left", () => {
  const rig = makeRig();
  const container = rig.container({ policy: "all-or-nothing" });
  const [logging, plain] = [rig.device(OTHER_UNIT, { log: fakeLog() }), rig.device(PLAIN_UNIT)];
  container.attach(logging);
  expect(container.trackers.map((t) => t.tracker)).toEqual(["device"]);
  container.attach(plain);
  expect(container.trackers.map((t) => t.tracker)).toEqual(["none", "none"]);
  container.detach(plain);
  expect(container.trackers.map((t) => t.tracker)).toEqual(["device"]);
});

test("devices of one group share a page table", () => {
  const rig = makeRig();
  const container = rig.container();
  const group = makeGroup(5);
  const [a, b] = [rig.device(TRACKING_UNIT, { group }), rig.device(TRACKING_UNIT, { group })];
  container.attach(a);
  container.attach(b);
  expect(container.domains.map((domain) => domain.devices.size)).toEqual([2]);
});
