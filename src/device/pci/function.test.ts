import { describe, expect, test } from "vitest";
import type { Iova } from "../../base/index.ts";
import { MemTx } from "../../memory/index.ts";
import { decodeState, encodeState } from "../../state/index.ts";
import { DmaStatus } from "../port.ts";
import { PciStateError } from "./errors.ts";
import { Command, Exp, Header, Msi, Msix, Pm } from "./spec.ts";
import { makeTestFunction } from "./test-function.ts";

const BAR0 = 0x10;
const BAR2 = 0x18;
const BAR4 = 0x20;

/** Offsets of the capabilities by id, in the order of the list. */
function capabilities(config: { read(at: number, width: number): number }): Map<number, number> {
  const found = new Map<number, number>();
  for (let at = config.read(Header.capabilities, 1); at !== 0; at = config.read(at + 1, 1)) {
    found.set(config.read(at, 1), at);
  }
  return found;
}

describe("configuration space", () => {
  test("shows who the function is, and a list of capabilities", () => {
    const { pci } = makeTestFunction();
    expect(pci.config.read(0, 4)).toBe(0x5678_1234);
    expect(pci.config.read(8, 4)).toBe(0x08_80_00_03);
    expect(pci.config.read(Header.status, 2)).toBe(0x10);
    expect([...capabilities(pci.config).keys()]).toEqual([0x01, 0x05, 0x10, 0x11]);
    expect(pci.config.lengthBytes).toBe(4096);
  });

  test("identity cannot be written, and reads past the end are ones", () => {
    const { pci } = makeTestFunction();
    pci.config.write(0, 4, 0);
    expect(pci.config.read(0, 4)).toBe(0x5678_1234);
    expect(pci.config.read(4096, 4)).toBe(0xffff_ffff);
    expect(pci.config.read(4095, 2)).toBe(0xffff);
  });

  test("a base address register shows its size when ones are written", () => {
    const { pci } = makeTestFunction();
    for (const at of [BAR0, BAR2, BAR2 + 4, BAR4]) pci.config.write(at, 4, 0xffff_ffff);
    expect(pci.config.read(BAR0, 4)).toBe(0xffff_f000);
    expect(pci.config.read(BAR2, 4)).toBe(0xffff_c00c);
    expect(pci.config.read(BAR2 + 4, 4)).toBe(0xffff_ffff);
    expect(pci.config.read(BAR4, 4)).toBe(0xffff_ffe1);
    expect(pci.config.read(0x14, 4)).toBe(0);
  });

  test("byte writes change their byte only", () => {
    const { pci } = makeTestFunction();
    pci.config.write(BAR0, 4, 0xfe00_0000);
    pci.config.write(BAR0 + 2, 1, 0x12);
    expect(pci.config.read(BAR0, 4)).toBe(0xfe12_0000);
  });
});

describe("decoding", () => {
  test("follows address, command register and power state", () => {
    const { pci } = makeTestFunction();
    const seen: [number, bigint | undefined][] = [];
    pci.onMapping = (bar) => seen.push([bar.index, bar.address]);
    pci.config.write(BAR2, 4, 0x8000_0000);
    pci.config.write(BAR2 + 4, 4, 0x10);
    expect(seen).toEqual([]);
    pci.config.write(Header.command, 2, Command.memory);
    expect(seen).toEqual([[2, 0x10_8000_0000n]]);
    pci.config.write(BAR0, 4, 0xfe00_0000);
    pci.config.write(BAR0, 4, 0xffff_ffff);
    expect(seen.slice(1)).toEqual([
      [0, 0xfe00_0000n],
      [0, undefined],
    ]);
    const pm = capabilities(pci.config).get(0x01)!;
    pci.config.write(pm + Pm.control, 2, 3);
    expect(seen.at(-1)).toEqual([2, undefined]);
    pci.config.write(pm + Pm.control, 2, 0);
    expect(seen.at(-1)).toEqual([2, 0x10_8000_0000n]);
  });

  test("accesses reach the part behind their offset; gaps read 0", () => {
    const { pci, memory, written } = makeTestFunction();
    const bar0 = pci.bar(0)!;
    expect(bar0.write(0x10, 4, 7, 0)).toBe(MemTx.ok);
    expect(written).toEqual([[0x10, 7]]);
    bar0.read(0x21, 1);
    expect(bar0.low).toBe(0x01);
    bar0.read(0x800, 4);
    expect(bar0.low).toBe(0);
    const bar2 = pci.bar(2)!;
    bar2.write(8, 8, 0x0403_0201, 0x0807_0605);
    expect([...memory.subarray(8, 16)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });
});

describe("interrupts", () => {
  test("the line follows the device unless it is disabled or messages are on", () => {
    const { pci, bus } = makeTestFunction();
    pci.setIntx(true);
    expect(bus.intx.level).toBe(true);
    expect(pci.config.read(Header.status, 2) & 8).toBe(8);
    pci.config.write(Header.command, 2, Command.interruptDisable);
    expect(bus.intx.level).toBe(false);
    expect(pci.config.read(Header.status, 2) & 8).toBe(8);
    pci.config.write(Header.command, 2, 0);
    expect(bus.intx.level).toBe(true);
    pci.config.write(capabilities(pci.config).get(0x11)! + Msix.control, 2, 0x8000);
    expect(bus.intx.level).toBe(false);
  });

  test("MSI sends its data with the vector in the low bits, and keeps masked ones", () => {
    const { pci, bus } = makeTestFunction();
    const at = capabilities(pci.config).get(0x05)!;
    pci.config.write(Header.command, 2, Command.busMaster);
    pci.config.write(at + Msi.addressLow, 4, 0xfee0_0000);
    pci.config.write(at + Msi.addressHigh, 4, 1);
    pci.config.write(at + Msi.data, 2, 0x4040);
    pci.config.write(at + Msi.control, 2, 1 | (2 << 4));
    pci.notify(3);
    expect(bus.messages).toEqual([{ address: 0x1_fee0_0000n, data: 0x4043 }]);
    pci.config.write(at + Msi.mask, 4, 1 << 2);
    pci.notify(2);
    expect(pci.config.read(at + Msi.pending, 4)).toBe(4);
    pci.config.write(at + Msi.mask, 4, 0);
    expect(bus.messages.at(-1)).toEqual({ address: 0x1_fee0_0000n, data: 0x4042 });
    expect(pci.config.read(at + Msi.pending, 4)).toBe(0);
  });

  test("with fewer MSI vectors allowed than there are, the last allowed one stands for the rest", () => {
    const { pci, bus } = makeTestFunction();
    const at = capabilities(pci.config).get(0x05)!;
    pci.config.write(Header.command, 2, Command.busMaster);
    pci.config.write(at + Msi.data, 2, 0x10);
    pci.config.write(at + Msi.control, 2, 1 | (1 << 4));
    pci.notify(3);
    expect(bus.messages.map((m) => m.data)).toEqual([0x11]);
  });

  test("MSI-X entries start masked; what was pending is sent when they are unmasked", () => {
    const { pci, bus } = makeTestFunction();
    const at = capabilities(pci.config).get(0x11)!;
    const bar = pci.bar(2)!;
    pci.config.write(Header.command, 2, Command.busMaster);
    pci.config.write(at + Msix.control, 2, 0x8000);
    bar.write(0x3000 + 5 * 16, 8, 0xfee0_0000, 0);
    bar.write(0x3000 + 5 * 16 + 8, 4, 0x55, 0);
    pci.notify(5);
    expect(bus.messages).toEqual([]);
    bar.read(0x3800, 8);
    expect(bar.low).toBe(1 << 5);
    bar.write(0x3000 + 5 * 16 + 12, 4, 0, 0);
    expect(bus.messages).toEqual([{ address: 0xfee0_0000n, data: 0x55 }]);
    bar.read(0x3800, 8);
    expect(bar.low).toBe(0);
  });

  test("the function mask holds all vectors, and pending bits cannot be written", () => {
    const { pci, bus } = makeTestFunction();
    const at = capabilities(pci.config).get(0x11)!;
    const bar = pci.bar(2)!;
    pci.config.write(Header.command, 2, Command.busMaster);
    bar.write(0x3000 + 12, 4, 0, 0);
    pci.config.write(at + Msix.control, 2, 0xc000);
    pci.notify(0);
    bar.write(0x3800, 4, 0xff, 0);
    bar.read(0x3800, 4);
    expect(bar.low).toBe(1);
    pci.config.write(at + Msix.control, 2, 0x8000);
    expect(bus.messages).toHaveLength(1);
  });

  test("messages need bus mastering", () => {
    const { pci, bus } = makeTestFunction();
    pci.config.write(capabilities(pci.config).get(0x11)! + Msix.control, 2, 0x8000);
    pci.bar(2)!.write(0x3000 + 12, 4, 0, 0);
    pci.notify(0);
    expect(bus.messages).toEqual([]);
  });
});

describe("DMA and reset", () => {
  test("DMA needs bus mastering and full power", () => {
    const { pci } = makeTestFunction();
    const at = 0x100n as Iova;
    expect(pci.dma.write(at, Uint8Array.of(1))).toBe(DmaStatus.decodeError);
    pci.config.write(Header.command, 2, Command.busMaster);
    expect(pci.dma.write(at, Uint8Array.of(1))).toBe(DmaStatus.ok);
    pci.config.write(capabilities(pci.config).get(0x01)! + Pm.control, 2, 3);
    expect(pci.dma.read(at, new Uint8Array(1))).toBe(DmaStatus.decodeError);
  });

  test("a function-level reset clears registers and tells the device; its bit reads 0", () => {
    const made = makeTestFunction();
    const { pci, bus } = made;
    pci.config.write(Header.command, 2, Command.busMaster | Command.memory);
    pci.config.write(BAR0, 4, 0xfe00_0000);
    pci.setIntx(true);
    const at = capabilities(pci.config).get(0x10)!;
    pci.config.write(at + Exp.deviceControl, 2, 0x8000);
    expect(made.resets).toBe(1);
    expect(pci.config.read(at + Exp.deviceControl, 2)).toBe(0x2810);
    expect(pci.config.read(Header.command, 2)).toBe(0);
    expect(pci.config.read(BAR0, 4)).toBe(0);
    expect(pci.bar(0)!.address).toBeUndefined();
    expect(bus.intx.level).toBe(false);
    expect(capabilities(pci.config).size).toBe(4);
  });

  test("a power state that the function lacks is not entered", () => {
    const { pci } = makeTestFunction();
    const at = capabilities(pci.config).get(0x01)!;
    pci.config.write(at + Pm.control, 2, 2);
    expect(pci.powerState).toBe(0);
  });
});

describe("saved state", () => {
  test("goes over with addresses, messages and the line", () => {
    const from = makeTestFunction();
    from.pci.config.write(Header.command, 2, Command.memory);
    from.pci.config.write(BAR0, 4, 0xfe00_0000);
    from.pci.bar(2)!.write(0x3000 + 8, 4, 0x77, 0);
    from.pci.setIntx(true);
    const to = makeTestFunction();
    to.pci.loadState(decodeState(to.pci.stateDescription, encodeState(from.pci)));
    expect(to.pci.bar(0)!.address).toBe(0xfe00_0000n);
    expect(to.bus.intx.level).toBe(true);
    to.pci.bar(2)!.read(0x3008, 4);
    expect(to.pci.bar(2)!.low).toBe(0x77);
  });

  test("of another function is refused by the register that differs", () => {
    const from = makeTestFunction({ identity: { vendorId: 0x1234, deviceId: 0x5679, classCode: 0x08_80_00 } });
    const to = makeTestFunction();
    const load = (): void => to.pci.loadState(from.pci.saveState());
    expect(load).toThrow(PciStateError);
    expect(load).toThrow("header.deviceId");
  });
});
