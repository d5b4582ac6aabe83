import { describe, expect, test } from "vitest";
import { iova } from "../base/index.ts";
import { AddressSpace, containerRegion, dmaPort, DmaStatus, mmioRegion, ramRegion, WorldPlan } from "./index.ts";

const RAM = 0x8000_0000;

function makeBoard() {
  const plan = new WorldPlan();
  const ram = plan.ram("ram", 4 * 4096);
  const rom = plan.ram("rom", 4096, { readOnly: true });
  const world = plan.create();
  const root = containerRegion("system", 2 ** 53);
  root.add(ramRegion(ram), RAM);
  root.add(ramRegion(rom), 0x1000);
  root.add(mmioRegion("refuses", 16, { read: () => undefined, write: () => false }), 0x2_0000);
  const space = new AddressSpace("memory", root, world);
  return { ram, notes: world.notes, port: dmaPort(space, "disk"), firstPage: ram.offset / 4096 };
}

describe("direct DMA", () => {
  test("writes are reported under the device's name", () => {
    const { notes, port, firstPage } = makeBoard();
    const epoch = notes.openEpoch("e");
    expect(port.write(iova(0x8000_0ffen), Uint8Array.of(1, 2, 3, 4))).toBe(DmaStatus.ok);
    const round = epoch.read();
    expect(round.pages.toArray()).toEqual([firstPage, firstPage + 1]);
    expect([...round.bySource]).toEqual([["disk", 2]]);
  });

  test("reads what is in memory and reports nothing", () => {
    const { ram, notes, port } = makeBoard();
    const epoch = notes.openEpoch("e");
    ram.bytes.set([5, 6], 100);
    const into = new Uint8Array(2);
    expect(port.read(iova(0x8000_0064n), into)).toBe(DmaStatus.ok);
    expect([...into, epoch.countDirty()]).toEqual([5, 6, 0]);
  });

  test("nothing, ROM for writing, and addresses past 2^53 are decode errors", () => {
    const { port } = makeBoard();
    const byte = new Uint8Array(1);
    expect([
      port.read(iova(0n), byte),
      port.write(iova(0x1000n), byte),
      port.read(iova((1n << 53n) - 1n), new Uint8Array(2)),
      port.write(iova((1n << 64n) - 1n), byte),
    ]).toEqual([1, 1, 1, 1]);
  });

  test("a device that refuses is an access error", () => {
    const { port } = makeBoard();
    expect(port.write(iova(0x2_0000n), new Uint8Array(4))).toBe(DmaStatus.accessError);
  });

  test("a window shows the same bytes, and one for writing is reported whole", () => {
    const { ram, notes, port, firstPage } = makeBoard();
    const epoch = notes.openEpoch("e");
    const window = port.writeWindow(iova(0x8000_1000n), 8192);
    window!.fill(3);
    expect(port.readWindow(iova(0x8000_1000n), 1)![0]).toBe(3);
    expect([ram.bytes[4095], ram.bytes[4096], ram.bytes[12287], ram.bytes[12288]]).toEqual([0, 3, 3, 0]);
    expect(epoch.read().pages.toArray()).toEqual([firstPage + 1, firstPage + 2]);
  });

  test("there is no window over a border, on a device, on ROM for writing, or past 2^53", () => {
    const { port } = makeBoard();
    expect([
      port.readWindow(iova(0x8000_3fffn), 2),
      port.readWindow(iova(0x2_0000n), 4),
      port.writeWindow(iova(0x1000n), 4),
      port.readWindow(iova((1n << 64n) - 1n), 1),
    ]).toEqual([undefined, undefined, undefined, undefined]);
  });

  test("a device whose DMA reaches its own registers is refused, not entered again", () => {
    const plan = new WorldPlan();
    plan.ram("ram", 4096);
    const world = plan.create();
    const root = containerRegion("system", 2 ** 20);
    const space = new AddressSpace("memory", root, world);
    const port = dmaPort(space, "loop");
    const seen: DmaStatus[] = [];
    root.add(
      mmioRegion("loop", 16, {
        read: () => 0,
        write(): void {
          seen.push(port.write(iova(0n), new Uint8Array(4)));
        },
      }),
      0,
    );
    expect(space.bus("hart 0").store(0, 4, 1, 0)).toBe(0);
    expect(seen).toEqual([DmaStatus.accessError]);
  });
});
