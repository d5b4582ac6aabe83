import { describe, expect, test } from "vitest";
import type { MemoryRegion } from "../../memory/index.ts";
import { AddressSpace, WorldPlan } from "../../memory/index.ts";
import { decodeState, encodeState } from "../../state/index.ts";
import { TestHost, TestLine } from "../test-host.ts";
import { devfn } from "./bus.ts";
import { PciHostBridge } from "./host-bridge.ts";
import { Command, Header } from "./spec.ts";
import { makeTestFunction, TestBus } from "./test-function.ts";

function makeHost() {
  const host = new TestHost();
  const lines = [0, 1, 2, 3].map(() => new TestLine());
  const { dma, msi } = new TestBus();
  const bridge = new PciHostBridge({
    busName: "pcie.0",
    upstream: { dma: () => dma, msi: () => msi, trace: host.trace },
    lines,
  });
  /** An ECAM offset. */
  const at = (bus: number, slot: number, fn: number, register: number): number =>
    bus * 0x10_0000 + devfn(slot, fn) * 0x1000 + register;
  const read = (bus: number, slot: number, register: number, width: 1 | 2 | 4 = 4): number | undefined =>
    bridge.mmio.read(at(bus, slot, 0, register), width);
  const write = (slot: number, register: number, value: number, width: 1 | 2 | 4 = 4): void =>
    void bridge.mmio.write(at(0, slot, 0, register), width, value);
  const plug = (slot: number, fn = 0, options = {}) => {
    const place = devfn(slot, fn);
    const made = makeTestFunction({ ports: bridge.bus.ports(place, "test"), ...options });
    bridge.bus.plug(place, made.pci);
    return made;
  };
  return { bridge, lines, read, write, plug };
}

/** What a read of 4 bytes at `address` of `root` gives; undefined where nobody is. */
function wordAt(root: MemoryRegion, address: number): number | undefined {
  const space = new AddressSpace("test", root, new WorldPlan().create());
  const bytes = new Uint8Array(4);
  const status = space.read(address, bytes);
  space.close();
  return status === 0 ? new DataView(bytes.buffer).getUint32(0, true) : undefined;
}

describe("configuration cycles", () => {
  test("show the host bridge as function 00.0, without capabilities", () => {
    const { read } = makeHost();
    expect(read(0, 0, 0)).toBe(0x0008_1b36);
    expect(read(0, 0, 8)).toBe(0x0600_0000);
    expect(read(0, 0, Header.subsystemVendorId)).toBe(0x1100_1af4);
    expect(read(0, 0, Header.status, 2)).toBe(0);
    expect(read(0, 0, Header.capabilities, 1)).toBe(0);
  });

  test("end in ones where there is no function, no register and no bus", () => {
    const { read, write } = makeHost();
    expect(read(0, 1, 0)).toBe(0xffff_ffff);
    expect(read(0, 0, 0x100)).toBe(0xffff_ffff);
    expect(read(1, 0, 0, 2)).toBe(0xffff);
    write(1, 4, 0xffff);
  });

  test("reach a function's extended configuration space", () => {
    const { read, plug } = makeHost();
    plug(3);
    expect(read(0, 3, 0)).toBe(0x5678_1234);
    expect(read(0, 3, 0x100)).toBe(0);
  });

  test("show the bit for several functions where the slot has them", () => {
    const { bridge, read, plug } = makeHost();
    plug(1);
    const { pci } = makeTestFunction();
    bridge.bus.plug(devfn(2, 0), pci, { isMultifunction: true });
    expect(read(0, 1, Header.headerType, 1)).toBe(0);
    expect(read(0, 2, Header.headerType, 1)).toBe(0x80);
    expect(read(0, 2, Header.cacheLineSize)).toBe(0x0080_0000);
  });
});

describe("BARs", () => {
  test("are seen where software puts them, and move", () => {
    const { bridge, write, plug } = makeHost();
    plug(1);
    write(1, 0x10, 0x4000_0000);
    write(1, Header.command, Command.memory, 2);
    expect(wordAt(bridge.bus.memory, 0x4000_0010)).toBe(0x110);
    expect(wordAt(bridge.bus.memory, 0x4000_0800)).toBe(0);
    write(1, 0x10, 0x5000_0000);
    expect(wordAt(bridge.bus.memory, 0x4000_0010)).toBeUndefined();
    expect(wordAt(bridge.bus.memory, 0x5000_0010)).toBe(0x110);
    write(1, Header.command, 0, 2);
    expect(wordAt(bridge.bus.memory, 0x5000_0010)).toBeUndefined();
  });

  test("of 64 bits lie exactly above 4 GiB, and past 2^53 nowhere", () => {
    const { bridge, write, plug } = makeHost();
    const { memory } = plug(1);
    memory.set([0x78, 0x56, 0x34, 0x12]);
    write(1, Header.command, Command.memory, 2);
    write(1, 0x18, 0x8000_4000);
    write(1, 0x1c, 0x000f_ffff);
    expect(wordAt(bridge.bus.memory, 0xf_ffff_8000_4000)).toBe(0x1234_5678);
    write(1, 0x1c, 0x0020_0000);
    expect(bridge.bus.memory.children).toEqual([]);
    write(1, 0x1c, 0x4);
    expect(wordAt(bridge.bus.memory, 0x4_8000_4000)).toBe(0x1234_5678);
  });

  test("of I/O ports have a space of their own", () => {
    const { bridge, write, plug } = makeHost();
    plug(1);
    write(1, Header.command, Command.io, 2);
    write(1, 0x20, 0x1000);
    expect(wordAt(bridge.bus.io, 0x1000)).toBe(0);
    expect(bridge.bus.memory.children).toEqual([]);
  });

  test("and the interrupt of a function are gone when it is unplugged", () => {
    const { bridge, lines, read, write, plug } = makeHost();
    const { pci } = plug(1);
    write(1, 0x10, 0x4000_0000);
    write(1, Header.command, Command.memory, 2);
    pci.setIntx(true);
    expect(lines[1]!.level).toBe(true);
    expect(bridge.bus.unplug(devfn(1, 0))).toBe(pci);
    expect(lines[1]!.level).toBe(false);
    expect(wordAt(bridge.bus.memory, 0x4000_0010)).toBeUndefined();
    expect(read(0, 1, 0)).toBe(0xffff_ffff);
    plug(1);
    expect(read(0, 1, 0)).toBe(0x5678_1234);
    // The old function's pin leads nowhere any more.
    pci.setIntx(true);
    expect(lines[1]!.level).toBe(false);
  });
});

describe("interrupt pins", () => {
  test.each([
    [0, 2, 1],
    [1, 1, 1],
    [3, 1, 3],
    [3, 4, 2],
    [5, 1, 1],
  ])("of slot %i, pin %i drive line %i", (slot, pin, line) => {
    const { bridge, lines } = makeHost();
    const place = devfn(slot, 1);
    const made = makeTestFunction({ interruptPin: pin as 1, ports: bridge.bus.ports(place, "test") });
    bridge.bus.plug(place, made.pci);
    made.pci.setIntx(true);
    expect(lines.map(({ level }) => level)).toEqual([0, 1, 2, 3].map((n) => n === line));
  });

  test("share a line, which falls when the last of them does", () => {
    const { lines, plug } = makeHost();
    const [a, b] = [plug(1), plug(5)];
    a.pci.setIntx(true);
    b.pci.setIntx(true);
    a.pci.setIntx(false);
    expect(lines[1]!.level).toBe(true);
    b.pci.setIntx(false);
    expect(lines[1]!.level).toBe(false);
    expect(lines[1]!.risen).toBe(1);
  });
});

describe("saved state", () => {
  test("brings BARs and lines back to where they were", () => {
    const from = makeHost();
    const source = from.plug(1);
    from.write(1, 0x10, 0x4000_0000);
    from.write(1, Header.command, Command.memory, 2);
    source.pci.setIntx(true);
    const to = makeHost();
    const target = to.plug(1);
    target.pci.loadState(decodeState(target.pci.stateDescription, encodeState(source.pci)));
    expect(wordAt(to.bridge.bus.memory, 0x4000_0010)).toBe(0x110);
    expect(to.lines[1]!.level).toBe(true);
  });
});
