import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AccessRule, type AccessWidth, MemTx, type MmioHandler } from "./index.ts";
import { MmioPort } from "./mmio-port.ts";

type Call = readonly [kind: "r" | "w", offset: number, width: number, value?: number | bigint];

/** A device of `lengthBytes` plain bytes that records how it is called. */
class ByteDevice implements MmioHandler {
  readonly calls: Call[] = [];
  readonly bytes: DataView;
  readonly valid?: AccessRule;
  readonly impl?: AccessRule;

  constructor(lengthBytes: number, rules: { valid?: AccessRule; impl?: AccessRule } = {}) {
    this.bytes = new DataView(Uint8Array.from({ length: lengthBytes }, (_, i) => 0x10 + i).buffer);
    Object.assign(this, rules);
  }

  read(offset: number, width: 1 | 2 | 4): number {
    this.calls.push(["r", offset, width]);
    if (width === 1) return this.bytes.getUint8(offset);
    return width === 2 ? this.bytes.getUint16(offset, true) : this.bytes.getUint32(offset, true);
  }

  write(offset: number, width: 1 | 2 | 4, value: number): void {
    this.calls.push(["w", offset, width, value]);
    if (width === 1) this.bytes.setUint8(offset, value);
    else if (width === 2) this.bytes.setUint16(offset, value, true);
    else this.bytes.setUint32(offset, value, true);
  }

  read64(offset: number): bigint {
    this.calls.push(["r", offset, 8]);
    return this.bytes.getBigUint64(offset, true);
  }

  write64(offset: number, value: bigint): void {
    this.calls.push(["w", offset, 8, value]);
    this.bytes.setBigUint64(offset, value, true);
  }
}

function portOf(device: ByteDevice): MmioPort {
  return new MmioPort("device", device.bytes.byteLength, device);
}

describe("splitting", () => {
  test("an 8-byte load from a 4-byte device is two loads, low first", () => {
    const device = new ByteDevice(16);
    const port = portOf(device);
    expect(port.read(8, 8)).toBe(MemTx.ok);
    expect([port.low, port.high]).toEqual([0x1b1a1918, 0x1f1e1d1c]);
    expect(device.calls).toEqual([
      ["r", 8, 4],
      ["r", 12, 4],
    ]);
  });

  test("an 8-byte store to a 4-byte device is two stores, low first", () => {
    const device = new ByteDevice(16);
    expect(portOf(device).write(0, 8, 0x89abcdef, 0x01234567)).toBe(MemTx.ok);
    expect(device.calls).toEqual([
      ["w", 0, 4, 0x89abcdef],
      ["w", 4, 4, 0x01234567],
    ]);
  });

  test("a 4-byte load from a byte device is four loads", () => {
    const device = new ByteDevice(8, { impl: { min: 1, max: 1 } });
    const port = portOf(device);
    port.read(4, 4);
    expect(port.low).toBe(0x17161514);
    expect(device.calls.map(([, offset, width]) => [offset, width])).toEqual([
      [4, 1],
      [5, 1],
      [6, 1],
      [7, 1],
    ]);
  });

  test("a device that implements 8 bytes gets them whole", () => {
    const device = new ByteDevice(8, { impl: { min: 1, max: 8 } });
    const port = portOf(device);
    port.read(0, 8);
    port.write(0, 8, 1, 0xffffffff);
    expect([port.low, port.high]).toEqual([0x13121110, 0x17161514]);
    expect(device.calls).toEqual([
      ["r", 0, 8],
      ["w", 0, 8, 0xffffffff00000001n],
    ]);
  });

  test("an unaligned load from an aligned device is made of aligned ones", () => {
    const device = new ByteDevice(16, { valid: { min: 1, max: 8, unaligned: true } });
    const port = portOf(device);
    expect(port.read(3, 8)).toBe(MemTx.ok);
    expect([port.low, port.high]).toEqual([0x16151413, 0x1a191817]);
    expect(device.calls.map(([, offset, width]) => [offset, width])).toEqual([
      [3, 1],
      [4, 4],
      [8, 2],
      [10, 1],
    ]);
  });

  test("a device that implements unaligned accesses gets them as they are", () => {
    const unaligned = { min: 1, max: 4, unaligned: true } as const;
    const device = new ByteDevice(16, { valid: unaligned, impl: unaligned });
    portOf(device).read(3, 4);
    expect(device.calls).toEqual([["r", 3, 4]]);
  });
});

describe("widening", () => {
  test("a byte load from a word device loads the word around it", () => {
    const device = new ByteDevice(8, { impl: { min: 4, max: 4 } });
    const port = portOf(device);
    port.read(6, 1);
    expect(port.low).toBe(0x16);
    expect(device.calls).toEqual([["r", 4, 4]]);
  });

  test("a byte store to a word device stores the word, zero elsewhere", () => {
    const device = new ByteDevice(8, { impl: { min: 4, max: 4 } });
    portOf(device).write(5, 1, 0xab, 0);
    expect(device.calls).toEqual([["w", 4, 4, 0xab00]]);
  });

  test("never reaches past the region's end", () => {
    const device = new ByteDevice(6, { impl: { min: 4, max: 4 } });
    const port = portOf(device);
    expect([port.read(4, 1), port.write(4, 2, 1, 0)]).toEqual([MemTx.decodeError, MemTx.decodeError]);
    expect(device.calls).toEqual([]);
  });
});

describe("refusal", () => {
  test("widths and alignments that the device does not accept are decode errors", () => {
    const device = new ByteDevice(16, { valid: { min: 4, max: 4 } });
    const port = portOf(device);
    expect([port.read(0, 1), port.read(0, 8), port.read(2, 4), port.write(0, 2, 0, 0)]).toEqual([1, 1, 1, 1]);
    expect(device.calls).toEqual([]);
  });

  test("a handler's refusal is a device error and ends a split access", () => {
    const calls: number[] = [];
    const port = new MmioPort("device", 8, {
      read(offset) {
        calls.push(offset);
        return undefined;
      },
      write(offset) {
        calls.push(offset);
        return offset !== 0;
      },
    });
    expect([port.read(0, 4), port.read(0, 8), port.write(0, 8, 0, 0), port.write(4, 4, 0, 0)]).toEqual([2, 2, 2, 0]);
    expect(calls).toEqual([0, 0, 0, 4]);
  });

  test("a handler is not entered while it runs", () => {
    const inner: MemTx[] = [];
    const port: MmioPort = new MmioPort("device", 8, {
      read: () => 0,
      write() {
        inner.push(port.write(0, 4, 1, 0), port.read(0, 4));
      },
    });
    expect(port.write(0, 4, 1, 0)).toBe(MemTx.ok);
    expect(inner).toEqual([MemTx.deviceError, MemTx.deviceError]);
  });

  test("bits beyond the width that a handler returns are dropped", () => {
    const port = new MmioPort("device", 8, { read: () => -1, write() {} });
    port.read(0, 1);
    expect(port.low).toBe(0xff);
    port.read(0, 4);
    expect(port.low).toBe(0xffffffff);
  });
});

const widths: readonly AccessWidth[] = [1, 2, 4, 8];
const rule: fc.Arbitrary<AccessRule> = fc
  .tuple(fc.nat(3), fc.nat(3), fc.boolean())
  .map(([a, b, unaligned]) => ({ min: widths[Math.min(a, b)]!, max: widths[Math.max(a, b)]!, unaligned }));

/** One access, and what the rules say about it. */
const access = fc
  .record({ valid: rule, impl: rule, lengthBytes: fc.integer({ min: 8, max: 40 }), width: fc.constantFrom(...widths) })
  .chain((about) => fc.nat(about.lengthBytes - about.width).map((offset) => ({ ...about, offset })));

test("a load gives the device's bytes or is refused by the rules, and calls keep the device's own rules", () => {
  fc.assert(
    fc.property(access, ({ valid, impl, lengthBytes, width, offset }) => {
      const device = new ByteDevice(lengthBytes, { valid, impl });
      const port = portOf(device);
      const status = port.read(offset, width);
      const bytes = Array.from({ length: width }, (_, i) => BigInt(0x10 + offset + i) << BigInt(i * 8));
      const value = bytes.reduce((sum, byte) => sum | byte, 0n);
      const accepted = width >= valid.min && width <= valid.max && (valid.unaligned === true || offset % width === 0);
      const fits = Math.ceil((offset + width) / impl.min) * impl.min <= lengthBytes;

      expect(accepted || status === MemTx.decodeError).toBe(true);
      expect(!(accepted && fits) || status === MemTx.ok).toBe(true);
      expect(status !== MemTx.ok || (BigInt(port.high) << 32n) + BigInt(port.low) === value).toBe(true);
      for (const [, at, part] of device.calls) {
        expect(part >= impl.min && part <= impl.max && at >= 0 && at + part <= lengthBytes).toBe(true);
        expect(impl.unaligned === true || at % part === 0).toBe(true);
      }
    }),
    { numRuns: 1000 },
  );
});

test("a store changes exactly its bytes, where the device implements widths small enough", () => {
  const narrow = access.map((a) => ({ ...a, impl: { ...a.impl, min: 1 as const } }));
  fc.assert(
    fc.property(narrow, fc.nat(), fc.nat(), ({ valid, impl, lengthBytes, width, offset }, low, high) => {
      const device = new ByteDevice(lengthBytes, { valid, impl });
      const expected = new Uint8Array(device.bytes.buffer).slice();
      const status = portOf(device).write(offset, width, low, high);
      const value = (BigInt(high) << 32n) | BigInt(low);
      for (let i = 0; i < width && status === MemTx.ok; i++) {
        expected[offset + i] = Number((value >> BigInt(i * 8)) & 0xffn);
      }
      expect(new Uint8Array(device.bytes.buffer)).toEqual(expected);
    }),
    { numRuns: 1000 },
  );
});
