// A mediated device: it is attached to an IOAS alone, its DMA goes through an access object, its pins are called back.
import { describe, expect, test } from "vitest";
import { mdevSerialSpec } from "../device/mdev-serial/index.ts";
import {
  Errno,
  VfioDeviceFlag,
  VfioDeviceState,
  VfioNr,
  VfioPciIrq,
  VfioPciRegion,
  type VfioDeviceClient,
} from "../iommufd/index.ts";
import type { VfioDeviceDescription } from "./port.ts";
import { config, registers, vfioBench, type VfioBench } from "./test-bench.ts";

const { Register: R, Cause } = mdevSerialSpec;
const SEND_AT = 0x1000;
const RECEIVE_AT = 0x4000;

function serial(b: VfioBench, description: Partial<VfioDeviceDescription> = {}): VfioDeviceClient {
  return b.bound(b.add({ kind: "mdev-serial", name: `m${b.vfio.devices.length}`, ...description }));
}

/** An IOAS with the first 64 KiB mapped one to one. */
function mapped(b: VfioBench): number {
  const ioasId = b.iommufd.ioasAlloc();
  b.iommufd.map(0n, { ioasId, lengthBytes: 0x1_0000n, iova: 0n });
  return ioasId;
}

/** Sends eight bytes round the line; what arrived. */
function loop(b: VfioBench, device: VfioDeviceClient, text: string): string {
  config(device).set(4, 7, 2);
  const dma = registers(device, VfioPciRegion.BAR1);
  b.bytes.set(
    Uint8Array.from(text, (c) => c.charCodeAt(0)),
    SEND_AT,
  );
  for (const [at, value] of [
    [R.interruptStatus, 7],
    [R.interruptEnable, 7],
    [R.receiveLow, RECEIVE_AT],
    [R.receiveLength, text.length],
    [R.receive, 1],
    [R.sendLow, SEND_AT],
    [R.sendLength, text.length],
    [R.send, 1],
  ] as const) {
    dma.set(at, value);
  }
  b.timers.advanceByNs(1e6);
  return String.fromCharCode(...b.bytes.subarray(RECEIVE_AT, RECEIVE_AT + text.length));
}

describe("a mediated device", () => {
  test("binding gives the id of an access object, which only the driver destroys", () => {
    const b = vfioBench();
    const node = b.add({ kind: "mdev-serial", name: "m0" });
    const device = b.open(node);
    const id = device.bind(b.iommufd.fd);
    expect(b.iommufd.attempt("destroy", { id }).errno).toBe(Errno.EBUSY);
    expect(b.iommufd.attempt("getHwInfo", { dev_id: id }).errno).toBe(Errno.ENOENT);
    expect(device.info().flags).toBe(VfioDeviceFlag.PCI | VfioDeviceFlag.RESET);
    b.end();
  });

  test("attaches to an IOAS alone; there are no PASIDs, no bus, no low power", () => {
    const b = vfioBench();
    const ioasId = mapped(b);
    const physical = b.bound(b.add());
    const hwpt = physical.attach(ioasId);
    const device = serial(b);
    expect(() => device.attach(hwpt)).toThrow("ENOENT");
    expect(device.attach(ioasId)).toBe(ioasId);
    expect(device.attach(ioasId)).toBe(ioasId);
    expect(() => device.attach(ioasId, 5)).toThrow("EOPNOTSUPP");
    expect(() => device.detach(5)).toThrow("EOPNOTSUPP");
    expect(b.ioctl(device.fd, VfioNr.DEVICE_GET_PCI_HOT_RESET_INFO)).toBe(-Errno.ENOTTY);
    expect(b.ioctl(device.fd, VfioNr.DEVICE_PCI_HOT_RESET)).toBe(-Errno.ENOTTY);
    expect(() => device.enterLowPower()).toThrow("ENOTTY");
    device.detach();
    device.detach();
    b.end();
  });

  test.for(["pin", "copy"])("with dma=%s it reads and writes what the IOAS maps", (dma) => {
    const b = vfioBench();
    const device = serial(b, { properties: { dma } });
    device.attach(mapped(b));
    expect(loop(b, device, "hello, line")).toBe("hello, line");
    expect(b.host.audit().pinnedPages).toBe(dma === "pin" ? 2 : 0);
    b.end();
  });

  test("unmapping calls the pins back; afterwards it faults", () => {
    const b = vfioBench();
    const device = serial(b);
    const ioasId = mapped(b);
    device.attach(ioasId);
    loop(b, device, "pinned");
    b.iommufd.unmapAll(ioasId);
    expect(b.host.audit().pinnedPages).toBe(0);
    loop(b, device, "gone");
    expect(b.vfio.faults).toEqual([
      { device: "m0", iova: BigInt(SEND_AT), pasid: 0, write: false, reason: "unmapped" },
    ]);
    b.end();
  });

  test("moving to another IOAS, detaching and closing leave no pin", () => {
    const b = vfioBench();
    const device = serial(b);
    const [first, second] = [mapped(b), mapped(b)];
    for (const leave of [() => device.attach(second), () => device.detach(), () => device.close()]) {
      device.attach(first);
      loop(b, device, "somewhere");
      expect(b.host.audit().pinnedPages).toBe(2);
      leave();
      expect(b.host.audit().pinnedPages).toBe(0);
    }
    b.iommufd.destroy(first);
    b.end();
  });

  test("a mapping that is only read cannot be written: the fault says forbidden", () => {
    const b = vfioBench();
    const device = serial(b);
    const ioasId = b.iommufd.ioasAlloc();
    b.iommufd.map(0n, { ioasId, lengthBytes: 0x1_0000n, iova: 0n, writable: false });
    device.attach(ioasId);
    loop(b, device, "read only");
    expect(b.vfio.faults).toMatchObject([{ iova: BigInt(RECEIVE_AT), write: true, reason: "forbidden" }]);
    b.end();
  });

  test("many pages are pinned no more than it keeps", () => {
    const b = vfioBench();
    const device = serial(b);
    const ioasId = b.iommufd.ioasAlloc();
    b.iommufd.map(0n, { ioasId, lengthBytes: 0x20_0000n, iova: 0n });
    device.attach(ioasId);
    config(device).set(4, 7, 2);
    const dma = registers(device, VfioPciRegion.BAR1);
    dma.set(R.sendLength, 100 * 4096);
    dma.set(R.send, 1);
    dma.set(R.receiveLow, 0x10_0000);
    dma.set(R.receiveLength, 100 * 4096);
    dma.set(R.receive, 1);
    b.timers.advanceByNs(1e9);
    expect(dma.get(R.received)).toBe(100 * 4096);
    expect(b.host.audit().pinnedPages).toBe(128);
    b.end();
  });

  test("interrupts: the line, or one message", () => {
    const b = vfioBench();
    const device = serial(b);
    device.attach(mapped(b));
    const { fd, event } = b.eventFd();
    expect([VfioPciIrq.INTX, VfioPciIrq.MSI, VfioPciIrq.MSIX].map((i) => device.irq(i).count)).toEqual([1, 1, 0]);
    expect(() => device.irq(VfioPciIrq.ERR)).toThrow("EINVAL");
    expect(() => device.setIrqs({ index: VfioPciIrq.MSIX, action: "trigger", eventFds: [fd] })).toThrow("EINVAL");
    device.setIrqs({ index: VfioPciIrq.INTX, action: "trigger", eventFds: [fd] });
    loop(b, device, "one");
    expect(event.take()).toBe(1n);
    device.setIrqs({ index: VfioPciIrq.INTX, action: "trigger", count: 0 });
    device.setIrqs({ index: VfioPciIrq.MSI, action: "trigger", eventFds: [fd] });
    loop(b, device, "two");
    expect(event.take()).toBe(1n);
    expect(registers(device, VfioPciRegion.BAR1).get(R.interruptStatus)).toBe(Cause.sent | Cause.received);
    b.end();
  });

  test("the UART is a region of ports", () => {
    const b = vfioBench();
    const device = serial(b);
    expect(device.region(VfioPciRegion.BAR0)).toMatchObject({ lengthBytes: 8n, mappable: [], readable: true });
    const uart = registers(device, VfioPciRegion.BAR0);
    uart.set(0, 0x42, 1);
    b.timers.advanceByNs(1e6);
    expect(uart.get(0, 1)).toBe(0x42);
    b.end();
  });

  test("migrates and logs as described, in the middle of its work", () => {
    const b = vfioBench();
    const abilities = { migration: ["stop-copy", "p2p", "pre-copy"], dmaLog: true } as const;
    const [source, target] = [serial(b, abilities), serial(b, abilities)];
    const ioasId = mapped(b);
    source.attach(ioasId);
    target.attach(ioasId);
    config(target).set(4, 7, 2);
    source.startDmaLog([{ start: 0n, last: 0xffffn }], 4096n);
    config(source).set(4, 7, 2);
    const dma = registers(source, VfioPciRegion.BAR1);
    b.bytes.fill(9, SEND_AT, SEND_AT + 1024);
    for (const [at, value] of [
      [R.receiveLow, RECEIVE_AT],
      [R.receiveLength, 1024],
      [R.receive, 1],
      [R.sendLow, SEND_AT],
      [R.sendLength, 1024],
      [R.send, 1],
    ] as const) {
      dma.set(at, value);
    }
    b.timers.advanceByNs(1);
    const fd = source.setDeviceState(VfioDeviceState.STOP_COPY)!;
    const into = b.data(target.setDeviceState(VfioDeviceState.RESUMING)!);
    for (let part = b.data(fd).read(100)!; part.length > 0; part = b.data(fd).read(100)!) into.write(part);
    expect([...source.reportDmaLog(0n, 0x8000n, 4096n)]).toEqual([0x10]);
    target.setDeviceState(VfioDeviceState.RUNNING);
    b.timers.advanceByNs(1e6);
    expect(registers(target, VfioPciRegion.BAR1).get(R.received)).toBe(1024);
    expect(b.bytes.subarray(RECEIVE_AT, RECEIVE_AT + 1024).every((byte) => byte === 9)).toBe(true);
    b.end();
  });

  test("descriptions that contradict themselves are refused with what would do", () => {
    const b = vfioBench();
    const add = (fields: object) => () => b.vfio.add({ kind: "mdev-serial", name: "m0", ...fields });
    expect(add({ kind: "mdev" })).toThrow('There is no kind of device "mdev"; dma-engine, mdev-serial, nvme would do');
    expect(add({ name: "a/b" })).toThrow("A name has no slash");
    expect(add({ kind: "dma-engine" })).toThrow("A PCI device is named by its address");
    expect(add({ kind: "dma-engine", name: "0000:01:00.0" })).toThrow('of kind "dma-engine" stands behind a unit');
    expect(add({ migration: ["pre-copy"] })).toThrow('"pre-copy" needs "stop-copy"');
    expect(add({ properties: { dma: "direct" } })).toThrow("'pin' or 'copy'");
    expect(add({ properties: { speed: 1 } })).toThrow("Property 'mdev-serial.speed' not found");
    add({})();
    expect(add({})).toThrow("There is a device of this name already");
    expect(b.vfio.devices).toHaveLength(1);
    b.end();
  });
});
