// Devices of other kinds: what a function's capabilities make of GET_INFO and of regions, and what a model must not do.
import { expect, test } from "vitest";
import { PciFunction, type PciDevice, type PciFunctionOptions } from "../device/pci/index.ts";
import { DmaStatus } from "../device/port.ts";
import type { Iova } from "../base/index.ts";
import { describeState, field, u8 } from "../state/index.ts";
import {
  Errno,
  VfioDeviceFlag,
  VfioDeviceInfo,
  VfioDeviceInfoCapPciAtomicComp,
  VfioDeviceState,
  VfioPciIrq,
  VfioPciRegion,
} from "../iommufd/index.ts";
import type { DeviceKind } from "./kinds.ts";
import { config, RAW_AT, vfioBench, type VfioBench } from "./test-bench.ts";

/** A function with nothing behind it. */
function bareKind(options: Partial<PciFunctionOptions>, made: (device: PciDevice) => void = () => {}): DeviceKind {
  return {
    name: "bare",
    description: "for tests",
    bus: "pci",
    migration: ["stop-copy", "p2p"],
    dmaLog: false,
    properties: {},
    make({ description, ports }) {
      const pci = new PciFunction({
        name: description.name,
        identity: { vendorId: 0x1234, deviceId: 1, classCode: 0xff_00_00 },
        bars: [],
        powerManagement: true,
        ports,
        onReset: () => {},
        ...options,
      });
      const device: PciDevice = {
        typeName: "bare",
        pci,
        stateDescription: describeState("bare", 1, [field("nothing", u8)]),
        saveState: () => ({ nothing: 0 }),
        loadState: () => {},
        reset: () => pci.reset(),
        setActivity: () => {},
      };
      made(device);
      return device;
    },
  };
}

function bench(options: Partial<PciFunctionOptions>, made?: (device: PciDevice) => void): VfioBench {
  return vfioBench({ kinds: [bareKind(options, made)] });
}

test("atomic operations that a function completes are a capability of GET_INFO", () => {
  const b = bench({ express: "endpoint" }, ({ pci }) => {
    // 32 and 64 bits: PCI Express 5.0 §7.5.3.15.
    pci.config.registers.find((r) => r.name === "express.deviceCapabilities2")!.setFixed(0x180);
  });
  const device = b.bound(b.add({ kind: "bare" }));
  const small = b.raw(device.fd, "getInfo", VfioDeviceInfo, { argsz: 24 }).reply;
  expect([small.argsz, small.cap_offset]).toEqual([40, 0]);
  const full = b.raw(device.fd, "getInfo", VfioDeviceInfo, { argsz: 40 }).reply;
  expect([full.cap_offset, full.flags & VfioDeviceFlag.CAPS]).toEqual([24, VfioDeviceFlag.CAPS]);
  expect(VfioDeviceInfoCapPciAtomicComp.decode(b.bytes, RAW_AT + 24)).toMatchObject({ id: 5, version: 1, flags: 3 });
  expect(device.info().atomicCompletion).toBe(3);
  b.end();
});

test("a conventional function without pin, messages or BARs has none of what it lacks", () => {
  const b = bench({});
  const device = b.bound(b.add({ kind: "bare" }));
  expect([0, 1, 2, 4].map((index) => device.irq(index).count)).toEqual([0, 0, 0, 1]);
  expect(() => device.irq(VfioPciIrq.ERR)).toThrow("EINVAL");
  for (const index of [VfioPciIrq.INTX, VfioPciIrq.MSI, VfioPciIrq.MSIX, VfioPciIrq.ERR]) {
    expect(() => device.setIrqs({ index, action: "trigger", eventFds: [-1] })).toThrow("EINVAL");
  }
  expect(device.region(VfioPciRegion.CONFIG).lengthBytes).toBe(256n);
  expect(device.region(VfioPciRegion.BAR0).lengthBytes).toBe(0n);
  expect(b.session.read(device.fd, 0n, 4, (7n << 40n) + 256n)).toBe(-Errno.EFAULT);
  b.end();
});

test("capabilities that the kernel hides are taken out of the list; a vendor's own can be written", () => {
  const b = bench({}, ({ pci }) => {
    pci.config.define("hidden", pci.addCapability("hidden", 0x0d, 8), { body: { at: 4, widthBytes: 4 } });
    // It says that it has no bytes.
    pci.config.define("none", pci.addCapability("none", 0x09, 4), { length: { at: 2, widthBytes: 1 } });
    const at = pci.addCapability("vendor", 0x09, 8);
    pci.config.define("vendor", at, {
      length: { at: 2, widthBytes: 1, reset: 8 },
      scratch: { at: 4, widthBytes: 4, writable: 0xffff_ffff },
    });
  });
  const space = config(b.bound(b.add({ kind: "bare" })));
  const ids: number[] = [];
  let vendorAt = 0;
  for (let at = space.get(0x34, 1); at !== 0; at = space.get(at + 1, 1)) {
    ids.push(space.get(at, 1));
    if (ids.at(-1) === 9) vendorAt = at;
  }
  expect(ids).toEqual([1, 9]);
  space.set(vendorAt + 4, 0x1234_5678);
  expect(space.get(vendorAt + 4)).toBe(0x1234_5678);
  b.end();
});

test("events of power management are the host's, and reads never get smaller than payloads", () => {
  const made: PciFunction[] = [];
  const b = bench({ express: "endpoint" }, ({ pci }) => {
    pci.config.registers.find((r) => r.name === "pm.capabilities")!.setFixed(0xfe03);
    made.push(pci);
  });
  const space = config(b.bound(b.add({ kind: "bare" })));
  const find = (id: number): number => {
    let at = space.get(0x34, 1);
    while (space.get(at, 1) !== id) at = space.get(at + 1, 1);
    return at;
  };
  expect(space.get(find(0x01) + 2, 2)).toBe(0x0603);
  const control = find(0x10) + 8;
  const physical = (): number => made[0]!.config.read(control, 2) & 0x70e0;
  // The host set payloads of 512 bytes up; the user asks for reads of 128, then of 4096.
  made[0]!.config.write(control, 2, 0x2850);
  space.set(control, 0x0810, 2);
  expect([physical(), space.get(control, 2)]).toEqual([0x2040, 0x0810]);
  space.set(control, 0x5810, 2);
  expect(physical()).toBe(0x5040);
  b.end();
});

test("a model that begins DMA though it was told to be quiet is a mistake of ours", () => {
  const made: PciDevice[] = [];
  const b = bench({}, (device) => made.push(device));
  const device = b.bound(b.add({ kind: "bare", migration: ["stop-copy", "p2p"] }));
  config(device).set(4, 4, 2);
  const read = (): number => made[0]!.pci.dma.read(0n as Iova, new Uint8Array(4));
  expect(read()).toBe(DmaStatus.decodeError);
  device.setDeviceState(VfioDeviceState.RUNNING_P2P);
  expect(read).toThrow("a device that was told to be quiet begins no DMA");
  b.end();
});
