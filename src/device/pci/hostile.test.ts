// Configuration cycles as they come: software that writes anything anywhere must not upset the buses, and what it leaves
// behind can be reset, saved and taken over.
import { describe, expect, test } from "vitest";
import { SeededRng } from "../../base/index.ts";
import { AddressSpace, WorldPlan } from "../../memory/index.ts";
import { decodeState, encodeState } from "../../state/index.ts";
import { TestLine } from "../test-host.ts";
import { devfn } from "./bus.ts";
import { PciHostBridge } from "./host-bridge.ts";
import { RootPort } from "./root-port/device.ts";
import { makeTestFunction, TestBus } from "./test-function.ts";

/** Two root ports with a function behind each, and two functions on the root bus. */
function makeTree() {
  const { dma, msi, trace } = new TestBus();
  const lines = [0, 1, 2, 3].map(() => new TestLine());
  const bridge = new PciHostBridge({ busName: "pcie.0", upstream: { dma: () => dma, msi: () => msi, trace }, lines });
  const { bus } = bridge;
  const ports = [1, 2].map((slot) => {
    const at = devfn(slot, 0);
    const config = { port: slot, chassis: slot, slot, hotplug: true };
    const name = `rp${slot}`;
    const port = new RootPort({ ...config, name, busName: name, primary: bus, at, ports: bus.ports(at, name) });
    bus.plug(at, port.pci, { bridge: port });
    const child = makeTestFunction({ ports: port.secondary.ports(0, `child${slot}`) });
    port.coldPlug(0, child.pci, {});
    port.onRelease = () => {
      if (port.isOccupied) port.secondary.unplug(0);
    };
    return port;
  });
  const functions = [3, 4].map((slot) => {
    const { pci } = makeTestFunction({ ports: bus.ports(devfn(slot, 0), `f${slot}`) });
    bus.plug(devfn(slot, 0), pci, { isMultifunction: slot === 3 });
    return pci;
  });
  return { bridge, bus, ports, functions };
}

describe("buses under random configuration cycles", () => {
  test.each([1n, 2n, 3n, 4n])("keep answering (seed %i)", (seed) => {
    const { bridge, bus, ports, functions } = makeTree();
    const space = new AddressSpace("memory", bus.memory, new WorldPlan().create());
    const rng = new SeededRng(seed);
    const bytes = new Uint8Array(8);
    const below = (n: number): number => {
      rng.fill(bytes);
      return new DataView(bytes.buffer).getUint32(0, true) % n;
    };
    const values = (): number =>
      [0, 0xffff_ffff, 1 << below(31), below(2 ** 32 - 1), 0x4000_0000 + below(64) * 0x10_0000][below(5)]! >>> 0;
    for (let i = 0; i < 4000; i++) {
      const width = ([1, 2, 4] as const)[below(3)]!;
      const register = (below(4) === 0 ? below(4096) : below(0xc0)) & ~(width - 1);
      const at = below(4) * 0x10_0000 + devfn(below(6), 0) * 0x1000 + register;
      if (below(4) === 0) expect(bridge.mmio.read(at, width)).toBeGreaterThanOrEqual(0);
      else bridge.mmio.write(at, width, values() % 2 ** (8 * width));
      if (i % 16 === 0) space.read(0x4000_0000 + below(64) * 0x10_0000, new Uint8Array(4));
      functions[below(2)]!.setIntx(below(2) === 0);
      if (i % 50 === 0) ports[below(2)]!.askForRemoval();
    }
    for (const { pci } of ports) decodeState(pci.stateDescription, encodeState(pci));
    const fresh = makeTree();
    functions.forEach((pci, i) => fresh.functions[i]!.loadState(pci.saveState()));
    ports.forEach((port, i) => fresh.ports[i]!.pci.loadState(port.pci.saveState()));
    for (const port of ports) port.reset();
    for (const pci of functions) pci.reset();
    bridge.reset();
    expect(space.sections).toEqual([]);
    space.close();
  });
});
