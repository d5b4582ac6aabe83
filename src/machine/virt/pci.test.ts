import { describe, expect, test } from "vitest";
import { MemoryNode } from "../../block/index.ts";
import { PciBench } from "../testing/pci-bench.ts";

const EDU = 0x11e8_1234;
const ENGINE = 0x7261_1234;
const PORT = 0x000c_1b36;
const NOBODY = 0xffff_ffff;

const edu = (properties = {}, id?: string) => ({ driver: "edu", properties, ...(id === undefined ? {} : { id }) });
const port = (id: string, properties = {}) => ({ driver: "pcie-root-port", id, properties });

describe("PCI devices of -device", () => {
  test("take the first free slot behind the host bridge, or the one they ask for", () => {
    const bench = new PciBench([
      edu(),
      edu({ addr: "0x5" }),
      { driver: "dma-engine", properties: { bus: "pcie.0", addr: "1f.0" } },
      edu(),
    ]);
    expect([1, 2, 3, 5, 31].map((slot) => bench.read(bench.ecam(0, slot)))).toEqual([EDU, EDU, NOBODY, EDU, ENGINE]);
  });

  test("share a slot where function 0 says so", () => {
    const bench = new PciBench([edu({ addr: "3.0", multifunction: "on" }), edu({ addr: "3.7" })]);
    expect(bench.read(bench.ecam(0, 3, 7))).toBe(EDU);
    expect(bench.read(bench.ecam(0, 3) + 0xe, 1)).toBe(0x80);
    expect(bench.read(bench.ecam(0, 3, 7) + 0xe, 1)).toBe(0);
  });

  test.each([
    [[edu({ addr: "20" })], "Parameter 'addr' expects SLOT"],
    [[edu({ addr: "0" })], 'PCI: slot 0 function 0 of "pcie.0" is in use by "gpex-root"'],
    [[edu({ addr: "3" }), edu({ addr: "3.1" })], "03.0 is a single function; multifunction=on"],
    [[edu({ addr: "3.1" }), edu({ addr: "3" })], "03.0 has other functions already"],
    [[edu({ bus: "pci.1" })], 'There is no bus "pci.1" for it; pcie.0 would do'],
    [[port("rp0"), edu({ bus: "rp0", addr: "1" })], 'the bus "rp0" has slot 0 only'],
    [[port("a"), port("b")], "chassis 0 has slot 0 already"],
    [[edu({ romfile: "x.rom" })], "'romfile' is not supported"],
    [[edu({ speed: "1" })], "Property 'edu.speed' not found"],
    [[edu({}, "x"), edu({}, "x")], 'Id "x" of "edu" is used by another device'],
  ])("are refused where that cannot be: %j", (devices, message) => {
    expect(() => new PciBench(devices)).toThrow(message);
  });

  test("interrupt through the platform's sources, and move their registers", () => {
    const bench = new PciBench([edu({ addr: "2" })]);
    const at = bench.ecam(0, 2);
    bench.write(at + 0x10, 0x4020_0000);
    bench.write(at + 4, 6, 2);
    expect(bench.read(0x4020_0000)).toBe(0x0100_00ed);
    bench.write(0xc00_0000 + 4 * 34, 1);
    bench.write(0x4020_0060, 1);
    // The PLIC's pending bits of sources 32 to 63: INTA of slot 2 is 34.
    expect(bench.read(0xc00_1004)).toBe(1 << 2);
  });

  test("send messages into the address space, which an IMSIC takes", () => {
    const bench = new PciBench([edu({ addr: "1" })], { boardOptions: { aia: "aplic-imsic" } });
    const at = bench.ecam(0, 1);
    bench.write(at + 0x10, 0x4000_0000);
    bench.write(at + 4, 6, 2);
    const msi = bench.read(at + 0x34, 1);
    bench.write(at + msi + 4, 0x8010_0000);
    bench.write(at + msi + 12, 0x55, 2);
    bench.write(at + msi + 2, 1, 2);
    bench.write(0x4000_0060, 1);
    expect(bench.read(0x8010_0000)).toBe(0x55);
    expect(bench.guestErrors).toEqual([]);
    bench.write(at + msi + 4, 0x2800_0000);
    bench.write(0x4000_0060, 1);
    expect(bench.guestErrors).toEqual([]);
    bench.write(at + msi + 4, 0x1_0000);
    bench.write(0x4000_0060, 1);
    expect(bench.guestErrors).toEqual([expect.stringContaining("nobody takes messages at 0x10000")]);
  });

  test("go back to nothing at a reset of the machine", () => {
    const bench = new PciBench([edu({ addr: "2" })]);
    const at = bench.ecam(0, 2);
    bench.write(at + 0x10, 0x4020_0000);
    bench.write(at + 4, 6, 2);
    bench.machine.reset();
    expect(bench.read(0x4020_0000)).toBe(NOBODY);
    expect(bench.read(at + 4, 2)).toBe(0);
  });
});

describe("NVMe", () => {
  const disk = (nodeName: string) => new MemoryNode({ nodeName, content: 0x10_0000 });
  const nvme = (properties: Record<string, string>, id?: string) => ({
    ...{ driver: "nvme", properties: { serial: "s", ...properties } },
    ...(id === undefined ? {} : { id }),
  });
  const namespace = (properties: Record<string, string>) => ({ driver: "nvme-ns", properties });

  test("has its disk as namespace 1, or namespaces that are plugged into it", () => {
    const blockNodes = ["d0", "d1", "d2"].map(disk);
    const devices = [
      nvme({ drive: "d0" }),
      nvme({}, "n1"),
      namespace({ drive: "d1", bus: "n1", nsid: "5" }),
      namespace({ drive: "d2", bus: "n1" }),
    ];
    const bench = new PciBench(devices, { blockNodes });
    expect(bench.read(bench.ecam(0, 1))).toBe(0x0010_1b36);
    expect([...bench.machine.saveables.keys()]).toContain("pcie.0/02.0/nvme");
  });

  test.each([
    [[nvme({ serial: "" })], "serial property not set"],
    [[nvme({ drive: "none" })], 'There is no block node "none"'],
    [[nvme({ drive: "d0" }), nvme({ drive: "d0" })], "is in use by"],
    [[nvme({ logical_block_size: "1024" })], "512 or 4096 would do"],
    [[nvme({ cmb_size_mb: "4" })], "Property 'nvme.cmb_size_mb' not found"],
    [[namespace({ drive: "d0" })], "There is no NVMe controller"],
    [
      [nvme({ drive: "d0" }, "n"), namespace({ drive: "d1", bus: "n", nsid: "1" })],
      "namespace id '1' already allocated",
    ],
  ])("refuses what cannot be: %j", (devices, message) => {
    expect(() => new PciBench(devices, { blockNodes: ["d0", "d1"].map(disk) })).toThrow(message);
  });
});

/** Gives the root port in slot 1 bus number 1; where its PCI Express capability is. */
function openPort(bench: PciBench): number {
  const at = bench.ecam(0, 1);
  bench.write(at + 0x18, 0x0001_0100);
  let capability = bench.read(at + 0x34, 1);
  while (bench.read(at + capability, 1) !== 0x10) capability = bench.read(at + capability + 1, 1);
  return at + capability;
}

describe("hot plug through a root port", () => {
  test("brings a device, and takes it out when the guest lets it go", () => {
    const bench = new PciBench([port("rp0")]);
    const removed: string[] = [];
    bench.machine.observe({ deviceRemoved: (id) => void removed.push(id) });
    const express = openPort(bench);
    expect(bench.read(bench.ecam(1, 0))).toBe(NOBODY);
    bench.machine.addDevice(edu({ bus: "rp0" }, "e0"));
    expect(bench.read(express + 26, 2)).toBe(0x49);
    expect(bench.read(bench.ecam(1, 0))).toBe(EDU);
    expect(bench.machine.saveables.has("rp0/00.0/edu")).toBe(true);
    bench.write(express + 24, 0x1c0, 2);

    bench.machine.removeDevice("e0");
    expect(() => bench.machine.removeDevice("e0")).toThrow("already in the process of unplug");
    expect(removed).toEqual([]);
    bench.write(express + 24, 0x7c0, 2);
    expect(removed).toEqual(["e0"]);
    expect(bench.read(bench.ecam(1, 0))).toBe(NOBODY);
    expect([...bench.machine.saveables.keys()].filter((name) => name.startsWith("rp0"))).toEqual([]);
    bench.machine.addDevice(edu({ bus: "rp0" }, "e0"));
    expect(bench.read(bench.ecam(1, 0))).toBe(EDU);
  });

  test.each(["nvme", "virtio-blk-pci"])("gives the disk of %s back when it is taken out", (driver) => {
    const disk = new MemoryNode({ nodeName: "d0", content: 0x1000 });
    const bench = new PciBench([port("rp0")], { blockNodes: [disk] });
    const express = openPort(bench);
    const serial = driver === "nvme" ? { serial: "s" } : {};
    const device = { driver, id: "disk", properties: { bus: "rp0", drive: "d0", ...serial } };
    const names = [...bench.machine.saveables.keys()];
    for (let i = 0; i < 2; i++) {
      bench.machine.addDevice(device);
      expect(bench.machine.saveables.size).toBeGreaterThan(names.length);
      bench.write(express + 24, 0x1c0, 2);
      bench.machine.removeDevice("disk");
      bench.write(express + 24, 0x7c0, 2);
      expect([...bench.machine.saveables.keys()]).toEqual(names);
    }
  });

  test("needs a root port that takes part, and a free slot", () => {
    const bench = new PciBench([port("rp0"), port("rp1", { slot: "1", hotplug: "off" }), edu({}, "fixed")]);
    expect(() => bench.machine.addDevice(edu())).toThrow('Bus "pcie.0" does not support hotplugging');
    expect(() => bench.machine.addDevice(edu({ bus: "rp1" }))).toThrow('Bus "rp1" does not support hotplugging');
    expect(() => bench.machine.removeDevice("fixed")).toThrow('Bus "pcie.0" does not support hotplugging');
    expect(() => bench.machine.removeDevice("nobody")).toThrow('There is no device "nobody"');
    bench.machine.addDevice(edu({ bus: "rp0" }));
    expect(() => bench.machine.addDevice(edu({ bus: "rp0" }))).toThrow('No slot is left on bus "rp0"');
    expect(() => bench.machine.addDevice({ driver: "virtio-rng-device", properties: {} })).toThrow(
      "There is no device",
    );
    expect(bench.read(bench.ecam(0, 1))).toBe(PORT);
  });
});
