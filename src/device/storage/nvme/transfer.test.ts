import { describe, expect, test } from "vitest";
import { TestBus } from "../../pci/test-function.ts";
import { Sc } from "./spec.ts";
import { Transfer } from "./transfer.ts";

function makeTransfer() {
  const bus = new TestBus(0x4_0000);
  const view = new DataView(bus.memory.buffer);
  const transfer = new Transfer();
  /** Entries of a PRP list. */
  const list = (at: number, entries: readonly number[]): void =>
    entries.forEach((entry, i) => view.setBigUint64(at + 8 * i, BigInt(entry), true));
  const prp = (prp1: number, prp2: number, lengthBytes: number, pageBytes = 4096): number =>
    transfer.mapPrp(bus.dma, pageBytes, BigInt(prp1), BigInt(prp2), lengthBytes);
  const descriptor = (at: number, address: number, length: number, kind: number): void => {
    view.setBigUint64(at, BigInt(address), true);
    view.setUint32(at + 8, length, true);
    view.setUint32(at + 12, (kind << 24) >>> 0, true);
  };
  const sgl = (lengthBytes: number, toMemory = true): number =>
    transfer.mapSgl(bus.dma, view, 0, lengthBytes, toMemory);
  return { bus, transfer, list, prp, descriptor, sgl };
}

/** Fills the transfer's first bytes with 1, 2, 3…, and says where those bytes are in memory. */
function places({ bus, transfer }: ReturnType<typeof makeTransfer>, offset: number, count: number): number[] {
  bus.memory.fill(0, 0x8000);
  const numbers = Uint8Array.from({ length: count }, (_, i) => i + 1);
  expect(transfer.write(bus.dma, offset, numbers)).toBe(true);
  const back = new Uint8Array(count);
  expect(transfer.read(bus.dma, offset, back)).toBe(true);
  expect(back).toEqual(numbers);
  return [...numbers].map((n) => bus.memory.indexOf(n, 0x8000));
}

describe("PRPs", () => {
  test("of one page may begin within it", () => {
    const made = makeTransfer();
    expect(made.prp(0x8004, 0, 4092)).toBe(Sc.success);
    expect(places(made, 4090, 2)).toEqual([0x8ffe, 0x8fff]);
  });

  test("of two pages need no list", () => {
    const made = makeTransfer();
    expect(made.prp(0x8ffc, 0xa000, 4096)).toBe(Sc.success);
    expect(places(made, 3, 2)).toEqual([0x8fff, 0xa000]);
  });

  test("of more pages have a list, which may begin within a page", () => {
    const made = makeTransfer();
    made.list(0x1800, [0xa000, 0xc000]);
    expect(made.prp(0x8ff8, 0x1800, 8 + 8192)).toBe(Sc.success);
    expect(places(made, 7, 2)).toEqual([0x8fff, 0xa000]);
    expect(places(made, 8 + 4095, 2)).toEqual([0xafff, 0xc000]);
  });

  test("go on in another list page where the first is full", () => {
    const made = makeTransfer();
    made.list(0x1ff0, [0xa000, 0x2ff0]);
    made.list(0x2ff0, [0xc000, 0xe000]);
    expect(made.prp(0x8000, 0x1ff0, 4 * 4096)).toBe(Sc.success);
    expect(places(made, 3 * 4096 - 1, 2)).toEqual([0xcfff, 0xe000]);
  });

  test("have the page size that software chose", () => {
    const made = makeTransfer();
    expect(made.prp(0x8000, 0x1_0000, 0x6000, 0x4000)).toBe(Sc.success);
    expect(places(made, 0x3fff, 2)).toEqual([0xbfff, 0x1_0000]);
  });

  test.each([
    ["a first entry off a dword", 0x8002, 0, 512],
    ["a second entry within a page", 0x8000, 0x9008, 8192],
    ["a list off a quadword", 0x8000, 0x1004, 3 * 4096],
    ["an entry within a page", 0x8000, 0x1000, 3 * 4096],
  ])("with %s are refused", (_what, prp1, prp2, lengthBytes) => {
    const made = makeTransfer();
    made.list(0x1000, [0xa000, 0xb010]);
    expect(made.prp(prp1, prp2, lengthBytes)).toBe(Sc.invalidPrpOffset);
  });

  test("whose list leads in circles come to an end", () => {
    const made = makeTransfer();
    made.list(0x1ff8, [0x1ff8]);
    expect(made.prp(0x8000, 0x1ff8, 0x10_0000)).toBe(Sc.invalidPrpOffset);
  });

  test("whose list is not in memory are a transfer error", () => {
    expect(makeTransfer().prp(0x8000, 0x100_0000, 0x10_0000)).toBe(Sc.dataTransferError);
  });

  test("that lie outside memory fail when they are used", () => {
    const { bus, transfer, prp } = makeTransfer();
    expect(prp(0x100_0000, 0, 4096)).toBe(Sc.success);
    expect(transfer.read(bus.dma, 0, new Uint8Array(8))).toBe(false);
    expect(transfer.write(bus.dma, 0, new Uint8Array(8))).toBe(false);
  });
});

describe("SGLs", () => {
  test("may be one data block in the command", () => {
    const made = makeTransfer();
    made.descriptor(0, 0x8123, 7, 0x00);
    expect(made.sgl(7)).toBe(Sc.success);
    expect(places(made, 5, 2)).toEqual([0x8128, 0x8129]);
  });

  test("may be segments of data blocks and bit buckets", () => {
    const made = makeTransfer();
    made.descriptor(0, 0x1000, 32, 0x20);
    made.descriptor(0x1000, 0x8000, 3, 0x00);
    made.descriptor(0x1010, 0x2000, 48, 0x30);
    made.descriptor(0x2000, 0xa000, 2, 0x00);
    made.descriptor(0x2010, 0, 100, 0x10);
    made.descriptor(0x2020, 0xc000, 4, 0x00);
    expect(made.sgl(109)).toBe(Sc.success);
    expect(made.transfer.write(made.bus.dma, 0, new Uint8Array(109).fill(9))).toBe(true);
    expect([...made.bus.memory.subarray(0x8000, 0x8004)]).toEqual([9, 9, 9, 0]);
    expect([...made.bus.memory.subarray(0xa000, 0xa003)]).toEqual([9, 9, 0]);
    expect([...made.bus.memory.subarray(0xc000, 0xc005)]).toEqual([9, 9, 9, 9, 0]);
    expect([...made.bus.memory.subarray(0, 1)]).toEqual([0]);
  });

  test("lose their bit buckets where data comes from memory", () => {
    const made = makeTransfer();
    made.descriptor(0, 0x1000, 32, 0x30);
    made.descriptor(0x1000, 0, 100, 0x10);
    made.descriptor(0x1010, 0x8000, 4, 0x00);
    expect(made.sgl(4, false)).toBe(Sc.success);
    expect(places(made, 0, 2)).toEqual([0x8000, 0x8001]);
  });

  test.each([
    ["too short", 0x8000, 6, 0x00, Sc.sglLengthInvalid],
    ["too long", 0x8000, 8, 0x00, Sc.sglLengthInvalid],
    ["of an unknown type", 0x8000, 7, 0x40, Sc.sglTypeInvalid],
    ["of an unknown subtype", 0x8000, 7, 0x01, Sc.sglTypeInvalid],
    ["an empty segment", 0x1000, 0, 0x20, Sc.invalidSglSegment],
    ["a segment of 1.5 descriptors", 0x1000, 24, 0x20, Sc.invalidSglSegment],
    ["a segment outside memory", 0x100_0000, 16, 0x20, Sc.dataTransferError],
  ])("%s are refused", (_what, address, length, kind, status) => {
    const made = makeTransfer();
    made.descriptor(0, address, length, kind);
    expect(made.sgl(7)).toBe(status);
  });

  test("that lead on from within a segment, or from the last one, are refused", () => {
    const made = makeTransfer();
    made.descriptor(0, 0x1000, 32, 0x20);
    made.descriptor(0x1000, 0x2000, 16, 0x30);
    made.descriptor(0x1010, 0x8000, 7, 0x00);
    expect(made.sgl(7)).toBe(Sc.invalidSglSegment);
    made.descriptor(0, 0x1000, 16, 0x30);
    expect(made.sgl(7)).toBe(Sc.invalidSglSegment);
  });

  test("that lead in circles come to an end", () => {
    const made = makeTransfer();
    made.descriptor(0, 0x1000, 16, 0x20);
    made.descriptor(0x1000, 0x1000, 16, 0x20);
    expect(made.sgl(7)).toBe(Sc.invalidSglCount);
  });
});
