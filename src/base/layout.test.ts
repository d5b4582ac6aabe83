import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  bytes,
  i32le,
  i64le,
  layout,
  LayoutError,
  u16be,
  u16le,
  u32be,
  u32le,
  u64be,
  u64le,
  u8,
} from "./layout.ts";

const Head = layout("Head", 16, { base: u64le, slots: u16le, flags: u16le, _pad: u32le });

describe("a layout", () => {
  test("knows the offset of each field", () => {
    expect(Head.offsets).toEqual({ base: 0, slots: 8, flags: 10, _pad: 12 });
  });

  test("decodes at an offset", () => {
    const source = new Uint8Array(20);
    source.set([0xff, 1, 0, 0, 0, 0, 0, 0, 0x34, 0x12], 4);
    expect(Head.decode(source, 4)).toEqual({ base: 0x1ffn, slots: 0x1234, flags: 0, _pad: 0 });
  });

  test("decodes a view that does not start at its buffer's start", () => {
    const whole = Uint8Array.from({ length: 20 }, (_, i) => i);
    expect(Head.decode(whole.subarray(4)).slots).toBe(0x0d0c);
  });

  test("encodes what it was given and zeroes the rest", () => {
    const target = new Uint8Array(18).fill(0xee);
    Head.encode({ slots: 0x0102 }, target, 1);
    expect([...target]).toEqual([0xee, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0xee]);
  });

  test("reading past the end is an error with the lengths in it", () => {
    expect(() => Head.decode(new Uint8Array(15))).toThrow(new LayoutError("Head needs 16 bytes at 0; 15 are there"));
    expect(() => Head.decode(new Uint8Array(16), 1)).toThrow(LayoutError);
    expect(() => Head.decode(new Uint8Array(16), -1)).toThrow(LayoutError);
  });

  test("writing past the end is an error too", () => {
    expect(() => Head.encode({}, new Uint8Array(15))).toThrow(LayoutError);
  });

  test("whose fields do not add up to its size is refused where it is declared", () => {
    expect(() => layout("Wrong", 8, { a: u32le })).toThrow("layout Wrong has its declared size (4, 8)");
  });

  test("nests, with arrays and byte runs", () => {
    const Outer = layout("Outer", 40, { heads: array(Head, 2), tag: bytes(8) });
    const tag = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    const head = { base: 5n, slots: 6, flags: 7, _pad: 0 };
    const encoded = Outer.encode({ heads: [head, head], tag });
    expect(Outer.decode(encoded)).toEqual({ heads: [head, head], tag });
  });

  test("a byte run of another length is our own mistake", () => {
    const Tag = layout("Tag", 2, { tag: bytes(2) });
    expect(() => Tag.encode({ tag: new Uint8Array(3) })).toThrow("bytes field has its declared length");
  });

  test("a byte run is a copy", () => {
    const Tag = layout("Tag", 2, { tag: bytes(2) });
    const source = new Uint8Array(2);
    const { tag } = Tag.decode(source);
    source[0] = 9;
    expect(tag[0]).toBe(0);
  });
});

test("byte orders and signs are what their names say", () => {
  const All = layout("All", 41, {
    a: u16be,
    b: u32be,
    c: u64be,
    d: i32le,
    e: i64le,
    f: u64le,
    g: u8,
    h: u16le,
    i: u32le,
  });
  const encoded = All.encode({ a: 1, b: 2, c: 3n, d: -1, e: -2n, f: 4n, g: 5, h: 6, i: 7 });
  const bigEndian = [0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3];
  const signed = [255, 255, 255, 255, 254, 255, 255, 255, 255, 255, 255, 255];
  const unsigned = [4, 0, 0, 0, 0, 0, 0, 0, 5, 6, 0, 7, 0, 0, 0];
  expect([...encoded]).toEqual([...bigEndian, ...signed, ...unsigned]);
  expect(All.decode(encoded)).toEqual({ a: 1, b: 2, c: 3n, d: -1, e: -2n, f: 4n, g: 5, h: 6, i: 7 });
});

test("any values that fit come back", () => {
  const values = fc.record({
    base: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    slots: fc.nat(0xffff),
    flags: fc.nat(0xffff),
    _pad: fc.nat(0xffff_ffff),
  });
  fc.assert(
    fc.property(values, (given) => {
      expect(Head.decode(Head.encode(given))).toEqual(given);
    }),
  );
});
