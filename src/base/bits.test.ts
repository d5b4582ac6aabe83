import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { alignDown, alignUp, bit, bits, bits64, getField, isPowerOfTwo, mask64, setField } from "./bits.ts";

describe("bit fields", () => {
  test("have their lowest bit, width and mask", () => {
    expect(bits(7, 4)).toEqual({ low: 4, widthBits: 4, mask: 0xf0 });
    expect(bit(31)).toEqual({ low: 31, widthBits: 1, mask: 0x8000_0000 });
    expect(bits(31, 0)).toEqual({ low: 0, widthBits: 32, mask: 0xffff_ffff });
  });

  test("read as unsigned numbers, the highest bit too", () => {
    expect(getField(0x8000_0000, bit(31))).toBe(1);
    expect(getField(0xffff_ffff, bits(31, 0))).toBe(0xffff_ffff);
  });

  test("setting one leaves the others and drops what does not fit", () => {
    expect(setField(0xffff_ffff, bits(7, 4), 0)).toBe(0xffff_ff0f);
    expect(setField(0, bits(7, 4), 0x1f)).toBe(0xf0);
  });

  test("what was set is read back, and nothing else changed", () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), fc.nat(31), fc.nat(31), fc.nat(0xffff_ffff), (value, a, b, to) => {
        const field = bits(Math.max(a, b), Math.min(a, b));
        const fitting = getField(to, { ...field, low: 0, mask: field.mask >>> field.low });
        const written = setField(value, field, fitting);
        expect(getField(written, field)).toBe(fitting);
        expect((written ^ value) & ~field.mask).toBe(0);
      }),
    );
  });
});

test("64-bit fields and masks", () => {
  expect(bits64(0x8000_0000_0000_00f0n, 63, 60)).toBe(8n);
  expect(mask64(63, 0)).toBe(0xffff_ffff_ffff_ffffn);
  expect(mask64(11, 4)).toBe(0xff0n);
});

test("powers of two up to 2^52, and nothing else", () => {
  expect([1, 2, 4096, 2 ** 40, 2 ** 52].every(isPowerOfTwo)).toBe(true);
  expect([0, -2, 3, 4097, 2 ** 40 + 1, 0.5, 2 ** 52 - 1].some(isPowerOfTwo)).toBe(false);
});

test("aligning up and down, past 32 bits too", () => {
  expect(alignUp(1, 4096)).toBe(4096);
  expect(alignUp(8192, 4096)).toBe(8192);
  expect(alignDown(8191, 4096)).toBe(4096);
  expect(alignUp(2 ** 40 + 1, 4096)).toBe(2 ** 40 + 4096);
});
