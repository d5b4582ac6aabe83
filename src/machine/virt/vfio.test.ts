import { describe, expect, test } from "vitest";
import { readHostDescription } from "../../iommufd/index.ts";
import { builtInKinds } from "../../vfiohost/index.ts";
import { decodeState, encodeState, type Saveable } from "../../state/index.ts";
import type { VirtualMachine } from "../machine.ts";
import type { IommufdConfig } from "../port.ts";
import { PciBench } from "../testing/pci-bench.ts";

const ENGINE = "0000:01:00.0";
const RAM = 0x8000_0000;

function hostOf(text: object): IommufdConfig {
  return { id: "iommufd0", host: readHostDescription(JSON.stringify(text), builtInKinds), policy: "mixed" };
}

const trackingHost = hostOf({
  units: [{ id: "u0", profile: "vtd-ssads" }],
  devices: [{ bdf: ENGINE, kind: "dma-engine", unit: "u0", group: 1 }],
});

const assigned = (properties = {}) => ({
  driver: "vfio-pci",
  properties: { host: ENGINE, iommufd: "iommufd0", addr: "2", ...properties },
});

/** The engine of slot 2, with its registers at 0x40000000 and bus mastering on. */
function start(options: { aia?: string } = {}) {
  const bench = new PciBench([assigned()], {
    iommufds: [trackingHost],
    ...(options.aia !== undefined && { boardOptions: { aia: options.aia } }),
  });
  const at = bench.ecam(0, 2);
  bench.write(at + 0x10, 0x4000_0000);
  bench.write(at + 0x18, 0x4010_0000);
  bench.write(at + 4, 6, 2);
  return { bench, at };
}

const regs = 0x4000_0000;

/** The part of a machine with one assigned device that its guest sees of it. */
function functionOf(parts: VirtualMachine["movable"]["parts"]): Saveable {
  return [...parts.values()].find(({ stateDescription }) => stateDescription.name === "vfio-pci-function")!;
}

/** Fills `length` bytes at `to` with the engine's pattern. */
function fill(bench: PciBench, to: number, length: number, pattern: number): void {
  bench.write(regs + 0x08, 1);
  bench.write(regs + 0x28, to >>> 0);
  bench.write(regs + 0x30, length);
  bench.write(regs + 0x34, pattern);
  bench.write(regs + 0x14, 3);
  bench.write(regs + 0x48, 2);
  bench.runTimers();
}

describe("an assigned device", () => {
  test("is found, sized and moved by the guest", () => {
    const bench = new PciBench([assigned()], { iommufds: [trackingHost] });
    const at = bench.ecam(0, 2);
    expect(bench.read(at)).toBe(0x7261_1234);
    bench.write(at + 0x10, 0xffff_ffff);
    expect(bench.read(at + 0x10)).toBe(0xffff_f000);
    bench.write(at + 0x10, 0x4567_8000);
    expect(bench.read(at + 0x10)).toBe(0x4567_8000);
    bench.write(at + 4, 2, 2);
    expect(bench.read(0x4567_8000)).toBe(0x5241_0001);
    bench.write(at + 4, 0, 2);
    expect(bench.read(0x4567_8000)).toBe(0xffff_ffff);
  });

  test("reads and writes guest memory through its page table", () => {
    const { bench } = start();
    fill(bench, RAM + 0x10_0000, 0x2000, 0x1234_5678);
    expect(bench.read(regs + 0x0c)).toBe(0);
    expect(bench.read(RAM + 0x10_1ffc)).toBe(0x1234_5678);
    fill(bench, 0x1000_0000, 4, 1);
    expect(bench.read(regs + 0x0c)).toBe(2);
    expect(bench.machine.assignments).toEqual([
      {
        device: ENGINE,
        iommufd: "iommufd0",
        pageTable: { id: expect.any(Number), hasDirtyBits: true },
        isMediated: false,
        tracker: "iommu",
        because: "the dirty bits of its page table: the device cannot log what it writes",
      },
    ]);
  });

  test("tells open epochs of what it wrote, by its page table", () => {
    const { bench } = start();
    const { notes } = bench.world;
    const epoch = notes.openEpoch("test");
    epoch.read();
    fill(bench, RAM + 0x10_0000, 0x2000, 7);
    const round = epoch.read();
    const first = (bench.world.blocks.find((block) => block.name === "virt.ram")!.offset + 0x10_0000) / 4096;
    expect([first - 1, first, first + 1, first + 2].map((page) => round.pages.has(page))).toEqual([
      false,
      true,
      true,
      false,
    ]);
    epoch.close();
  });

  test("interrupts by its line, which falls when the guest has acknowledged", () => {
    const { bench } = start();
    const pending = (): number => bench.read(0xc00_1004) & (1 << 2);
    bench.write(0xc00_0000 + 4 * 34, 1);
    fill(bench, RAM + 0x1000, 16, 1);
    expect(pending()).not.toBe(0);
    bench.write(regs + 0x10, 3);
    // Claimed and completed, the source is silent.
    bench.write(0xc00_2000 + 4, 1 << 2);
    expect(bench.read(0xc20_0004)).toBe(34);
    bench.write(0xc20_0004, 34);
    expect(pending()).toBe(0);
  });

  test("sends MSI-X messages to where the guest's table says", () => {
    const { bench, at } = start({ aia: "aplic-imsic" });
    let msix = bench.read(at + 0x34, 1);
    while (bench.read(at + msix, 1) !== 0x11) msix = bench.read(at + msix + 1, 1);
    const table = 0x4010_0000 + (bench.read(at + msix + 4) & ~7);
    expect(bench.read(table + 12)).toBe(1);
    bench.write(table, RAM + 0x2000);
    bench.write(table + 8, 0x77);
    bench.write(at + msix + 2, 0x8000, 2);
    fill(bench, RAM + 0x1000, 16, 1);
    expect(bench.read(RAM + 0x2000)).toBe(0);
    const pending = 0x4010_0000 + (bench.read(at + msix + 8) & ~7);
    expect(bench.read(pending) & 1).toBe(1);
    bench.write(table + 12, 0);
    expect(bench.read(RAM + 0x2000)).toBe(0x77);
    // A vector that is open when it fires arrives at once.
    bench.write(RAM + 0x2000, 0);
    bench.write(regs + 0x10, 3);
    fill(bench, RAM + 0x1000, 16, 1);
    expect(bench.read(RAM + 0x2000)).toBe(0x77);
  });

  test("is as after power-on when the machine was reset", () => {
    const { bench, at } = start();
    fill(bench, RAM + 0x1000, 16, 1);
    bench.machine.reset();
    expect(bench.read(at + 4, 2) & 7).toBe(0);
    expect(bench.read(at + 0x10)).toBe(0);
    bench.write(at + 0x10, 0x4000_0000);
    bench.write(at + 4, 6, 2);
    expect(bench.read(regs + 0x10)).toBe(0);
    fill(bench, RAM + 0x1000, 16, 0x99);
    expect(bench.read(RAM + 0x1000)).toBe(0x99);
  });

  test("has after a move what its guest wrote to registers of the host, power state included", () => {
    const { bench, at } = start();
    const capability = (id: number): number => {
      let found = bench.read(at + 0x34, 1);
      while (bench.read(at + found, 1) !== id) found = bench.read(at + found + 1, 1);
      return at + found;
    };
    const [express, power] = [capability(0x10), capability(0x01)];
    const target = start().bench;
    bench.write(at + 0x3c, 0x0b, 1);
    // Relaxed ordering off, payloads of 256 bytes, reads of 1024.
    bench.write(express + 8, 0x3820, 2);
    bench.write(power + 4, 3, 2);
    expect([target.read(at + 0x3c, 1), target.read(power + 4, 2) & 3]).toEqual([0, 0]);
    const [from, into] = [bench, target].map(({ machine }) => functionOf(machine.movable.parts));
    into!.loadState(decodeState(into!.stateDescription, encodeState(from!)) as never);
    expect(target.read(at + 0x3c, 1)).toBe(0x0b);
    expect(target.read(express + 8, 2)).toBe(bench.read(express + 8, 2));
    expect(target.read(express + 8, 2) & 0x7000).toBe(0x3000);
    expect(target.read(power + 4, 2) & 3).toBe(3);
    for (let register = 0; register < 0x100; register += 4) {
      expect([register, target.read(at + register)]).toEqual([register, bench.read(at + register)]);
    }
  });

  test("does not reach past the guest's memory, and the guest sees a fault of the device", () => {
    const { bench } = start();
    fill(bench, RAM - 0x1000, 0x2000, 1);
    expect(bench.read(regs + 0x58)).toBe(0x101);
  });
});

describe("an assigned device is refused", () => {
  const make = (properties: object, iommufds = [trackingHost]): PciBench =>
    new PciBench([{ driver: "vfio-pci", properties: { addr: "2", ...properties } }], { iommufds });

  test.each([
    [{}, "vfio-pci takes either host=ADDRESS or sysfsdev=PATH"],
    [{ host: ENGINE }, "vfio-pci needs iommufd=ID, and -object iommufd"],
    [{ host: ENGINE, iommufd: "other" }, 'There is no iommufd object "other" for "vfio-pci"; known are iommufd0'],
    [{ host: "02:00.0", iommufd: "iommufd0" }, `has no device 0000:02:00.0; ${ENGINE} would do`],
    [
      { host: ENGINE, iommufd: "iommufd0", "enable-migration": "on" },
      `${ENGINE}: VFIO migration is not supported in kernel: the device has no migration`,
    ],
    [{ host: ENGINE, iommufd: "iommufd0", fd: 3 }, "Property 'vfio-pci.fd' is not supported"],
  ])("%j", (properties, message) => {
    expect(() => make(properties)).toThrow(message);
  });

  test("the second time", () => {
    const devices = [assigned(), assigned({ addr: "3" })];
    expect(() => new PciBench(devices, { iommufds: [trackingHost] })).toThrow(
      `Device ${ENGINE} cannot be attached: this machine has it already (VFIO_DEVICE_BIND_IOMMUFD: EINVAL)`,
    );
  });

  test("when it must migrate beside a device of another object that cannot fall silent with it", () => {
    const host = (id: string, migration: readonly string[]): IommufdConfig => ({
      ...hostOf({
        units: [{ id: "u0", profile: "vtd-ssads" }],
        devices: [{ bdf: ENGINE, kind: "dma-engine", unit: "u0", group: 1, migration }],
      }),
      id,
    });
    const devices = [
      { driver: "vfio-pci", properties: { host: ENGINE, iommufd: "f0", addr: "2" } },
      { driver: "vfio-pci", properties: { host: ENGINE, iommufd: "f1", addr: "3", "enable-migration": "on" } },
    ];
    const iommufds = [host("f0", ["stop-copy"]), host("f1", ["stop-copy", "p2p"])];
    expect(() => new PciBench(devices, { iommufds })).toThrow(
      "Multiple VFIO devices migration is supported only if all of them support P2P migration: 0000:01:00.0 has no P2P state",
    );
  });

  test("when its unit reserves what the guest has for memory", () => {
    const host = hostOf({
      units: [
        {
          id: "u0",
          profile: "vtd",
          reserved: [{ start: "0x80000000", last: "0x80000fff", kind: "reserved" }],
        },
      ],
      devices: [{ bdf: ENGINE, kind: "dma-engine", unit: "u0", group: 1 }],
    });
    expect(() => make({ host: ENGINE, iommufd: "iommufd0" }, [host])).toThrow(
      /^Device 0000:01:00.0 cannot see the guest's memory: .* \(virt.ram at 0x80000000, .* \(IOMMU_IOAS_MAP: EINVAL\)/,
    );
  });
});
