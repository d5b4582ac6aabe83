import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatSize, parseInteger, parseSize } from "./numbers.ts";
import {
  bool,
  convert,
  int32,
  intRange,
  link,
  oneOf,
  onOffAuto,
  property,
  readProperties,
  size,
  sizeInMebibytes,
  str,
  uint16,
  uint32,
  uint64,
} from "./properties.ts";
import { Refusal } from "./refusal.ts";

describe("bool", () => {
  test("has QEMU's words", () => {
    expect(["on", "yes", "true", "y"].map((word) => bool.parse(word))).toEqual([true, true, true, true]);
    expect(["off", "no", "false", "n"].map((word) => bool.parse(word))).toEqual([false, false, false, false]);
  });

  test("refuses everything else, in QEMU's words with what was given", () => {
    expect(() => convert(bool, "packed", "maybe", "-device x,packed=maybe")).toThrow(
      expect.objectContaining({
        code: "badValue",
        subject: "-device x,packed=maybe",
        message: "Parameter 'packed' expects 'on' or 'off'; given was 'maybe'",
      }),
    );
    expect(() => convert(bool, "packed", "ON")).toThrow("'ON'");
    expect(() => convert(bool, "packed", 1)).toThrow("given was 1");
  });
});

describe("integers", () => {
  test("are decimal, hexadecimal or octal", () => {
    expect([
      parseInteger("42"),
      parseInteger("0x2A"),
      parseInteger("052"),
      parseInteger("-7"),
      parseInteger("0"),
    ]).toEqual([42n, 42n, 42n, -7n, 0n]);
  });

  test("what is no integer is refused", () => {
    expect(["", "x", "1.5", "1k", "0x", "09", " 1", "1e3", "--1"].map(parseInteger)).toEqual(Array(9).fill(undefined));
  });

  test("have the range of their type", () => {
    expect(convert(uint16, "n", "65535")).toBe(65535);
    expect(() => convert(uint16, "n", "65536")).toThrow(
      "Parameter 'n' expects an integer from 0 to 65535; given was '65536'",
    );
    expect(() => convert(uint32, "n", "-1")).toThrow("from 0 to 4294967295");
    expect(convert(int32, "n", "-2147483648")).toBe(-2147483648);
    expect(convert(uint64, "n", "18446744073709551615")).toBe((1n << 64n) - 1n);
    expect(() => convert(uint64, "n", "18446744073709551616")).toThrow("from 0 to 2^64 - 1");
    expect(() => convert(intRange("uint8", 1, 8), "n", 9)).toThrow("from 1 to 8");
  });

  test("as JSON must be whole", () => {
    expect(convert(uint16, "n", 12)).toBe(12);
    expect(() => convert(uint16, "n", 1.5)).toThrow("given was 1.5");
    expect(() => convert(uint64, "n", 2 ** 60)).toThrow("from 0 to 2^64 - 1");
    expect(() => convert(uint16, "n", [1])).toThrow("given was a list");
    expect(() => convert(uint16, "n", null)).toThrow("given was null");
  });
});

describe("sizes", () => {
  test.each([
    ["4096", 4096],
    ["512M", 512 * 2 ** 20],
    ["1.5G", 1.5 * 2 ** 30],
    ["0x80000000", 2 ** 31],
    ["2k", 2048],
    ["1T", 2 ** 40],
    ["4P", 2 ** 52],
    ["8b", 8],
    [".5K", 512],
    ["1.K", 1024],
    ["1.0", 1],
  ])("%s is %d bytes", (text, lengthBytes) => {
    expect(convert(size, "size", text)).toBe(lengthBytes);
  });

  test.each(["", "M", ".", "1.5", "-1", "1 G", "5q", "0x10M", "0x1.8", "1e3", "1KB", "8P", "16E"])(
    "%s is refused",
    (text) => {
      expect(() => convert(size, "size", text)).toThrow("Parameter 'size' expects a size below 2^53 bytes");
    },
  );

  test("a number for -m counts in mebibytes", () => {
    expect(convert(sizeInMebibytes, "size", "512")).toBe(512 * 2 ** 20);
    expect(convert(sizeInMebibytes, "size", "512K")).toBe(512 * 2 ** 10);
    expect(convert(sizeInMebibytes, "size", "1.5")).toBe(1.5 * 2 ** 20);
  });

  test("the largest of QEMU's fits 64 bits, the next one does not", () => {
    expect(parseSize("15.9999E")).toBeTypeOf("bigint");
    expect(parseSize("18446744073709551615")).toBe((1n << 64n) - 1n);
    expect(parseSize("16E")).toBeInstanceOf(Refusal);
  });

  test("fractions round to the nearest byte", () => {
    expect(parseSize("12.345M")).toBe(BigInt(Math.floor(12.345 * 2 ** 20 + 0.5)));
    expect(parseSize("0.1K")).toBe(102n);
  });

  test("any size is read back from what is shown", () => {
    fc.assert(
      fc.property(fc.nat(Number.MAX_SAFE_INTEGER), fc.nat(40), (n, shift) => {
        const lengthBytes = Math.floor(n / 2 ** shift) * 2 ** shift;
        expect(convert(size, "size", size.format(lengthBytes))).toBe(lengthBytes);
      }),
    );
    expect(formatSize(3 * 2 ** 30)).toBe("3G");
  });
});

describe("enumerations and links", () => {
  test("refuse other words with those that would do", () => {
    expect(convert(onOffAuto, "x", "auto")).toBe("auto");
    expect(() => convert(onOffAuto, "x", "maybe")).toThrow(
      "Parameter 'x' does not accept this value; 'on', 'off' or 'auto' would do; given was 'maybe'",
    );
    expect(() => convert(oneOf("One", ["a"]), "x", true)).toThrow("Parameter 'x' expects 'a'; given was true");
  });

  test("a link is a text with the name of what it leads to", () => {
    expect(link("iothread").name).toBe("link<iothread>");
    expect(convert(link("iothread"), "x", "io0")).toBe("io0");
    expect(() => convert(str, "x", 5)).toThrow("expects a string; given was 5");
  });
});

describe("a property table", () => {
  const table = {
    "queue-size": property(uint16, { default: 256, description: "length of the queue" }),
    packed: property(bool, { default: false }),
    serial: property(str),
  };

  test("gives typed values and defaults", () => {
    expect(readProperties("virtio-blk-device", table, { packed: "on", "queue-size": 64 })).toEqual({
      "queue-size": 64,
      packed: true,
      serial: undefined,
    });
  });

  test("refuses a property that it does not have, and names of JavaScript", () => {
    expect(() => readProperties("virtio-blk-device", table, { foo: "1" }, "-device virtio-blk-device,foo=1")).toThrow(
      expect.objectContaining({
        code: "unknownProperty",
        subject: "-device virtio-blk-device,foo=1",
        message: "Property 'virtio-blk-device.foo' not found",
      }),
    );
    expect(() => readProperties("x", table, { constructor: "1" })).toThrow("Property 'x.constructor' not found");
  });
});
