// Device files: binding, attaching, what a device says of itself, reset. Each call's errno in the order of the kernel's checks.
import { describe, expect, test } from "vitest";
import {
  Errno,
  HwptAllocFlag,
  makeGroup,
  SoftwareHost,
  VfioDeviceAttachIommufdPt,
  VfioDeviceBindIommufd,
  VfioDeviceDetachIommufdPt,
  VfioDeviceFeature,
  VfioDeviceFeatureFlag,
  VfioDeviceFlag,
  VfioDeviceInfo,
  VfioFeature,
  VfioIrqInfo,
  VfioIrqInfoFlag,
  VfioNr,
  VfioPciDependentDevice,
  VfioPciHotReset,
  VfioPciHotResetInfo,
  VfioPciIrq,
  VfioPciRegion,
  VfioRegionInfo,
  type HostFile,
} from "../iommufd/index.ts";
import { MEMORY_BYTES, RAW_AT, registers, vfioBench } from "./test-bench.ts";

const FAR = MEMORY_BYTES - 4;

describe("before BIND", () => {
  test("every other call, read, write and mapping is EINVAL", () => {
    const b = vfioBench();
    const { fd } = b.open(b.add());
    for (let nr = 100; nr < 128; nr++) {
      if (nr !== VfioNr.DEVICE_BIND_IOMMUFD) expect(b.ioctl(fd, nr), `ioctl ${nr}`).toBe(-Errno.EINVAL);
    }
    expect(b.session.read(fd, 0n, 4, 0n)).toBe(-Errno.EINVAL);
    expect(b.session.write(fd, 0n, 4, 0n)).toBe(-Errno.EINVAL);
    expect(b.session.mmap(fd, { offset: 0n, lengthBytes: 4096, protection: 3, shared: true })).toBe(-Errno.EINVAL);
    b.end();
  });
});

describe("BIND_IOMMUFD", () => {
  test("argument, length, tail, flags and descriptor are checked in this order", () => {
    const b = vfioBench();
    const { fd } = b.open(b.add());
    const good = { argsz: 24, iommufd: b.iommufd.fd };
    const bind = (fields: object, trailing?: Uint8Array): number =>
      b.raw(fd, "bind", VfioDeviceBindIommufd, { ...good, ...fields }, trailing).result;
    expect(b.ioctl(fd, VfioNr.DEVICE_BIND_IOMMUFD, MEMORY_BYTES)).toBe(-Errno.EFAULT);
    expect(bind({ argsz: 15 })).toBe(-Errno.EINVAL);
    expect(bind({ argsz: 28, flags: 2 }, Uint8Array.of(0, 0, 1, 0))).toBe(-Errno.E2BIG);
    expect(bind({ flags: 2 })).toBe(-Errno.EINVAL);
    expect(bind({ iommufd: -1 })).toBe(-Errno.EINVAL);
    expect(bind({ flags: 1, token_uuid_ptr: BigInt(FAR) })).toBe(-Errno.EFAULT);
    expect(bind({ flags: 1, iommufd: 99 })).toBe(-Errno.EINVAL);
    expect(bind({ iommufd: 99 })).toBe(-Errno.EBADF);
    expect(bind({ iommufd: fd })).toBe(-Errno.EBADFD);
    expect(bind({ iommufd: b.eventFd().fd })).toBe(-Errno.EBADFD);
    const foreign = new SoftwareHost().openFile(b.caller, "/dev/iommu") as HostFile;
    expect(bind({ iommufd: b.caller.files.install(foreign) })).toBe(-Errno.EBADFD);
    expect(bind({ argsz: 28 }, new Uint8Array(4))).toBe(0);
    expect(bind({})).toBe(-Errno.EINVAL);
    b.end();
  });

  test("gives the device's id, and one file alone may have the device", () => {
    const b = vfioBench();
    const node = b.add();
    const device = b.open(node);
    expect(device.bind(b.iommufd.fd)).toBe(1);
    expect(node.isOpen).toBe(true);
    const second = b.open(node);
    expect(() => second.bind(b.iommufd.fd)).toThrow("VFIO_DEVICE_BIND_IOMMUFD failed with EINVAL");
    device.close();
    expect(node.isOpen).toBe(false);
    expect(second.bind(b.iommufd.fd)).toBe(1);
    b.end();
  });

  test("units and groups that the kernel refuses", () => {
    const b = vfioBench();
    expect(() => b.bound(b.add({}, "vtd", makeGroup(1, false)))).toThrow("EPERM");
    const group = makeGroup(2);
    const [first, second] = [b.add({}, "vtd", group), b.add({}, "vtd", group)];
    b.bound(first);
    const other = b.session.open("/dev/iommu");
    expect(() => b.open(second).bind(other)).toThrow("EPERM");
    expect(b.open(second).bind(b.iommufd.fd)).toBe(2);
    b.end();
  });

  test("a reply that cannot be written undoes it; a driver that fails leaves nothing", () => {
    const b = vfioBench();
    const node = b.add();
    const device = b.open(node);
    for (const [point, errno] of [
      ["reply", "EFAULT"],
      ["open", "ENODEV"],
      ["reset", "EAGAIN"],
      ["alloc", "ENOMEM"],
    ] as const) {
      b.host.failNext(point, 1);
      expect(() => device.bind(b.iommufd.fd)).toThrow(errno);
      expect(node.isOpen).toBe(false);
    }
    expect(device.bind(b.iommufd.fd)).toBe(1);
    b.end();
  });

  test("a bound device keeps the context alive after its descriptor is closed", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    b.iommufd.close();
    expect(b.host.audit().openContexts).toBe(1);
    device.close();
    expect(b.host.audit().openContexts).toBe(0);
    b.end();
  });
});

describe("ATTACH_IOMMUFD_PT and DETACH_IOMMUFD_PT", () => {
  test("argument, length, flags, then the id", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const attach = (fields: object): number =>
      b.raw(device.fd, "attach", VfioDeviceAttachIommufdPt, { argsz: 16, ...fields }).result;
    expect(b.ioctl(device.fd, VfioNr.DEVICE_ATTACH_IOMMUFD_PT, FAR)).toBe(-Errno.EFAULT);
    expect(attach({ argsz: 11 })).toBe(-Errno.EINVAL);
    expect(attach({ flags: 2 })).toBe(-Errno.EINVAL);
    expect(attach({ argsz: 12, flags: 1 })).toBe(-Errno.EINVAL);
    expect(attach({ pt_id: 99 })).toBe(-Errno.ENOENT);
    expect(attach({ pt_id: 1 })).toBe(-Errno.EINVAL);
    const detach = (fields: object): number =>
      b.raw(device.fd, "detach", VfioDeviceDetachIommufdPt, { argsz: 12, ...fields }).result;
    expect(b.ioctl(device.fd, VfioNr.DEVICE_DETACH_IOMMUFD_PT, FAR)).toBe(-Errno.EFAULT);
    expect(detach({ argsz: 7 })).toBe(-Errno.EINVAL);
    expect(detach({ flags: 2 })).toBe(-Errno.EINVAL);
    expect(detach({ argsz: 8, flags: 1 })).toBe(-Errno.EINVAL);
    // What is not attached is detached already.
    expect(detach({})).toBe(0);
    expect(detach({ flags: 1, pasid: 5 })).toBe(0);
    b.end();
  });

  test("an IOAS gives a page table of its own making; a second attach moves there", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const ioas = b.iommufd.ioasAlloc();
    const automatic = device.attach(ioas);
    expect(automatic).not.toBe(ioas);
    expect(b.iommufd.attempt("destroy", { id: ioas }).errno).toBe(Errno.EBUSY);
    const hwpt = b.iommufd.hwptAlloc({ deviceId: 1, parentId: ioas, flags: HwptAllocFlag.DIRTY_TRACKING });
    expect(device.attach(hwpt)).toBe(hwpt);
    // The automatic one went with its last device.
    expect(b.iommufd.attempt("destroy", { id: automatic }).errno).toBe(Errno.ENOENT);
    device.detach();
    device.detach();
    b.iommufd.destroy(hwpt);
    b.iommufd.destroy(ioas);
    b.end();
  });

  test("a page table with dirty bits does not fit a unit without: EINVAL", () => {
    const b = vfioBench();
    const capable = b.bound(b.add({}, "vtd-ssads"));
    const plain = b.bound(b.add({}, "vtd"));
    const parentId = b.iommufd.ioasAlloc();
    const hwpt = b.iommufd.hwptAlloc({ deviceId: 1, parentId, flags: HwptAllocFlag.DIRTY_TRACKING });
    capable.attach(hwpt);
    expect(() => plain.attach(hwpt)).toThrow(
      "VFIO_DEVICE_ATTACH_IOMMUFD_PT failed with EINVAL: the page table does not",
    );
    b.end();
  });

  test("PASIDs: only page tables made for them, on units that have them; closing detaches them", () => {
    const b = vfioBench();
    const device = b.bound(b.add({}, "vtd-ssads"));
    const parentId = b.iommufd.ioasAlloc();
    const flags = HwptAllocFlag.PASID;
    const [first, second] = [1, 2].map(() => b.iommufd.hwptAlloc({ deviceId: 1, parentId, flags }));
    expect(() => device.attach(parentId, 5)).toThrow("EINVAL");
    expect(device.attach(first!, 5)).toBe(first);
    expect(device.attach(second!, 5)).toBe(second);
    expect(b.iommufd.attempt("destroy", { id: second! }).errno).toBe(Errno.EBUSY);
    device.detach(5);
    b.iommufd.destroy(second!);
    expect(() => device.attach(first!, 2 ** 20)).toThrow("EINVAL");
    expect(() => device.attach(first!, 2 ** 31)).toThrow("ENOSPC");
    device.attach(first!, 6);
    device.close();
    b.iommufd.destroy(first!);
    b.end();
  });

  test("a reply that cannot be written detaches", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const ioas = b.iommufd.ioasAlloc();
    b.host.failNext("reply", 1);
    expect(() => device.attach(ioas)).toThrow("EFAULT");
    b.iommufd.destroy(ioas);
    b.end();
  });
});

describe("GET_INFO, GET_REGION_INFO, GET_IRQ_INFO", () => {
  test("GET_INFO takes sixteen bytes and writes no more than the caller has", () => {
    const b = vfioBench();
    const { fd } = b.bound(b.add());
    expect(b.ioctl(fd, VfioNr.DEVICE_GET_INFO, FAR)).toBe(-Errno.EFAULT);
    expect(b.raw(fd, "getInfo", VfioDeviceInfo, { argsz: 15 }).result).toBe(-Errno.EINVAL);
    const { result, reply } = b.raw(fd, "getInfo", VfioDeviceInfo, { argsz: 16, cap_offset: 7 });
    expect(result).toBe(0);
    expect(reply).toMatchObject({ flags: VfioDeviceFlag.PCI | VfioDeviceFlag.RESET, num_regions: 9, num_irqs: 5 });
    expect(reply.cap_offset).toBe(7);
    b.end();
  });

  test("regions: registers cannot be mapped, memory can, by areas that leave the doorbell out", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const shape = (index: number): unknown => {
      const { lengthBytes, readable, writable, mappable, msixMappable } = device.region(index);
      return [Number(lengthBytes), readable && writable, mappable.length, msixMappable];
    };
    expect(shape(VfioPciRegion.BAR0)).toEqual([0x1000, true, 0, false]);
    expect(shape(VfioPciRegion.BAR1)).toEqual([0, false, 0, false]);
    expect(shape(VfioPciRegion.BAR2)).toEqual([0x1_0000, true, 2, true]);
    expect(shape(VfioPciRegion.ROM)).toEqual([0, false, 0, false]);
    expect(shape(VfioPciRegion.CONFIG)).toEqual([0x1000, true, 0, false]);
    expect(device.region(VfioPciRegion.BAR2).mappable).toEqual([
      { offset: 0x1000n, lengthBytes: 0xe000n },
      { offset: 0xf000n, lengthBytes: 0x1000n },
    ]);
    expect(device.region(VfioPciRegion.CONFIG).offset).toBe(7n << 40n);
    expect(() => device.region(VfioPciRegion.VGA)).toThrow("EINVAL");
    expect(() => device.region(9)).toThrow("EINVAL");
    b.end();
  });

  test("the capabilities of a region come when argsz has room for them", () => {
    const b = vfioBench();
    const { fd } = b.bound(b.add());
    expect(b.ioctl(fd, VfioNr.DEVICE_GET_REGION_INFO, FAR)).toBe(-Errno.EFAULT);
    expect(b.raw(fd, "getRegionInfo", VfioRegionInfo, { argsz: 31 }).result).toBe(-Errno.EINVAL);
    const small = b.raw(fd, "getRegionInfo", VfioRegionInfo, { argsz: 32, index: 2, cap_offset: 5 }).reply;
    expect([small.argsz, small.cap_offset, small.flags]).toEqual([32 + 48 + 8, 0, 15]);
    const full = b.raw(fd, "getRegionInfo", VfioRegionInfo, { argsz: 88, index: 2 }).reply;
    expect([full.argsz, full.cap_offset]).toEqual([88, 32]);
    expect([...b.bytes.subarray(RAW_AT + 32, RAW_AT + 40)]).toEqual([1, 0, 1, 0, 80, 0, 0, 0]);
    expect([...b.bytes.subarray(RAW_AT + 80, RAW_AT + 88)]).toEqual([3, 0, 1, 0, 0, 0, 0, 0]);
    // Without capabilities the caller's offset stays.
    expect(b.raw(fd, "getRegionInfo", VfioRegionInfo, { argsz: 32, index: 0, cap_offset: 5 }).reply.cap_offset).toBe(5);
    b.end();
  });

  test("interrupts: the line can be masked, MSI-X can grow", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const { EVENTFD, MASKABLE, AUTOMASKED, NORESIZE } = VfioIrqInfoFlag;
    const irq = (index: number): unknown => [device.irq(index).count, device.irq(index).flags];
    expect(irq(VfioPciIrq.INTX)).toEqual([1, EVENTFD | MASKABLE | AUTOMASKED]);
    expect(irq(VfioPciIrq.MSI)).toEqual([4, EVENTFD | NORESIZE]);
    expect(irq(VfioPciIrq.MSIX)).toEqual([4, EVENTFD]);
    expect(irq(VfioPciIrq.ERR)).toEqual([1, EVENTFD | NORESIZE]);
    expect(irq(VfioPciIrq.REQ)).toEqual([1, EVENTFD | NORESIZE]);
    expect(() => device.irq(5)).toThrow("EINVAL");
    expect(b.ioctl(device.fd, VfioNr.DEVICE_GET_IRQ_INFO, FAR)).toBe(-Errno.EFAULT);
    expect(b.raw(device.fd, "getIrqInfo", VfioIrqInfo, { argsz: 15 }).result).toBe(-Errno.EINVAL);
    b.end();
  });

  test("calls that no driver knows are ENOTTY", () => {
    const b = vfioBench();
    const { fd } = b.bound(b.add());
    expect(b.ioctl(fd, 100)).toBe(-Errno.ENOTTY);
    expect(b.ioctl(fd, 127)).toBe(-Errno.ENOTTY);
    expect(b.session.ioctl(fd, 0x12345, 0n)).toBe(-Errno.ENOTTY);
    b.end();
  });
});

describe("reset", () => {
  test("RESET clears the device and keeps what the host set up", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const engine = registers(device, VfioPciRegion.BAR0);
    const config = registers(device, VfioPciRegion.CONFIG);
    engine.set(0x34, 0x1234);
    config.set(4, 0x406, 2);
    device.reset();
    expect(engine.get(0x34)).toBe(0);
    expect(config.get(4, 2)).toBe(0x406);
    b.host.failNext("reset", 1);
    expect(() => device.reset()).toThrow("VFIO_DEVICE_RESET failed with EAGAIN");
    b.end();
  });

  test("the hot reset names every function on the bus, and whose each is", () => {
    const b = vfioBench();
    const group = makeGroup(9);
    const mine = b.bound(b.add({ name: "0000:03:00.0" }, "vtd", group));
    b.add({ name: "0000:03:00.1" }, "vtd", group);
    expect(mine.hotResetInfo()).toEqual({
      owned: true,
      devices: [
        { deviceId: 1, segment: 0, bus: 3, devfn: 0 },
        { deviceId: 0, segment: 0, bus: 3, devfn: 1 },
      ],
    });
    mine.hotReset();
    const other = b.add({ name: "0000:03:02.0" }, "vtd");
    expect(mine.hotResetInfo()).toMatchObject({ owned: false, devices: [{}, {}, { deviceId: -1, devfn: 16 }] });
    expect(() => mine.hotReset()).toThrow("EINVAL");
    b.bound(other);
    mine.hotReset();
    b.end();
  });

  test("hot reset: argument, length, room, flags, descriptors, and a root bus that has none", () => {
    const b = vfioBench();
    const { fd } = b.bound(b.add({ name: "0000:03:00.0" }));
    const info = (fields: object) => b.raw(fd, "getHotResetInfo", VfioPciHotResetInfo, fields);
    expect(b.ioctl(fd, VfioNr.DEVICE_GET_PCI_HOT_RESET_INFO, FAR)).toBe(-Errno.EFAULT);
    expect(info({ argsz: 11 }).result).toBe(-Errno.EINVAL);
    expect(info({ argsz: 12 })).toMatchObject({ result: -Errno.ENOSPC, reply: { count: 1, flags: 0 } });
    expect(info({ argsz: 20 })).toMatchObject({ result: 0, reply: { count: 1, flags: 3 } });
    expect(VfioPciDependentDevice.decode(b.bytes, RAW_AT + 12)).toEqual({ id: 1, segment: 0, bus: 3, devfn: 0 });
    const reset = (of: number, fields: object): number => b.raw(of, "hotReset", VfioPciHotReset, fields).result;
    expect(b.ioctl(fd, VfioNr.DEVICE_PCI_HOT_RESET, FAR)).toBe(-Errno.EFAULT);
    expect(reset(fd, { argsz: 11 })).toBe(-Errno.EINVAL);
    expect(reset(fd, { argsz: 12, flags: 1 })).toBe(-Errno.EINVAL);
    expect(reset(fd, { argsz: 12, count: 1 })).toBe(-Errno.EINVAL);
    expect(reset(fd, { argsz: 12 })).toBe(0);
    b.host.failNext("reset", 1);
    expect(reset(fd, { argsz: 12 })).toBe(-Errno.EAGAIN);
    const onRoot = b.bound(b.add({ name: "0000:00:03.0" })).fd;
    expect(b.raw(onRoot, "getHotResetInfo", VfioPciHotResetInfo, { argsz: 64 }).result).toBe(-Errno.ENODEV);
    expect(reset(onRoot, { argsz: 12 })).toBe(-Errno.ENODEV);
    b.end();
  });
});

describe("DEVICE_FEATURE", () => {
  const { GET, SET, PROBE } = VfioDeviceFeatureFlag;

  test("argument, length, flags, feature, method, payload", () => {
    const b = vfioBench();
    const { fd } = b.bound(b.add());
    const feature = (flags: number, argsz = 8): number =>
      b.raw(fd, "feature", VfioDeviceFeature, { argsz, flags }).result;
    expect(b.ioctl(fd, VfioNr.DEVICE_FEATURE, FAR)).toBe(-Errno.EFAULT);
    expect(feature(SET, 7)).toBe(-Errno.EINVAL);
    expect(feature(0x8_0000)).toBe(-Errno.EINVAL);
    expect(feature(GET | SET | 99)).toBe(-Errno.EINVAL);
    expect(feature(GET | SET | PROBE | 99)).toBe(-Errno.ENOTTY);
    for (const absent of [VfioFeature.PCI_VF_TOKEN, VfioFeature.BUS_MASTER]) {
      expect(feature(PROBE | absent)).toBe(-Errno.ENOTTY);
    }
    const entry = VfioFeature.LOW_POWER_ENTRY;
    expect(feature(GET | entry)).toBe(-Errno.EINVAL);
    expect(feature(PROBE | GET | entry)).toBe(-Errno.EINVAL);
    expect(feature(PROBE | SET | entry)).toBe(0);
    expect(feature(entry)).toBe(-Errno.EINVAL);
    expect(feature(SET | VfioFeature.LOW_POWER_ENTRY_WITH_WAKEUP)).toBe(-Errno.EINVAL);
    b.end();
  });

  test("low power: entered once, left by asking, or by waking when an eventfd is to be told", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    device.enterLowPower();
    expect(() => device.enterLowPower()).toThrow("VFIO_DEVICE_FEATURE (LOW_POWER_ENTRY) failed with EINVAL");
    device.exitLowPower();
    expect(() => device.enterLowPower(-1)).toThrow("EINVAL");
    expect(() => device.enterLowPower(99)).toThrow("EBADF");
    const { fd, event } = b.eventFd();
    device.enterLowPower(fd);
    expect(event.count).toBe(0n);
    device.info();
    expect(event.count).toBe(1n);
    device.info();
    expect(event.count).toBe(1n);
    device.enterLowPower(fd);
    b.end();
  });

  test("a device in low power stands still, and goes on when it leaves", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const ioasId = b.iommufd.ioasAlloc();
    device.attach(ioasId);
    b.iommufd.map(0n, { ioasId, lengthBytes: 0x1000n, iova: 0n });
    registers(device, VfioPciRegion.CONFIG).set(4, 6, 2);
    const engine = registers(device, VfioPciRegion.BAR0);
    for (const [at, value] of [
      [0x08, 1],
      [0x30, 16],
      [0x34, 0x4141_4141],
      [0x48, 2],
    ] as const) {
      engine.set(at, value);
    }
    device.enterLowPower();
    b.timers.advanceByNs(1e6);
    expect(b.bytes[0]).toBe(0);
    device.exitLowPower();
    b.timers.advanceByNs(1e6);
    expect(b.bytes[0]).toBe(0x41);
    b.end();
  });
});
