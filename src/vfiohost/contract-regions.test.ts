// Regions: configuration space as a user sees it, BARs by read, write and mapping, and what closing leaves.
import { describe, expect, test } from "vitest";
import { pciSpec } from "../device/pci/index.ts";
import { Errno, VfioPciIrq, VfioPciRegion, type VfioDeviceClient } from "../iommufd/index.ts";
import { config, MEMORY_BYTES, registers, vfioBench } from "./test-bench.ts";

const { CapabilityId, Header } = pciSpec;
const CONFIG_AT = 7n << 40n;
const BAR2_AT = 2n << 40n;

/** Byte offset of a capability in the user's view. */
function capability(device: VfioDeviceClient, id: number): number {
  const space = config(device);
  let at = space.get(Header.capabilities, 1);
  while (space.get(at, 1) !== id) at = space.get(at + 1, 1);
  return at;
}

describe("configuration space", () => {
  test("identity and decoding as the host has them; nothing of the identity can be written", () => {
    const b = vfioBench();
    const space = config(b.bound(b.add()));
    expect(space.get(0)).toBe(0x7261_1234);
    // Memory and I/O decoding were turned on by the host, bus mastering was not.
    expect(space.get(4, 2)).toBe(2);
    space.set(0, 0xffff_ffff);
    space.set(Header.interruptPin, 0, 1);
    expect([space.get(0), space.get(Header.interruptPin, 1)]).toEqual([0x7261_1234, 1]);
    space.set(Header.interruptLine, 0x5a, 1);
    expect(space.get(Header.interruptLine, 1)).toBe(0x5a);
    b.end();
  });

  test("BARs are sized in the host's copy: the device stays where it is", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const space = config(device);
    expect(space.get(0x10)).not.toBe(0);
    for (const at of [0x10, 0x14, 0x18, 0x1c, 0x20, Header.romBar]) space.set(at, 0xffff_ffff);
    expect([0x10, 0x14, 0x18, 0x1c, 0x20, Header.romBar].map((at) => space.get(at))).toEqual([
      0xffff_f000, 0, 0xffff_000c, 0xffff_ffff, 0, 0,
    ]);
    space.set(0x10, 0x1234_5678);
    expect(space.get(0x10)).toBe(0x1234_5000);
    // Nothing moved.
    expect(registers(device, VfioPciRegion.BAR0).get(0)).toBe(0x5241_0001);
    b.end();
  });

  test("interrupt disable is the host's copy; other command bits reach the device", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const space = config(device);
    space.set(4, 0x506, 2);
    expect(space.get(4, 2)).toBe(0x506);
    space.set(5, 0x04, 1);
    expect(space.get(4, 2)).toBe(0x406);
    b.end();
  });

  test("MSI: enabled by call alone, with no more vectors than that gave", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const space = config(device);
    const at = capability(device, CapabilityId.msi) + 2;
    expect(space.get(at, 2)).toBe(0x184);
    space.set(at, 0x25, 2);
    expect(space.get(at, 2)).toBe(0x104);
    const { fd } = b.eventFd();
    device.setIrqs({ index: VfioPciIrq.MSI, action: "trigger", eventFds: [fd, fd, fd] });
    space.set(at, 0x35, 2);
    expect(space.get(at, 2)).toBe(0x125);
    // The user's address is the host's copy: the device signals where the host says.
    space.set(at + 2, 0x1234_5678);
    expect(space.get(at + 2)).toBe(0x1234_5678);
    b.end();
  });

  test("MSI-X: only read; enabling is a call", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const space = config(device);
    const at = capability(device, CapabilityId.msix) + 2;
    space.set(at, 0xc000, 2);
    expect(space.get(at, 2)).toBe(3);
    device.setIrqs({ index: VfioPciIrq.MSIX, action: "trigger", eventFds: [-1] });
    expect(space.get(at, 2)).toBe(0x8003);
    b.end();
  });

  test("the power state is changed for the user; in D3 memory is EIO", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const space = config(device);
    const control = capability(device, CapabilityId.powerManagement) + 4;
    space.set(control, 3, 2);
    expect(space.get(control, 2) & 3).toBe(3);
    expect(() => registers(device, VfioPciRegion.BAR0).get(0)).toThrow("EIO");
    // D1 is a state that the function does not have.
    space.set(control, 0, 2);
    space.set(control, 1, 2);
    expect(space.get(control, 2) & 3).toBe(0);
    expect(registers(device, VfioPciRegion.BAR0).get(0)).toBe(0x5241_0001);
    b.end();
  });

  test("a function-level reset through the capability resets the device, and reads 0", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const engine = registers(device, VfioPciRegion.BAR0);
    engine.set(0x34, 5);
    const control = capability(device, CapabilityId.pciExpress) + 8;
    config(device).set(control, 0xa810, 2);
    expect(engine.get(0x34)).toBe(0);
    expect(config(device).get(control, 2) & 0x8000).toBe(0);
    b.end();
  });

  test("accesses of any width and place; past the end EFAULT, and nothing of it is done", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const { fd } = device;
    const region = device.region(VfioPciRegion.CONFIG);
    const into = new Uint8Array(7);
    device.read(region, 1n, into);
    expect([...into]).toEqual([0x12, 0x61, 0x72, 2, 0, 0x10, 0]);
    expect(b.session.read(fd, 0n, 4, CONFIG_AT + 0xfffn)).toBe(-Errno.EFAULT);
    expect(b.session.read(fd, 0n, 4, CONFIG_AT + 0x1000n)).toBe(-Errno.EFAULT);
    expect(b.session.write(fd, 0n, 8, CONFIG_AT + 0xffcn)).toBe(-Errno.EFAULT);
    b.bytes.fill(0xaa, 0, 8);
    expect(b.session.read(fd, 0n, 8, CONFIG_AT + 0xffcn)).toBe(-Errno.EFAULT);
    expect(b.bytes[0]).toBe(0xaa);
    expect(b.session.read(fd, BigInt(MEMORY_BYTES - 2), 4, CONFIG_AT)).toBe(-Errno.EFAULT);
    expect(b.session.write(fd, BigInt(MEMORY_BYTES), 4, CONFIG_AT + 4n)).toBe(-Errno.EFAULT);
    b.end();
  });
});

describe("BARs", () => {
  test("registers answer; a region's end cuts, past it is EINVAL; other regions are EINVAL", () => {
    const b = vfioBench();
    const { fd } = b.bound(b.add());
    const read = (offset: bigint, lengthBytes = 8): number => b.session.read(fd, 0n, lengthBytes, offset);
    expect(read(0x0ffcn)).toBe(4);
    expect(read(0x1000n)).toBe(-Errno.EINVAL);
    expect(read(0n, 0)).toBe(0);
    for (const index of [1n, 3n, 6n, 8n, 9n, 0x7f_ffffn]) expect(read(index << 40n)).toBe(-Errno.EINVAL);
    expect(read(-1n)).toBe(-Errno.EINVAL);
    expect(b.session.write(fd, 0n, 4, 6n << 40n)).toBe(-Errno.EINVAL);
    expect(b.session.read(fd, BigInt(MEMORY_BYTES), 4, 0n)).toBe(-Errno.EFAULT);
    expect(b.session.write(fd, BigInt(MEMORY_BYTES), 4, 0n)).toBe(-Errno.EFAULT);
    b.end();
  });

  test("without an offset the file's own position counts", () => {
    const b = vfioBench();
    const { fd } = b.bound(b.add());
    expect(b.session.read(fd, 0n, 8)).toBe(8);
    expect(b.session.read(fd, 8n, 8)).toBe(8);
    const at = (offset: number): number => new DataView(b.bytes.buffer).getUint32(offset, true);
    expect([at(0), at(4)]).toEqual([0x5241_0001, 0xe000]);
    // An error does not move it.
    expect(b.session.read(fd, BigInt(MEMORY_BYTES), 8)).toBe(-Errno.EFAULT);
    expect(b.session.read(fd, 0n, 0xff0)).toBe(0xff0);
    expect(b.session.read(fd, 0n, 8)).toBe(-Errno.EINVAL);
    b.end();
  });

  test("memory decoding off: EIO; the MSI-X table reads ones and drops writes", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const memory = registers(device, VfioPciRegion.BAR2);
    memory.set(0xf000, 0);
    expect([memory.get(0xf000), memory.get(0xf03c)]).toEqual([0xffff_ffff, 0xffff_ffff]);
    expect(memory.get(0xf040)).toBe(0);
    config(device).set(4, 0, 2);
    expect(() => memory.get(0)).toThrow("EIO");
    expect(b.session.write(device.fd, 0n, 4, BAR2_AT)).toBe(-Errno.EIO);
    b.end();
  });

  test("what a register file does not take reads ones", () => {
    const b = vfioBench();
    expect(registers(b.bound(b.add()), VfioPciRegion.BAR0).get(1, 1)).toBe(0xff);
    b.end();
  });

  test("a mapping shares its bytes with the device, and keeps it open", () => {
    const b = vfioBench();
    const node = b.add();
    const device = b.bound(node);
    const region = device.region(VfioPciRegion.BAR2);
    const mapping = device.map(region, 0x2000n, 0x1000);
    mapping.bytes[4] = 0x42;
    expect(registers(device, VfioPciRegion.BAR2).get(0x2004, 1)).toBe(0x42);
    device.close();
    expect(node.isOpen).toBe(true);
    mapping.release();
    mapping.release();
    expect(node.isOpen).toBe(false);
    b.end();
  });

  test("only what is said to be mappable can be mapped, and shared", () => {
    const b = vfioBench();
    const { fd } = b.bound(b.add());
    const map = (offset: bigint, lengthBytes: number, shared = true): unknown =>
      b.session.mmap(fd, { offset, lengthBytes, protection: 3, shared });
    expect(map(BAR2_AT + 0x1000n, 0x1000, false)).toBe(-Errno.EINVAL);
    expect(map(BAR2_AT + 0x1800n, 0x1000)).toBe(-Errno.EINVAL);
    expect(map(BAR2_AT + 0x1000n, 0)).toBe(-Errno.EINVAL);
    expect(map(BAR2_AT, 0x1000)).toBe(-Errno.EINVAL);
    expect(map(BAR2_AT + 0xe000n, 0x2000)).toBe(-Errno.EINVAL);
    expect(map(BAR2_AT + 0xf000n, 0x1001)).toBe(-Errno.EINVAL);
    expect(map(0n, 0x1000)).toBe(-Errno.EINVAL);
    expect(map(CONFIG_AT, 0x1000)).toBe(-Errno.EINVAL);
    expect(map(9n << 40n, 0x1000)).toBe(-Errno.EINVAL);
    b.end();
  });
});

describe("closing", () => {
  test("the next user finds a device that was reset, with its registers back in place", () => {
    const b = vfioBench();
    const node = b.add();
    const first = b.bound(node);
    const bars = [0x10, 0x18, 0x1c].map((at) => config(first).get(at));
    first.attach(b.iommufd.ioasAlloc());
    config(first).set(4, 0x406, 2);
    config(first).set(0x10, 0);
    registers(first, VfioPciRegion.BAR0).set(0x34, 9);
    const { fd } = b.eventFd();
    first.setIrqs({ index: VfioPciIrq.MSIX, action: "trigger", eventFds: [fd] });
    first.close();
    const second = b.bound(node);
    // The first user's interrupt disable is not the second's.
    const { fd: line, event } = b.eventFd();
    second.setIrqs({ index: VfioPciIrq.INTX, action: "trigger", eventFds: [line] });
    registers(second, VfioPciRegion.BAR0).set(0x14, 7);
    registers(second, VfioPciRegion.BAR2).set(0, 1);
    expect(event.take()).toBe(1n);
    expect(registers(second, VfioPciRegion.BAR0).get(0x34)).toBe(0);
    expect(config(second).get(4, 2)).toBe(2);
    expect([0x10, 0x18, 0x1c].map((at) => config(second).get(at))).toEqual(bars);
    expect(config(second).get(capability(second, CapabilityId.msix) + 2, 2)).toBe(3);
    b.end();
  });

  test("a device that was closed moves nothing any more", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const ioasId = b.iommufd.ioasAlloc();
    device.attach(ioasId);
    b.iommufd.map(0n, { ioasId, lengthBytes: 0x1000n, iova: 0n });
    config(device).set(4, 6, 2);
    const engine = registers(device, VfioPciRegion.BAR0);
    for (const [at, value] of [
      [0x08, 1],
      [0x30, 16],
      [0x34, 0x4141_4141],
      [0x38, 0xffff_ffff],
      [0x48, 2],
    ] as const) {
      engine.set(at, value);
    }
    device.close();
    b.timers.advanceByNs(1e6);
    expect(b.bytes[0]).toBe(0);
    expect(b.vfio.faults).toEqual([]);
    b.end();
  });
});
