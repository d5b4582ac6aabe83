// SET_IRQS and what interrupts then do, in the order of the kernel's checks.
import { describe, expect, test } from "vitest";
import {
  Errno,
  VfioDeviceIoeventfd,
  VfioIrqSet,
  VfioIrqSetFlag,
  VfioNr,
  VfioPciIrq,
  VfioPciRegion,
} from "../iommufd/index.ts";
import { config, MEMORY_BYTES, registers, vfioBench, type VfioBench } from "./test-bench.ts";

const { DATA_NONE, DATA_BOOL, DATA_EVENTFD, ACTION_MASK, ACTION_UNMASK, ACTION_TRIGGER } = VfioIrqSetFlag;
const { INTX, MSI, MSIX, ERR, REQ } = VfioPciIrq;
const BUS_MASTER = 0x6;
/** Where the doorbell of the DMA engine lies in BAR 2; ringing it raises cause 4. */
const DOORBELL = 0;

function engine(b: VfioBench) {
  const device = b.bound(b.add());
  const bar0 = registers(device, VfioPciRegion.BAR0);
  config(device).set(4, BUS_MASTER, 2);
  bar0.set(0x14, 7);
  const ring = (): void => registers(device, VfioPciRegion.BAR2).set(DOORBELL, 1);
  /** Tells the engine that its interrupt was seen. */
  const acknowledge = (): void => bar0.set(0x10, 7);
  const set = (fields: object, data: readonly number[] = []): number =>
    b.raw(device.fd, "setIrqs", VfioIrqSet, { argsz: 20 + data.length, ...fields }, Uint8Array.from(data)).result;
  return { device, bar0, ring, acknowledge, set };
}

describe("SET_IRQS", () => {
  test("argument, length, index, wrap, flags, range, data type, room for data, data", () => {
    const b = vfioBench();
    const { device, set } = engine(b);
    const good = { flags: DATA_NONE | ACTION_TRIGGER, index: MSIX, start: 0, count: 1 };
    expect(b.ioctl(device.fd, VfioNr.DEVICE_SET_IRQS, MEMORY_BYTES - 16)).toBe(-Errno.EFAULT);
    expect(set({ ...good, argsz: 19 })).toBe(-Errno.EINVAL);
    expect(set({ ...good, index: 5 })).toBe(-Errno.EINVAL);
    expect(set({ ...good, count: 0xffff_ffff })).toBe(-Errno.EINVAL);
    expect(set({ ...good, flags: 0x40 | DATA_NONE | ACTION_TRIGGER })).toBe(-Errno.EINVAL);
    expect(set({ ...good, start: 4, count: 0 })).toBe(-Errno.EINVAL);
    expect(set({ ...good, start: 3, count: 2 })).toBe(-Errno.EINVAL);
    expect(set({ ...good, flags: ACTION_TRIGGER })).toBe(-Errno.EINVAL);
    expect(set({ ...good, flags: DATA_NONE | DATA_BOOL | ACTION_TRIGGER })).toBe(-Errno.EINVAL);
    expect(set({ ...good, flags: DATA_EVENTFD | ACTION_TRIGGER }, [1, 2, 3])).toBe(-Errno.EINVAL);
    VfioIrqSet.encode({ argsz: 24, ...good, flags: DATA_EVENTFD | ACTION_TRIGGER }, b.bytes, MEMORY_BYTES - 20);
    expect(b.ioctl(device.fd, VfioNr.DEVICE_SET_IRQS, MEMORY_BYTES - 20)).toBe(-Errno.EFAULT);
    b.end();
  });

  test("actions that a kind does not take are ENOTTY, two at once as well", () => {
    const b = vfioBench();
    const { set } = engine(b);
    for (const index of [MSI, MSIX, ERR, REQ]) {
      expect(set({ flags: DATA_NONE | ACTION_MASK, index, count: 1 })).toBe(-Errno.ENOTTY);
      expect(set({ flags: DATA_NONE | ACTION_UNMASK, index, count: 1 })).toBe(-Errno.ENOTTY);
    }
    expect(set({ flags: DATA_NONE | ACTION_MASK | ACTION_TRIGGER, index: INTX, count: 1 })).toBe(-Errno.ENOTTY);
    expect(set({ flags: DATA_NONE, index: INTX, count: 1 })).toBe(-Errno.ENOTTY);
    b.end();
  });
});

describe("the interrupt line", () => {
  test("masks itself when it fires, and fires again on unmasking while it is still up", () => {
    const b = vfioBench();
    const { device, ring, acknowledge } = engine(b);
    const { fd, event } = b.eventFd();
    device.setIrqs({ index: INTX, action: "trigger", eventFds: [fd] });
    ring();
    ring();
    expect(event.take()).toBe(1n);
    device.setIrqs({ index: INTX, action: "unmask" });
    expect(event.take()).toBe(1n);
    acknowledge();
    device.setIrqs({ index: INTX, action: "unmask" });
    expect(event.take()).toBe(0n);
    ring();
    expect(event.take()).toBe(1n);
    b.end();
  });

  test("a pending interrupt arrives when it is turned on", () => {
    const b = vfioBench();
    const { device, ring } = engine(b);
    const { fd, event } = b.eventFd();
    ring();
    device.setIrqs({ index: INTX, action: "trigger", eventFds: [fd] });
    expect(event.take()).toBe(1n);
    b.end();
  });

  test("is masked by call, by value, or by the disable bit of configuration space", () => {
    const b = vfioBench();
    const { device, ring, acknowledge } = engine(b);
    const { fd, event } = b.eventFd();
    device.setIrqs({ index: INTX, action: "trigger", eventFds: [fd] });
    device.setIrqs({ index: INTX, action: "mask" });
    ring();
    expect(event.take()).toBe(0n);
    device.setIrqs({ index: INTX, action: "unmask", values: [false] });
    expect(event.take()).toBe(0n);
    device.setIrqs({ index: INTX, action: "unmask", values: [true] });
    expect(event.take()).toBe(1n);
    acknowledge();
    device.setIrqs({ index: INTX, action: "unmask" });
    config(device).set(4, 0x406, 2);
    ring();
    device.setIrqs({ index: INTX, action: "trigger" });
    device.setIrqs({ index: INTX, action: "unmask" });
    expect(event.take()).toBe(0n);
    config(device).set(4, 0x006, 2);
    expect(event.take()).toBe(1n);
    b.end();
  });

  test("an eventfd can unmask it; a second one is EBUSY", () => {
    const b = vfioBench();
    const { device, ring, acknowledge } = engine(b);
    const [trigger, unmask] = [b.eventFd(), b.eventFd()];
    device.setIrqs({ index: INTX, action: "trigger", eventFds: [trigger.fd] });
    device.setIrqs({ index: INTX, action: "unmask", eventFds: [unmask.fd] });
    expect(() => device.setIrqs({ index: INTX, action: "unmask", eventFds: [unmask.fd] })).toThrow("EBUSY");
    ring();
    expect(trigger.event.take()).toBe(1n);
    unmask.event.add(1n);
    expect([trigger.event.take(), unmask.event.count]).toEqual([1n, 0n]);
    acknowledge();
    unmask.event.add(1n);
    ring();
    expect(trigger.event.take()).toBe(1n);
    device.setIrqs({ index: INTX, action: "unmask", eventFds: [-1] });
    unmask.event.add(1n);
    expect([trigger.event.take(), unmask.event.take()]).toEqual([0n, 1n]);
    b.end();
  });

  test("errno: not on, wrong range, no eventfd, a mask eventfd", () => {
    const b = vfioBench();
    const { device, set } = engine(b);
    expect(set({ flags: DATA_NONE | ACTION_MASK, index: INTX, count: 1 })).toBe(-Errno.EINVAL);
    expect(set({ flags: DATA_NONE | ACTION_UNMASK, index: INTX, count: 1 })).toBe(-Errno.EINVAL);
    expect(set({ flags: DATA_NONE | ACTION_TRIGGER, index: INTX, count: 1 })).toBe(-Errno.EINVAL);
    expect(set({ flags: DATA_NONE | ACTION_TRIGGER, index: INTX, count: 0 })).toBe(-Errno.EINVAL);
    expect(() => device.setIrqs({ index: INTX, action: "trigger", eventFds: [99] })).toThrow("EBADF");
    expect(() => device.setIrqs({ index: INTX, action: "trigger", eventFds: [device.fd] })).toThrow("EINVAL");
    device.setIrqs({ index: INTX, action: "trigger", eventFds: [-1] });
    expect(set({ flags: DATA_EVENTFD | ACTION_MASK, index: INTX, count: 1 }, [3, 0, 0, 0])).toBe(-Errno.ENOTTY);
    expect(set({ flags: DATA_NONE | ACTION_MASK, index: INTX, count: 0 })).toBe(-Errno.EINVAL);
    expect(() => device.setIrqs({ index: INTX, action: "unmask", eventFds: [99] })).toThrow("EBADF");
    const { fd } = b.eventFd();
    expect(() => device.setIrqs({ index: MSI, action: "trigger", eventFds: [fd] })).toThrow("EINVAL");
    device.setIrqs({ index: INTX, action: "trigger", count: 0 });
    device.setIrqs({ index: MSI, action: "trigger", eventFds: [fd] });
    b.end();
  });
});

describe("messages", () => {
  test.for([
    ["MSI", MSI],
    ["MSI-X", MSIX],
  ] as const)("%s: each cause arrives at the eventfd of its vector", ([_name, index]) => {
    const b = vfioBench();
    const { device, bar0, ring } = engine(b);
    const events = [b.eventFd(), b.eventFd(), b.eventFd()];
    bar0.set(0x18, 0x02_01_00);
    device.setIrqs({ index, action: "trigger", eventFds: events.map((e) => e.fd) });
    ring();
    expect(events.map((e) => e.event.take())).toEqual([0n, 0n, 1n]);
    device.setIrqs({ index, start: 2, action: "trigger", eventFds: [-1] });
    ring();
    expect(events[2]!.event.take()).toBe(0n);
    // What came while nobody listened was kept by the function.
    device.setIrqs({ index, start: 2, action: "trigger", eventFds: [events[2]!.fd] });
    expect(events[2]!.event.take()).toBe(1n);
    b.end();
  });

  test("loop back: triggered by call for those that have an eventfd", () => {
    const b = vfioBench();
    const { device, set } = engine(b);
    const { fd, event } = b.eventFd();
    expect(set({ flags: DATA_NONE | ACTION_TRIGGER, index: MSIX, count: 1 })).toBe(-Errno.EINVAL);
    device.setIrqs({ index: MSIX, action: "trigger", eventFds: [fd, -1] });
    device.setIrqs({ index: MSIX, action: "trigger", count: 2 });
    device.setIrqs({ index: MSIX, action: "trigger", values: [false, true] });
    expect(event.take()).toBe(1n);
    b.end();
  });

  test("MSI-X can grow while it is on, MSI cannot", () => {
    const b = vfioBench();
    const { device, bar0, ring } = engine(b);
    const { fd, event } = b.eventFd();
    bar0.set(0x18, 0x03_00_00);
    device.setIrqs({ index: MSIX, action: "trigger", eventFds: [-1] });
    device.setIrqs({ index: MSIX, start: 3, action: "trigger", eventFds: [fd] });
    ring();
    expect(event.take()).toBe(1n);
    device.setIrqs({ index: MSIX, action: "trigger", count: 0 });
    device.setIrqs({ index: MSI, action: "trigger", eventFds: [-1] });
    expect(() => device.setIrqs({ index: MSI, start: 3, action: "trigger", eventFds: [fd] })).toThrow("EINVAL");
    b.end();
  });

  test("a descriptor that is no eventfd takes back those before it", () => {
    const b = vfioBench();
    const { device } = engine(b);
    const { fd } = b.eventFd();
    expect(() => device.setIrqs({ index: MSIX, action: "trigger", eventFds: [fd, 99] })).toThrow("EBADF");
    expect(b.vfio.audit().eventFds).toBe(0);
    device.setIrqs({ index: MSI, action: "trigger", eventFds: [fd] });
    expect(b.vfio.audit().eventFds).toBe(1);
    expect(() => device.setIrqs({ index: MSI, action: "trigger", eventFds: [device.fd] })).toThrow("EINVAL");
    expect(b.vfio.audit().eventFds).toBe(0);
    // Those outside of the request stay.
    device.setIrqs({ index: MSI, action: "trigger", count: 0 });
    device.setIrqs({ index: MSI, action: "trigger", eventFds: [fd, fd] });
    expect(() => device.setIrqs({ index: MSI, action: "trigger", eventFds: [fd, 99] })).toThrow("EBADF");
    expect(b.vfio.audit().eventFds).toBe(0);
    device.setIrqs({ index: MSI, action: "trigger", eventFds: [fd, fd] });
    expect(() => device.setIrqs({ index: MSI, start: 1, action: "trigger", eventFds: [99] })).toThrow("EBADF");
    expect(b.vfio.audit().eventFds).toBe(1);
    expect(() => device.setIrqs({ index: MSIX, action: "trigger", eventFds: [] })).toThrow("EINVAL");
    b.host.failNext("irq", 1);
    device.setIrqs({ index: MSI, action: "trigger", count: 0 });
    expect(() => device.setIrqs({ index: MSIX, action: "trigger", eventFds: [fd] })).toThrow("ENOSPC");
    expect(() => device.setIrqs({ index: MSIX, action: "trigger", eventFds: [] })).toThrow("ERANGE");
    b.end();
  });

  test("vectors survive a reset; bus mastering off keeps messages back", () => {
    const b = vfioBench();
    const { device, bar0, ring } = engine(b);
    const { fd, event } = b.eventFd();
    device.setIrqs({ index: MSIX, action: "trigger", eventFds: [fd] });
    device.reset();
    bar0.set(0x14, 7);
    ring();
    expect(event.take()).toBe(1n);
    config(device).set(4, 0x2, 2);
    ring();
    expect(event.take()).toBe(0n);
    b.end();
  });

  test("a user who maps the MSI-X table cannot reach another interrupt: the write is DMA, and faults", () => {
    const b = vfioBench();
    const { device, ring } = engine(b);
    const { fd, event } = b.eventFd();
    device.setIrqs({ index: MSIX, action: "trigger", eventFds: [fd] });
    const table = device.map(device.region(VfioPciRegion.BAR2), 0xf000n, 0x1000);
    table.bytes[8] = 0x77;
    ring();
    expect(event.take()).toBe(0n);
    table.bytes.set([0x40, 0, 0, 0], 8);
    table.bytes[1] = 0x10;
    ring();
    expect(event.take()).toBe(0n);
    const fault = { device: "0000:01:00.0", pasid: 0, write: true, reason: "unmapped" };
    expect(b.vfio.faults).toEqual([
      { ...fault, iova: 0xfee0_0000n },
      { ...fault, iova: 0xfee0_1000n },
    ]);
    table.bytes[1] = 0;
    ring();
    expect(event.take()).toBe(1n);
    table.release();
    b.end();
  });

  test("behind an SMMU the doorbell is mapped where the IOAS reserves the window", () => {
    const b = vfioBench();
    const device = b.bound(b.add({}, "smmuv3"));
    config(device).set(4, BUS_MASTER, 2);
    device.attach(b.iommufd.ioasAlloc());
    const { fd, event } = b.eventFd();
    device.setIrqs({ index: MSIX, action: "trigger", eventFds: [fd] });
    const table = device.map(device.region(VfioPciRegion.BAR2), 0xf000n, 0x1000);
    expect([...table.bytes.subarray(0, 4)]).toEqual([0, 0, 0, 8]);
    table.release();
    registers(device, VfioPciRegion.BAR0).set(0x14, 7);
    registers(device, VfioPciRegion.BAR2).set(DOORBELL, 1);
    expect(event.take()).toBe(1n);
    b.end();
  });
});

describe("errors and requests", () => {
  test("ERR and REQ: one eventfd each; the host signals it, and so does loop back", () => {
    const b = vfioBench();
    const { device, set } = engine(b);
    const node = b.vfio.devices[0]!;
    const { fd, event } = b.eventFd();
    for (const [index, notify] of [
      [ERR, () => node.reportError()],
      [REQ, () => node.requestBack()],
    ] as const) {
      expect(notify()).toBe(false);
      expect(set({ flags: DATA_NONE | ACTION_TRIGGER, index, count: 1 })).toBe(-Errno.EINVAL);
      device.setIrqs({ index, action: "trigger", eventFds: [fd] });
      expect(notify()).toBe(true);
      device.setIrqs({ index, action: "trigger" });
      device.setIrqs({ index, action: "trigger", values: [true] });
      expect(event.take()).toBe(3n);
      expect(set({ flags: DATA_BOOL | ACTION_TRIGGER, index, count: 0 })).toBe(-Errno.EINVAL);
      expect(set({ flags: DATA_EVENTFD | ACTION_TRIGGER, index, count: 0 })).toBe(-Errno.EINVAL);
      expect(() => device.setIrqs({ index, action: "trigger", eventFds: [-2] })).toThrow("EINVAL");
      expect(() => device.setIrqs({ index, action: "trigger", eventFds: [99] })).toThrow("EBADF");
      device.setIrqs({ index, action: "trigger", count: 0 });
      expect(notify()).toBe(false);
      device.setIrqs({ index, action: "trigger", eventFds: [fd] });
      device.setIrqs({ index, action: "trigger", eventFds: [-1] });
      expect(notify()).toBe(false);
      device.setIrqs({ index, action: "trigger", eventFds: [fd] });
    }
    b.end();
  });
});

describe("IOEVENTFD", () => {
  test("argument, length, flags, descriptor, place, then whether there is one", () => {
    const b = vfioBench();
    const { device } = engine(b);
    const { fd } = b.eventFd();
    const BAR2 = 2n << 40n;
    const set = (fields: object): number =>
      b.raw(device.fd, "ioeventfd", VfioDeviceIoeventfd, { argsz: 28, flags: 4, offset: BAR2, fd, ...fields }).result;
    expect(b.ioctl(device.fd, VfioNr.DEVICE_IOEVENTFD, MEMORY_BYTES - 8)).toBe(-Errno.EFAULT);
    expect(set({ argsz: 27 })).toBe(-Errno.EINVAL);
    for (const flags of [0, 3, 0x10]) expect(set({ flags })).toBe(-Errno.EINVAL);
    expect(set({ fd: -2 })).toBe(-Errno.EINVAL);
    expect(set({ offset: 7n << 40n })).toBe(-Errno.EINVAL);
    expect(set({ offset: BAR2 + 0xfffen })).toBe(-Errno.EINVAL);
    expect(set({ offset: BAR2 + 0xf000n })).toBe(-Errno.EINVAL);
    expect(set({ flags: 8 })).toBe(-Errno.EINVAL);
    expect(set({ fd: -1 })).toBe(-Errno.ENODEV);
    expect(set({ fd: 99 })).toBe(-Errno.EBADF);
    expect(set({ fd: device.fd })).toBe(-Errno.EINVAL);
    expect(set({})).toBe(0);
    expect(set({})).toBe(-Errno.EEXIST);
    expect(set({ fd: -1 })).toBe(0);
    for (let data = 0n; data < 1000n; data++) expect(set({ data })).toBe(0);
    expect(set({ data: 1000n })).toBe(-Errno.ENOSPC);
    b.end();
  });

  test("a signal is a write to the BAR, while memory can be reached", () => {
    const b = vfioBench();
    const { device, bar0 } = engine(b);
    const { fd, event } = b.eventFd();
    const region = device.region(VfioPciRegion.BAR2);
    device.setIoeventfd(region, 0n, 4, 0x1234_5678n, fd);
    event.add(1n);
    expect([bar0.get(0x68), bar0.get(0x6c), event.count]).toEqual([1, 0x1234_5678, 0n]);
    config(device).set(4, 0, 2);
    event.add(1n);
    config(device).set(4, 2, 2);
    expect(bar0.get(0x68)).toBe(1);
    device.setIoeventfd(region, 0n, 4, 0x1234_5678n, -1);
    event.add(1n);
    expect(bar0.get(0x68)).toBe(1);
    b.end();
  });
});
