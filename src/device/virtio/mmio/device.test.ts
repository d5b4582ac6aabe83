import { describe, expect, test } from "vitest";
import { VirtioError } from "../errors.ts";
import { Status } from "../spec.ts";
import { EchoDevice } from "../test-device.ts";
import { TestGuest, type DriverQueue } from "../test-guest.ts";
import { Register } from "./spec.ts";

function echoGuest() {
  const guest = new TestGuest();
  const device = new EchoDevice(guest.context);
  guest.plug(device);
  return { guest, device };
}

describe("an empty slot", () => {
  test("shows magic, version 2, QEMU's vendor and device 0", () => {
    const guest = new TestGuest();
    expect(guest.read(Register.magicValue)).toBe(0x74726976);
    expect(guest.read(Register.version)).toBe(2);
    expect(guest.read(Register.vendorId)).toBe(0x554d4551);
    expect(guest.read(Register.deviceId)).toBe(0);
  });

  test("reads zero elsewhere and ignores writes", () => {
    const guest = new TestGuest();
    guest.write(Register.status, 1);
    guest.write(0x100, 1);
    expect(guest.status).toBe(0);
    expect(guest.read(0x100)).toBe(0);
  });

  test("takes one device", () => {
    const { guest } = echoGuest();
    expect(() => guest.plug(new EchoDevice(guest.context))).toThrow(VirtioError);
  });
});

describe("features", () => {
  test("are offered in two words: the type's, then the rings' and VERSION_1", () => {
    const { guest } = echoGuest();
    guest.write(Register.deviceFeaturesSel, 0);
    expect(guest.read(Register.deviceFeatures)).toBe(0x3000_0005);
    guest.write(Register.deviceFeaturesSel, 1);
    expect(guest.read(Register.deviceFeatures)).toBe(1);
    guest.write(Register.deviceFeaturesSel, 2);
    expect(guest.read(Register.deviceFeatures)).toBe(0);
  });

  test("ring features can be left out by the operator", () => {
    const guest = new TestGuest();
    guest.plug(new EchoDevice(guest.context, { indirectDescriptors: false, eventIdx: false }));
    guest.write(Register.deviceFeaturesSel, 0);
    expect(guest.read(Register.deviceFeatures)).toBe(5);
  });

  test("a subset is accepted", () => {
    const { guest } = echoGuest();
    guest.negotiate({ without: [0, 28, 29] });
    expect(guest.status & Status.featuresOk).toBe(Status.featuresOk);
  });

  test.each([
    ["one that was not offered", 0, 0x3000_0007],
    ["one that exists nowhere", 2, 1],
  ])("FEATURES_OK does not hold with %s", (_name, word, bits) => {
    const { guest } = echoGuest();
    guest.write(Register.driverFeaturesSel, 1);
    guest.write(Register.driverFeatures, 1);
    guest.write(Register.driverFeaturesSel, word);
    guest.write(Register.driverFeatures, bits);
    guest.write(Register.status, 0x0b);
    expect(guest.status).toBe(0x03);
  });

  test("FEATURES_OK does not hold without VERSION_1", () => {
    const { guest } = echoGuest();
    guest.negotiate({ without: [32] });
    expect(guest.status).toBe(0x03);
  });

  test("cannot be changed after FEATURES_OK", () => {
    const { guest, device } = echoGuest();
    guest.negotiate();
    guest.write(Register.driverFeaturesSel, 0);
    guest.write(Register.driverFeatures, 0);
    guest.driverOk();
    expect(device.saveState().driverFeatures).toBe(0x1_3000_0005n);
  });
});

describe("status", () => {
  test("zero resets device, queues and interrupt", () => {
    const { guest } = echoGuest();
    const [echo] = guest.start([0]) as [DriverQueue];
    echo.add([{ read: Uint8Array.of(1) }, { write: 1 }]);
    echo.kick();
    expect(guest.irq.level).toBe(true);
    guest.write(Register.status, 0);
    expect(guest.status).toBe(0);
    expect(guest.irq.level).toBe(false);
    expect(guest.read(Register.interruptStatus)).toBe(0);
    expect(guest.read(Register.queueReady)).toBe(0);
  });

  test("a driver can neither set nor clear DEVICE_NEEDS_RESET", () => {
    const { guest } = echoGuest();
    guest.write(Register.status, 0xff);
    expect(guest.status & Status.deviceNeedsReset).toBe(0);
    const [echo] = guest.start([0]) as [DriverQueue];
    echo.offer(99);
    echo.kick();
    guest.write(Register.status, 0x0f);
    expect(guest.needsReset).toBe(true);
  });

  test("after FAILED the device uses no buffers", () => {
    const { guest } = echoGuest();
    const [echo] = guest.start([0]) as [DriverQueue];
    guest.write(Register.status, guest.status | Status.failed);
    echo.add([{ read: Uint8Array.of(1) }, { write: 1 }]);
    echo.kick();
    expect(echo.usedIdx).toBe(0);
  });

  test("DRIVER_OK without FEATURES_OK starts nothing", () => {
    const { guest } = echoGuest();
    const echo = guest.queue(0);
    guest.write(Register.status, 0x07);
    echo.add([{ read: Uint8Array.of(1) }, { write: 1 }]);
    echo.kick();
    expect(echo.usedIdx).toBe(0);
  });
});

describe("queue registers", () => {
  test("a queue that does not exist has size 0 and is never ready", () => {
    const { guest } = echoGuest();
    guest.write(Register.queueSel, 2);
    expect(guest.read(Register.queueNumMax)).toBe(0);
    guest.write(Register.queueReady, 1);
    expect(guest.read(Register.queueReady)).toBe(0);
    guest.write(Register.queueNotify, 2);
    expect(guest.needsReset).toBe(false);
  });

  test("the areas of a ready queue cannot be moved", () => {
    const { guest } = echoGuest();
    const [echo] = guest.start([0]) as [DriverQueue];
    guest.write(Register.queueDescLow, 0);
    guest.write(Register.queueNum, 2);
    echo.add([{ read: Uint8Array.of(1) }, { write: 1 }]);
    echo.kick();
    expect(echo.usedIdx).toBe(1);
  });

  test("area addresses have 64 bits", () => {
    const { guest, device } = echoGuest();
    guest.write(Register.queueDescHigh, 0x1234_5678);
    guest.write(Register.queueDescLow, 0x9abc_def0);
    expect(device.queues[0]!.descriptorArea).toBe(0x1234_5678_9abc_def0n);
  });
});

describe("interrupts", () => {
  test("stay until acknowledged, bit by bit", () => {
    const { guest, device } = echoGuest();
    const [echo] = guest.start([0]) as [DriverQueue];
    echo.add([{ read: Uint8Array.of(1) }, { write: 1 }]);
    echo.kick();
    device.changeConfig(0, 9);
    expect(guest.read(Register.interruptStatus)).toBe(3);
    guest.write(Register.interruptAck, 1);
    expect(guest.irq.level).toBe(true);
    guest.write(Register.interruptAck, 2);
    expect(guest.irq.level).toBe(false);
  });
});

describe("configuration space", () => {
  test("is read at any width, little-endian", () => {
    const { guest } = echoGuest();
    expect(guest.read(0x101, 1)).toBe(2);
    expect(guest.read(0x102, 2)).toBe(0x0403);
    expect(guest.read(0x104, 4)).toBe(0x08070605);
  });

  test("reads all ones past its end", () => {
    const { guest } = echoGuest();
    expect(guest.read(0x10c, 1)).toBe(0xff);
    expect(guest.read(0x1fc, 4)).toBe(0xffff_ffff);
  });

  test("writes reach the device with their width, and stop at the end", () => {
    const { guest, device } = echoGuest();
    guest.write(0x104, 0xbeef, 2);
    guest.write(0x10c, 1, 1);
    expect(device.configWrites).toEqual([{ offset: 4, width: 2, value: 0xbeef }]);
  });

  test("a change by the device moves the generation and interrupts", () => {
    const { guest, device } = echoGuest();
    guest.start([0]);
    const before = guest.read(Register.configGeneration);
    device.changeConfig(0, 9);
    expect(guest.read(Register.configGeneration)).not.toBe(before);
    expect(guest.read(Register.interruptStatus)).toBe(2);
  });
});

test("shared memory registers say that there is none", () => {
  const { guest } = echoGuest();
  guest.write(Register.shmSel, 0);
  for (const register of [Register.shmLenLow, Register.shmLenHigh, Register.shmBaseLow, Register.shmBaseHigh]) {
    expect(guest.read(register)).toBe(0xffff_ffff);
  }
});

test.each([1, 2] as const)("a control register accessed with %i bytes reads zero and keeps its value", (width) => {
  const { guest } = echoGuest();
  guest.write(Register.status, 3, width);
  expect(guest.read(Register.magicValue, width)).toBe(0);
  expect(guest.status).toBe(0);
});

describe("saved state", () => {
  test("a device continues in another machine where it was", () => {
    const { guest, device } = echoGuest();
    const [echo] = guest.start([0]) as [DriverQueue];
    echo.add([{ read: Uint8Array.of(1) }, { write: 1 }]);
    echo.kick();

    const other = new TestGuest();
    const copy = new EchoDevice(other.context);
    other.plug(copy);
    other.memory.bytes.set(guest.memory.bytes);
    copy.loadState(device.saveState());
    other.slot.loadState(guest.slot.saveState());
    expect(other.irq.level).toBe(true);
    expect(other.status).toBe(guest.status);

    echo.add([{ read: Uint8Array.of(1) }, { write: 1 }]);
    other.memory.bytes.set(guest.memory.bytes);
    other.write(Register.queueNotify, 0);
    expect(copy.served).toBe(2);
    expect(other.u16(echo.deviceArea + 2)).toBe(2);
    expect(copy.saveState().queues[0]!.nextAvail).toBe(2);
  });

  test("of a device with other queues or features is refused, and leaves the device reset", () => {
    const { device } = echoGuest();
    const good = device.saveState();
    expect(() => device.loadState({ ...good, queues: good.queues.slice(1) })).toThrow(VirtioError);
    expect(() => device.loadState({ ...good, status: 0x0f, driverFeatures: 2n })).toThrow(VirtioError);
    const badQueue = { ...good.queues[0]!, ready: true, size: 3 };
    expect(() => device.loadState({ ...good, queues: [badQueue, badQueue] })).toThrow(VirtioError);
    expect(device.status).toBe(0);
  });
});
