import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { DmaStatus, type DmaPort } from "../../../memory/port.ts";
import { TestHost } from "../../test-host.ts";
import { FwCfg } from "./device.ts";

const MEMORY_BYTES = 0x1000;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A device with one file of two bytes, and 4 KiB of memory that it reaches. */
function makeFwCfg() {
  const host = new TestHost();
  const memory = new Uint8Array(MEMORY_BYTES).fill(0xaa);
  const within = (at: bigint, length: number): boolean => at + BigInt(length) <= BigInt(MEMORY_BYTES);
  const dma = {
    read: (at: bigint, into: Uint8Array) => {
      if (!within(at, into.length)) return DmaStatus.decodeError;
      into.set(memory.subarray(Number(at), Number(at) + into.length));
      return DmaStatus.ok;
    },
    write: (at: bigint, bytes: Uint8Array) => {
      if (!within(at, bytes.length)) return DmaStatus.decodeError;
      memory.set(bytes, Number(at));
      return DmaStatus.ok;
    },
  } as unknown as DmaPort;
  const content = {
    cpuCount: 4,
    uuid: Uint8Array.from({ length: 16 }, (_, i) => i),
    files: [
      { name: "opt/b", bytes: utf8("hi") },
      { name: "opt/a", bytes: utf8("") },
    ],
  };
  const device = new FwCfg({ content, dma, trace: host.trace });
  const select = (key: number): boolean | void => device.mmio.write(8, 2, ((key & 0xff) << 8) | (key >>> 8));
  const bytes = (count: number): number[] => Array.from({ length: count }, () => device.mmio.read(0, 1)!);
  /** Describes a transfer at 0x100 and starts it; answers the control word that is left there. */
  const transfer = (control: number, length: number, address: bigint): number => {
    const view = new DataView(memory.buffer);
    view.setUint32(0x100, control);
    view.setUint32(0x104, length);
    view.setBigUint64(0x108, address);
    device.mmio.write(0x14, 4, 0x0001_0000);
    return view.getUint32(0x100);
  };
  return { host, device, memory, select, bytes, transfer };
}

describe("by selector and data", () => {
  test("the signature is selected after power-on, and a wide read keeps the order of bytes", () => {
    const { device } = makeFwCfg();
    expect(device.mmio.read(0, 4)).toBe(0x554d4551);
    expect(device.mmio.read64!(0)).toBe(0n);
  });

  test("selecting begins anew", () => {
    const { select, bytes } = makeFwCfg();
    bytes(3);
    select(0);
    expect(bytes(4)).toEqual([...utf8("QEMU")]);
  });

  test("id, number of harts and UUID", () => {
    const { select, bytes } = makeFwCfg();
    select(1);
    expect(bytes(4)).toEqual([3, 0, 0, 0]);
    select(5);
    expect(bytes(2)).toEqual([4, 0]);
    select(2);
    expect(bytes(16)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
  });

  test("the directory lists files by name with their lengths and keys", () => {
    const { select, bytes } = makeFwCfg();
    select(0x19);
    expect(bytes(4)).toEqual([0, 0, 0, 2]);
    expect(bytes(14)).toEqual([0, 0, 0, 0, 0, 0x20, 0, 0, ...utf8("opt/a"), 0]);
    bytes(64 - 14);
    expect(bytes(14)).toEqual([0, 0, 0, 2, 0, 0x21, 0, 0, ...utf8("opt/b"), 0]);
  });

  test("past the end of an item, and where there is none, everything reads as zero", () => {
    const { select, bytes } = makeFwCfg();
    select(0x21);
    expect(bytes(4)).toEqual([...utf8("hi"), 0, 0]);
    for (const key of [0x22, 0x1000, 0x8000, 0x3f, 0x40]) {
      select(key);
      expect(bytes(2)).toEqual([0, 0]);
    }
  });

  test("the selector can only be written, in two bytes", () => {
    const { device } = makeFwCfg();
    expect(device.mmio.read(8, 2)).toBeUndefined();
    expect(device.mmio.write(8, 1, 0)).toBe(false);
    expect(device.mmio.write(8, 4, 0)).toBe(false);
  });
});

describe("by DMA", () => {
  test("the register reads as QEMU CFG", () => {
    const { device } = makeFwCfg();
    const bytes = new Uint8Array(new BigUint64Array([device.mmio.read64!(0x10)!]).buffer);
    expect(bytes).toEqual(utf8("QEMU CFG"));
    expect(device.mmio.read(0x14, 4)).toBe(0x47464320);
  });

  test("select and read fill the guest's buffer, with zeros past the item's end", () => {
    const { memory, transfer } = makeFwCfg();
    expect(transfer((0x21 << 16) | 8 | 2, 4, 0x200n)).toBe(0);
    expect(memory.subarray(0x200, 0x205)).toEqual(Uint8Array.of(...utf8("hi"), 0, 0, 0xaa));
  });

  test("skip goes forward in the item", () => {
    const { memory, transfer } = makeFwCfg();
    transfer((0 << 16) | 8 | 4, 2, 0n);
    expect(transfer(2, 2, 0x200n)).toBe(0);
    expect(memory.subarray(0x200, 0x202)).toEqual(utf8("MU"));
  });

  test("the address is given in two halves or at once", () => {
    const { device, memory } = makeFwCfg();
    memory.set([0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 2, 0], 0x300);
    device.mmio.write64!(0x10, 0x0003_0000_0000_0000n);
    expect(memory.subarray(0x200, 0x204)).toEqual(utf8("QEMU"));
    device.mmio.write(0x10, 4, 0x0100_0000);
    device.mmio.write(0x14, 4, 0x0003_0000);
    // There is no memory at 0x1_0000_0300.
    expect(memory.subarray(0x300, 0x304)).toEqual(new Uint8Array(4));
  });

  test("no item can be written", () => {
    const { transfer } = makeFwCfg();
    expect(transfer((0x21 << 16) | 8 | 16, 1, 0x200n)).toBe(1);
    expect(transfer((0x21 << 16) | 8 | 16, 0, 0x200n)).toBe(0);
  });

  test.each([
    ["outside memory", 0x1000n, 2],
    ["across its end", 0xfffn, 8],
    ["around the end of the address space", 0xffff_ffff_ffff_fffen, 0xffff_ffff],
  ])("a buffer %s is an error for the guest", (_name, address, length) => {
    const { host, transfer } = makeFwCfg();
    expect(transfer((0x21 << 16) | 8 | 2, length, address)).toBe(1);
    expect(host.guestErrors).toEqual(["fw_cfg: a transfer described at 0x100 failed"]);
  });

  test("a transfer whose bytes start it again does not", () => {
    const { host, memory } = makeFwCfg();
    memory.set([0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0], 0x100);
    const reads: bigint[] = [];
    const dma = {
      read: (at: bigint, into: Uint8Array) => {
        reads.push(at);
        into.set(memory.subarray(Number(at), Number(at) + into.length));
        return DmaStatus.ok;
      },
      // All memory is this device's registers.
      write: () => {
        again.mmio.write(0x14, 4, 0x0001_0000);
        return DmaStatus.ok;
      },
    } as unknown as DmaPort;
    const content = { cpuCount: 1, uuid: new Uint8Array(16), files: [] };
    const again = new FwCfg({ content, dma, trace: host.trace });
    again.mmio.write(0x14, 4, 0x0001_0000);
    expect(reads).toEqual([0x100n]);
    expect(host.guestErrors).toContain("fw_cfg: a transfer into its own registers starts no other");
  });

  test("whatever a guest writes there, nothing breaks", () => {
    const { device, memory } = makeFwCfg();
    const word = fc.integer({ min: 0, max: 0xffff_ffff });
    fc.assert(
      fc.property(word, word, word, fc.constantFrom(0x08, 0x10, 0x14), (control, length, address, offset) => {
        const view = new DataView(memory.buffer);
        view.setUint32(0x100, control);
        view.setUint32(0x104, length);
        view.setUint32(0x108, address);
        device.mmio.write(0x14, 4, 0x0001_0000);
        device.mmio.write(offset, offset === 8 ? 2 : 4, address);
        device.mmio.read64!(0);
      }),
    );
  });
});

test("state comes back: the item and the place in it, and half an address", () => {
  const first = makeFwCfg();
  first.select(0x21);
  first.bytes(1);
  first.device.mmio.write(0x10, 4, 0x0100_0000);
  const second = makeFwCfg();
  second.device.loadState(first.device.saveState());
  expect(second.bytes(1)).toEqual([...utf8("i")]);
  expect(second.device.saveState().dmaAddress).toBe(0x1_0000_0000n);
  second.device.reset();
  expect(second.device.saveState()).toEqual({ selected: 0, offset: 0, dmaAddress: 0n });
});
