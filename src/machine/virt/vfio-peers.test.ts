// Devices of a host that write into each other's memory, where the guest has placed it.
import { afterEach, describe, expect, test, vi } from "vitest";
import { Errno, IommufdClient, IommufdError, readHostDescription, VfioDeviceClient } from "../../iommufd/index.ts";
import { builtInKinds } from "../../vfiohost/index.ts";
import { PciBench } from "../testing/pci-bench.ts";

const REGISTERS = 0x4000_0000;
/** Of the other engine: doorbells for a page, then memory. */
const PEER_BAR = 0x4020_0000;
const PEER_MEMORY = PEER_BAR + 0x1000;
const DECODE_ERROR = 2;

function makeBench(): PciBench {
  const engine = (bdf: string) => ({ bdf, kind: "dma-engine", unit: "u0", migration: ["stop-copy", "p2p"] });
  const description = {
    units: [{ id: "u0", profile: "vtd-ssads" }],
    devices: [engine("0000:01:00.0"), engine("0000:02:00.0")],
  };
  const host = readHostDescription(JSON.stringify(description), builtInKinds);
  const device = (address: string, addr: string) => ({
    driver: "vfio-pci",
    properties: { host: address, iommufd: "f0", addr },
  });
  const bench = new PciBench([device("01:00.0", "2"), device("02:00.0", "3")], {
    iommufds: [{ id: "f0", host, policy: "mixed" }],
  });
  place(bench, 2, REGISTERS, 0x4010_0000);
  place(bench, 3, 0x4001_0000, PEER_BAR);
  return bench;
}

/** BARs 0 and 2 of the function in a slot; memory decoding and bus mastering on. */
function place(bench: PciBench, slot: number, registers: number, memory: number): void {
  const at = bench.ecam(0, slot);
  bench.write(at + 4, 0, 2);
  bench.write(at + 0x10, registers);
  bench.write(at + 0x18, memory);
  bench.write(at + 4, 6, 2);
}

/** The first engine writes a pattern; its status. */
function fill(bench: PciBench, to: number, pattern: number): number {
  bench.write(REGISTERS + 0x08, 1);
  bench.write(REGISTERS + 0x28, to);
  bench.write(REGISTERS + 0x30, 16);
  bench.write(REGISTERS + 0x34, pattern);
  bench.write(REGISTERS + 0x14, 3);
  bench.write(REGISTERS + 0x48, 2);
  bench.runTimers();
  return bench.read(REGISTERS + 0x0c);
}

afterEach(() => vi.restoreAllMocks());

describe("memory in a device's BAR", () => {
  test("is reached by another device's DMA where the guest sees it; registers are not", async () => {
    const bench = makeBench();
    expect(fill(bench, PEER_MEMORY + 0x20, 0x1234_5678)).toBe(0);
    expect(bench.read(PEER_MEMORY + 0x20)).toBe(0x1234_5678);
    expect(fill(bench, PEER_BAR, 1)).toBe(DECODE_ERROR);
    expect(fill(bench, 0x4001_0000, 1)).toBe(DECODE_ERROR);
    expect(bench.notices).toEqual([]);
    await bench.machine.close();
  });

  test("moves with the BAR, and is gone while the guest has turned decoding off", () => {
    const bench = makeBench();
    place(bench, 3, 0x4001_0000, 0x4040_0000);
    expect(fill(bench, PEER_MEMORY, 1)).toBe(DECODE_ERROR);
    expect(fill(bench, 0x4040_1000, 2)).toBe(0);
    bench.write(bench.ecam(0, 3) + 4, 4, 2);
    expect(fill(bench, 0x4040_1000, 3)).toBe(DECODE_ERROR);
    bench.write(bench.ecam(0, 3) + 4, 6, 2);
    expect(bench.read(0x4040_1000)).toBe(2);
    expect(fill(bench, 0x4040_1000, 4)).toBe(0);
  });

  test("is reached again after devices were reset as a migration came to nothing", () => {
    const bench = makeBench();
    expect(fill(bench, PEER_MEMORY, 1)).toBe(0);
    for (const part of bench.machine.movable.streams.values()) {
      part.beginLoad();
      part.abandonLoad();
    }
    expect(fill(bench, PEER_MEMORY, 2)).toBe(0);
    expect(bench.read(PEER_MEMORY)).toBe(2);
  });

  test("is no guest memory: a round of dirty tracking has none of it", () => {
    const bench = makeBench();
    const epoch = bench.world.notes.openEpoch("test");
    epoch.read();
    expect(fill(bench, PEER_MEMORY, 1)).toBe(0);
    expect(epoch.read().dirtyPageCount).toBe(0);
    epoch.close();
  });

  test("stays the harts' alone on a host that cannot share it", () => {
    vi.spyOn(VfioDeviceClient.prototype, "exportDmaBuf").mockImplementation(() => {
      throw new IommufdError("VFIO_DEVICE_FEATURE (DMA_BUF)", Errno.ENOTTY);
    });
    const bench = makeBench();
    expect(fill(bench, PEER_MEMORY, 1)).toBe(DECODE_ERROR);
    bench.write(PEER_MEMORY, 7);
    expect(bench.read(PEER_MEMORY)).toBe(7);
    expect(bench.notices).toEqual([]);
  });

  test("that cannot be mapped is told of, and the machine goes on", () => {
    vi.spyOn(IommufdClient.prototype, "mapFile").mockImplementation(() => {
      throw new IommufdError("IOMMU_IOAS_MAP_FILE", Errno.EFAULT);
    });
    const bench = makeBench();
    expect(bench.notices.at(-1)).toMatch(
      /^Memory of a device, .*bar2.memory at 0x40201000, 57344 bytes, cannot be mapped: .*EFAULT.*; other devices do not reach it$/,
    );
    expect(fill(bench, 0x8010_0000, 5)).toBe(0);
    expect(bench.read(0x8010_0000)).toBe(5);
  });
});
