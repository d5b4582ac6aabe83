import { describe, expect, test } from "vitest";
import { AddressSpace, WorldPlan } from "../../../memory/index.ts";
import { decodeState, encodeState } from "../../../state/index.ts";
import { TestLine } from "../../test-host.ts";
import { devfn } from "../bus.ts";
import { PciHostBridge } from "../host-bridge.ts";
import { BridgeHeader as B, Command, Exp, Header } from "../spec.ts";
import { makeTestFunction, TestBus } from "../test-function.ts";
import { RootPort } from "./device.ts";

const PORT = 2;

/** A host bridge with a root port in slot 2, whose bus has number 1. */
function makePort({ hotplug = true } = {}) {
  const { dma, msi, messages, trace } = new TestBus();
  const lines = [0, 1, 2, 3].map(() => new TestLine());
  const upstream = { dma: () => dma, msi: () => msi, trace };
  const { bus, mmio } = new PciHostBridge({ busName: "pcie.0", upstream, lines });
  const at = devfn(PORT, 0);
  const port = new RootPort({
    ...{ name: "rp0", busName: "rp0", primary: bus, at, ports: bus.ports(at, "rp0") },
    ...{ port: 8, chassis: 1, slot: 5, hotplug },
  });
  bus.plug(at, port.pci, { bridge: port });
  const write = (busNumber: number, slot: number, register: number, value: number, width: 1 | 2 | 4 = 4): void =>
    void mmio.write(busNumber * 0x10_0000 + devfn(slot, 0) * 0x1000 + register, width, value);
  const read = (busNumber: number, slot: number, register: number, width: 1 | 2 | 4 = 4): number =>
    mmio.read(busNumber * 0x10_0000 + devfn(slot, 0) * 0x1000 + register, width)!;
  const express = port.pci.expressAt;
  write(0, PORT, B.secondaryBus, 1, 1);
  write(0, PORT, B.subordinateBus, 1, 1);
  return {
    ...{ bus, port, lines, messages, read, write },
    makeFunction: () => makeTestFunction({ ports: port.secondary.ports(0, "child") }),
    status: () => read(0, PORT, express + Exp.slotStatus, 2),
    control: (value: number) => write(0, PORT, express + Exp.slotControl, value, 2),
    clear: (events: number) => write(0, PORT, express + Exp.slotStatus, events, 2),
    express,
  };
}

function wordAt(made: ReturnType<typeof makePort>, address: number): number | undefined {
  const space = new AddressSpace("test", made.bus.memory, new WorldPlan().create());
  const bytes = new Uint8Array(4);
  const status = space.read(address, bytes);
  space.close();
  return status === 0 ? new DataView(bytes.buffer).getUint32(0, true) : undefined;
}

describe("a root port", () => {
  test("is a bridge with a slot", () => {
    const { read, express } = makePort();
    expect(read(0, PORT, 0)).toBe(0x000c_1b36);
    expect(read(0, PORT, Header.headerType, 1)).toBe(1);
    expect(read(0, PORT, express + Exp.flags, 2)).toBe(0x0142);
    expect(read(0, PORT, express + Exp.slotCapabilities) >>> 19).toBe(5);
    expect(read(0, PORT, express + Exp.linkCapabilities)).toBe(0x0810_0411);
  });

  test("leads configuration cycles to the bus whose number it has", () => {
    const { port, makeFunction, read, write } = makePort();
    port.coldPlug(0, makeFunction().pci, {});
    expect(read(1, 0, 0)).toBe(0x5678_1234);
    expect(read(1, 1, 0)).toBe(0xffff_ffff);
    write(0, PORT, B.secondaryBus, 3, 1);
    write(0, PORT, B.subordinateBus, 7, 1);
    expect(read(1, 0, 0)).toBe(0xffff_ffff);
    expect(read(3, 0, 0)).toBe(0x5678_1234);
    expect(read(4, 0, 0)).toBe(0xffff_ffff);
  });

  test("forwards what lies in its windows, while memory is enabled", () => {
    const made = makePort();
    const { port, makeFunction, write } = made;
    const child = makeFunction();
    child.memory.set([1, 0, 0, 0]);
    port.coldPlug(0, child.pci, {});
    write(1, 0, 0x10, 0x4010_0000);
    write(1, 0, 0x18, 0x0000_0000);
    write(1, 0, 0x1c, 4);
    write(1, 0, Header.command, Command.memory, 2);
    expect(wordAt(made, 0x4010_0010)).toBeUndefined();
    write(0, PORT, B.memoryBase, 0x4010, 2);
    write(0, PORT, B.memoryLimit, 0x4010, 2);
    expect(wordAt(made, 0x4010_0010)).toBeUndefined();
    write(0, PORT, Header.command, Command.memory, 2);
    expect(wordAt(made, 0x4010_0010)).toBe(0x110);
    write(0, PORT, B.prefetchableBaseUpper, 4);
    write(0, PORT, B.prefetchableLimitUpper, 4);
    expect(wordAt(made, 0x4_0000_0000)).toBe(1);
    write(0, PORT, B.memoryLimit, 0x4000, 2);
    expect(wordAt(made, 0x4010_0010)).toBeUndefined();
    write(0, PORT, Header.command, 0, 2);
    expect(wordAt(made, 0x4_0000_0000)).toBeUndefined();
  });

  test("turns the pins of what is behind by its own slot", () => {
    const { port, lines, makeFunction } = makePort();
    const child = makeFunction();
    port.coldPlug(0, child.pci, {});
    child.pci.setIntx(true);
    expect(lines.map(({ level }) => level)).toEqual([false, false, true, false]);
  });

  test("resets what is behind when the bridge is told to", () => {
    const { port, makeFunction, write } = makePort();
    const child = makeFunction();
    port.coldPlug(0, child.pci, {});
    write(0, PORT, B.bridgeControl, 0x40, 2);
    expect(child.resets).toBe(1);
    write(0, PORT, B.bridgeControl, 0, 2);
    expect(child.resets).toBe(1);
  });

  test("goes over with its windows", () => {
    const from = makePort();
    from.write(0, PORT, B.memoryBase, 0x4010, 2);
    from.write(0, PORT, B.memoryLimit, 0x4010, 2);
    from.write(0, PORT, Header.command, Command.memory, 2);
    const to = makePort();
    to.port.pci.loadState(decodeState(to.port.pci.stateDescription, encodeState(from.port.pci)));
    to.port.loadState(from.port.saveState());
    const places = (made: typeof from): Set<number> => new Set(made.bus.memory.children.map(({ at }) => at));
    expect(places(to)).toEqual(places(from));
    expect(places(to)).toContain(0x4010_0000);
  });
});

describe("hot plug", () => {
  const HPIE = 0x20;
  const PDCE = 0x08;
  const ABPE = 0x01;
  const OFF = 0x7c0;
  const ON = 0x1c0;

  test("shows presence, the button and an interrupt until the events are cleared", () => {
    const { port, lines, makeFunction, status, control, clear, read } = makePort();
    control(HPIE | PDCE | ABPE | OFF);
    clear(0x1f);
    expect(lines[PORT]!.level).toBe(false);
    port.hotPlug(0, makeFunction().pci, {});
    expect(status()).toBe(0x49);
    expect(lines[PORT]!.level).toBe(true);
    expect(read(1, 0, 0)).toBe(0x5678_1234);
    clear(0x09);
    expect(lines[PORT]!.level).toBe(false);
    expect(status()).toBe(0x40);
  });

  test("takes the device out when the guest switches the slot off, and not before", () => {
    const { bus, port, makeFunction, status, control, clear, read } = makePort();
    port.coldPlug(0, makeFunction().pci, {});
    let released = 0;
    port.onRelease = () => {
      released++;
      port.secondary.unplug(0);
    };
    control(ON);
    clear(0x1f);
    port.askForRemoval();
    expect(status()).toBe(0x41);
    expect([released, port.isRemovalAsked]).toEqual([0, true]);
    control(OFF & ~0x400);
    expect(released).toBe(0);
    control(OFF);
    expect([released, port.isRemovalAsked]).toEqual([1, false]);
    expect(read(1, 0, 0)).toBe(0xffff_ffff);
    expect(status() & 0x58).toBe(0x18);
    expect(bus.functions.size).toBe(2);
  });

  test("takes it out at once where the slot is off", () => {
    const { port, makeFunction, control } = makePort();
    port.hotPlug(0, makeFunction().pci, {});
    let released = 0;
    port.onRelease = () => {
      released++;
      port.secondary.unplug(0);
    };
    control(OFF);
    port.askForRemoval();
    expect(released).toBe(1);
  });

  test("tells that a command was completed, by message when MSI-X is on", () => {
    const { port, messages, control, write, status } = makePort();
    write(0, PORT, Header.command, Command.busMaster | Command.memory, 2);
    const msix = port.pci.msix!;
    write(0, PORT, msix.at + 2, 0x8000, 2);
    const bar = port.pci.bar(0)!;
    bar.write(0, 8, 0xfee0_0000, 0);
    bar.write(8, 8, 0x77, 0);
    control(HPIE | 0x10 | ON);
    expect(status() & 0x10).toBe(0x10);
    expect(messages).toEqual([{ address: 0xfee0_0000n, data: 0x77 }]);
  });
});
