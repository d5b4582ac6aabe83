import { describe, expect, test } from "vitest";
import { decodeState, encodeState } from "../../../state/index.ts";
import { Command, Header, Msi } from "../../pci/spec.ts";
import { TestBus } from "../../pci/test-function.ts";
import { Edu } from "./device.ts";

function makeEdu(dmaMask = (1n << 28n) - 1n) {
  const bus = new TestBus();
  const { intx, msi, dma, trace } = bus;
  const edu = new Edu({ name: "edu", dmaMask, timers: bus.host.timers, ports: { intx, msi, dma, trace } });
  edu.pci.config.write(Header.command, 2, Command.busMaster | Command.memory);
  const bar = edu.pci.bar(0)!;
  const read = (at: number): number => {
    bar.read(at, 4);
    return bar.low;
  };
  const write = (at: number, value: number, width = 4): void => void bar.write(at, width, value, 0);
  return { bus, edu, bar, read, write };
}

describe("the edu device", () => {
  test("says who it is, and inverts", () => {
    const { read, write } = makeEdu();
    expect(read(0).toString(16)).toBe("10000ed");
    write(4, 0x1234_5678);
    expect(read(4)).toBe(0xedcb_a987);
    expect(read(0x30)).toBe(0xffff_ffff);
  });

  test.each([
    [0, 1],
    [5, 120],
    [13, 1_932_053_504],
    [34, 0],
    [0xffff_ffff, 0],
  ])("computes the factorial of %i after a while", (n, result) => {
    const { bus, read, write } = makeEdu();
    write(8, n);
    expect(read(0x20)).toBe(1);
    bus.host.advanceNs(1_000_000);
    expect([read(0x20), read(8)]).toEqual([0, result]);
  });

  test("interrupts when the factorial is done, if told to, until that is acknowledged", () => {
    const { bus, read, write } = makeEdu();
    write(0x20, 0x80);
    write(8, 3);
    bus.host.advanceNs(1_000_000);
    expect([bus.intx.level, read(0x24)]).toEqual([true, 1]);
    write(0x64, 1);
    expect([bus.intx.level, read(0x24)]).toEqual([false, 0]);
  });

  test("raises what it is told to, by MSI when that is on", () => {
    const { bus, edu, write } = makeEdu();
    const at = edu.pci.msi!.at;
    edu.pci.config.write(at + Msi.addressLow, 4, 0xfee0_0000);
    edu.pci.config.write(at + Msi.control, 2, 1);
    write(0x60, 0x10);
    expect(bus.messages).toEqual([{ address: 0xfee0_0000n, data: 0 }]);
    expect(bus.intx.level).toBe(false);
  });

  test("moves bytes to its buffer and back", () => {
    const { bus, read, write } = makeEdu();
    bus.memory.set([1, 2, 3, 4], 0x100);
    write(0x80, 0x100, 8);
    write(0x88, 0x4_0010, 8);
    write(0x90, 4, 8);
    write(0x98, 1, 8);
    bus.host.advanceNs(200_000_000);
    write(0x80, 0x4_0010, 8);
    write(0x88, 0x200, 8);
    write(0x98, 7, 8);
    bus.host.advanceNs(200_000_000);
    expect([...bus.memory.subarray(0x200, 0x204)]).toEqual([1, 2, 3, 4]);
    expect([read(0x98), read(0x24), bus.intx.level]).toEqual([6, 0x100, true]);
  });

  test.each([
    [0x3_ffff, 1],
    [0x4_0001, 4096],
    [0x4_1000, 1],
    [0x4_0000, 0xffff_ffff],
  ])("moves nothing outside its buffer: %i, %i bytes", (destination, count) => {
    const { bus, read, write } = makeEdu();
    write(0x88, destination, 8);
    write(0x90, count, 8);
    write(0x98, 1, 8);
    bus.host.advanceNs(200_000_000);
    expect(read(0x98)).toBe(0);
    expect(bus.host.guestErrors).toHaveLength(1);
  });

  test("cuts addresses to its mask", () => {
    const { bus, write } = makeEdu(0xfffn);
    bus.memory[0x234] = 9;
    write(0x80, 0x1234, 8);
    write(0x88, 0x4_0000, 8);
    write(0x90, 1, 8);
    write(0x98, 1, 8);
    bus.host.advanceNs(200_000_000);
    write(0x80, 0x4_0000, 8);
    write(0x88, 0x10, 8);
    write(0x98, 3, 8);
    bus.host.advanceNs(200_000_000);
    expect(bus.memory[0x10]).toBe(9);
  });

  test("goes over with what is under way", () => {
    const from = makeEdu();
    from.write(0x20, 0x80);
    from.write(8, 6);
    const to = makeEdu();
    to.edu.loadState(decodeState(to.edu.stateDescription, encodeState(from.edu)));
    expect(to.read(0x20)).toBe(0x81);
    to.bus.host.advanceNs(1_000_000);
    expect([to.read(8), to.bus.intx.level]).toEqual([720, true]);
  });

  test("stands still until it is told to go on", () => {
    const { bus, edu, read, write } = makeEdu();
    edu.setActivity("quiet");
    write(8, 4);
    bus.host.advanceNs(1_000_000);
    expect(read(0x20)).toBe(1);
    edu.setActivity("running");
    bus.host.advanceNs(1_000_000);
    expect(read(8)).toBe(24);
  });
});
