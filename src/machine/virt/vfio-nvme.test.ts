// An NVMe controller of a software host, assigned to the board, driven through its registers.
import { afterEach, describe, expect, test, vi } from "vitest";
import { MemoryNode } from "../../block/index.ts";
import { IommufdClient, readHostDescription } from "../../iommufd/index.ts";
import { builtInKinds } from "../../vfiohost/index.ts";
import { PciBench, type PciBenchOptions } from "../testing/pci-bench.ts";

const ADDRESS = "0000:03:00.0";
const REGISTERS = 0x4000_0000;
const SUBMISSION = 0x8010_0000;
const COMPLETION = 0x8010_1000;
const DATA = 0x8010_2000;

function makeBench(properties: object, profile = "vtd-ssads", more: PciBenchOptions = {}): PciBench {
  const description = {
    units: [{ id: "u0", profile }],
    devices: [{ bdf: ADDRESS, kind: "nvme", unit: "u0", group: 1, properties }],
  };
  const host = readHostDescription(JSON.stringify(description), builtInKinds);
  return new PciBench([{ driver: "vfio-pci", properties: { host: ADDRESS, iommufd: "f0", addr: "2" } }], {
    iommufds: [{ id: "f0", host, policy: "mixed" }],
    blockNodes: [new MemoryNode({ nodeName: "d0", content: 0x10_0000 })],
    ...more,
  });
}

/** Puts an admin command into entry `n` of the queue, and rings. */
function submit(bench: PciBench, n: number, words: Readonly<Record<number, number>>): void {
  for (const [word, value] of Object.entries(words)) bench.write(SUBMISSION + 64 * n + 4 * Number(word), value);
  bench.write(REGISTERS + 0x1000, n + 1);
}

function enable(bench: PciBench): void {
  const at = bench.ecam(0, 2);
  bench.write(at + 0x10, REGISTERS);
  bench.write(at + 4, 6, 2);
  bench.write(REGISTERS + 0x24, 0x000f_000f);
  bench.write(REGISTERS + 0x28, SUBMISSION);
  bench.write(REGISTERS + 0x30, COMPLETION);
  bench.write(REGISTERS + 0x14, 0x0046_0001);
}

/** The controller, 4096 bytes by one PRP. */
function identify(bench: PciBench, n: number): void {
  submit(bench, n, { 0: 0x0001_0006, 6: DATA, 10: 1 });
}

async function settle(): Promise<void> {
  for (let i = 0; i < 40; i++) await Promise.resolve();
}

describe("an assigned NVMe controller", () => {
  test("identifies itself, and formats its disk", async () => {
    const bench = makeBench({ drive: "d0", serial: "assigned" });
    expect(bench.read(bench.ecam(0, 2))).toBe(0x0010_1b36);
    enable(bench);
    expect(bench.read(REGISTERS + 0x1c)).toBe(1);
    identify(bench, 0);
    expect(bench.read(COMPLETION + 12)).toBe(0x0001_0001);
    const serial = [0, 1, 2].map((i) => bench.read(DATA + 4 + i, 1));
    expect(String.fromCharCode(...serial)).toBe("ass");
    // Format namespace 1, which waits for the disk.
    submit(bench, 1, { 0: 0x0002_0080, 1: 1, 10: 1 });
    await settle();
    expect(bench.read(COMPLETION + 28)).toBe(0x0001_0002);
    expect(bench.guestErrors).toEqual([]);
  });

  test.each([
    [{ serial: "s" }, "It has no disk; drive="],
    [{ serial: "s", drive: "d1" }, 'There is no block node "d1"'],
    [{ drive: "d0" }, "serial property not set"],
  ])("is refused as %j", (properties, message) => {
    expect(() => makeBench(properties)).toThrow(message);
  });
});

describe("the dirty oracle", () => {
  afterEach(() => vi.restoreAllMocks());
  const options = { dirtyOracle: true };

  test("is content with a tracker that reports what the controller wrote", async () => {
    const bench = makeBench({ drive: "d0", serial: "s" }, "vtd-ssads", options);
    enable(bench);
    identify(bench, 0);
    await bench.machine.close();
    // The queues that the test wrote, the data, the images of the boot.
    expect(bench.notices).toEqual([
      expect.stringMatching(/^dirty oracle: 1 rounds, \d+ pages written, \d+ reported, 0 missed$/),
    ]);
  });

  test("names page and device of a write that a tracker keeps to itself", async () => {
    const bench = makeBench({ drive: "d0", serial: "s" }, "vtd-ssads", options);
    enable(bench);
    // oxlint-disable-next-line typescript/unbound-method -- called with its own object below
    const { getDirtyBitmap } = IommufdClient.prototype;
    vi.spyOn(IommufdClient.prototype, "getDirtyBitmap").mockImplementation(function (this: IommufdClient, ...args) {
      return getDirtyBitmap.apply(this, args).fill(0);
    });
    identify(bench, 0);
    await bench.machine.close();
    const missed = "was written by 0000:03:00.0, and no tracker said so";
    expect(bench.notices).toEqual([
      `dirty oracle: page at 0x80101000 (virt.ram + 0x101000) ${missed}`,
      `dirty oracle: page at 0x80102000 (virt.ram + 0x102000) ${missed}`,
      expect.stringMatching(/, 2 missed$/),
    ]);
  });

  test("tells of bytes that changed though nobody was seen writing", async () => {
    const bench = makeBench({ drive: "d0", serial: "s" }, "vtd-ssads", options);
    const [ram] = bench.world.blocks.filter(({ name }) => name === "virt.ram");
    ram!.bytes[0x30_0123] = 1;
    await bench.machine.close();
    expect(bench.notices[0]).toBe(
      "dirty oracle: page at 0x80300000 (virt.ram + 0x300000) changed, and no tracker said so: somebody wrote past the ports for it",
    );
  });
});
