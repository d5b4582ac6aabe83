import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ParseResult } from "./parser.ts";
import { JsonStreamer } from "./streamer.ts";
import { jsonText, type JsonValue } from "./value.ts";

function read(input: string | Uint8Array, step = Infinity): ParseResult[] {
  const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
  const results: ParseResult[] = [];
  const streamer = new JsonStreamer((result) => results.push(result));
  for (let at = 0; at < bytes.length; at += step) streamer.push(bytes.subarray(at, at + Math.min(step, bytes.length)));
  streamer.end();
  return results;
}

const value = (text: string): unknown => {
  const [first, ...rest] = read(text);
  expect(rest).toEqual([]);
  return first;
};

describe("a stream of JSON texts", () => {
  test("is cut where brackets close, with or without space between", () => {
    expect(read('{"a":1}{"b":[2]}\r\n 3 "x"')).toEqual([
      { value: { a: 1 } },
      { value: { b: [2] } },
      { value: 3 },
      { value: "x" },
    ]);
  });

  test("may arrive a byte at a time", () => {
    expect(read('{"é": "😀\\u00e9", "n": -12.5e1}', 1)).toEqual([{ value: { é: "😀é", n: -125 } }]);
  });

  test("takes QEMU's single quotes", () => {
    expect(value("{'execute': 'a\"b'}")).toEqual({ value: { execute: 'a"b' } });
  });

  test("keeps integers exact to 64 bits", () => {
    expect(value("9223372036854775807")).toEqual({ value: 9223372036854775807n });
    expect(value("18446744073709551615")).toEqual({ value: 18446744073709551615n });
    expect(value("-9223372036854775808")).toEqual({ value: -9223372036854775808n });
    expect(value("9007199254740991")).toEqual({ value: 9007199254740991 });
    // Past that QEMU has a double.
    expect(value("18446744073709551616")).toEqual({ value: 18446744073709552000 });
  });

  test.each([
    ["{'a' 1}", "missing : in object pair"],
    ["{'a': 1 'b': 2}", "expected separator in dict"],
    ["[1 2]", "expected separator in list"],
    ["{1: 2}", "key is not a string in object"],
    ["{'a': 1, 'a': 2}", "duplicate key"],
    ["{'a': maybe}", "invalid keyword 'maybe'"],
    ["{'a': }", "expecting value"],
    ["}", "expecting value"],
    ["'\\x'", "invalid escape '\\x' in string"],
    ["'\\u12g4'", "invalid hex escape '\\u12g' in string"],
    ["'\\ud800'", "invalid Unicode sequence in string"],
    ["{'a': 1", "premature EOI"],
  ])("%s is an error", (text, error) => {
    expect(read(text)).toEqual([{ error }]);
  });

  test("goes on after garbage at the next bracket or line", () => {
    expect(read("@@@ more\n{'a': 1}")).toEqual([{ error: "stray '@'" }, { value: { a: 1 } }]);
    expect(read("{'a': 01x}\n{'b': 2}")).toEqual([
      { error: "stray '01'" },
      { error: "expecting value" },
      { value: { b: 2 } },
    ]);
    expect(read("'no end\n[1]")).toEqual([{ error: "stray ''no end'" }, { value: [1] }]);
  });

  test("is forced into a known state by a byte that UTF-8 does not have", () => {
    const half = new TextEncoder().encode("{'a': [");
    const whole = new TextEncoder().encode("{'b': 1}");
    expect(read(new Uint8Array([...half, 0xff, ...whole]))).toEqual([{ error: "stray '\\xFF'" }, { value: { b: 1 } }]);
  });

  test("refuses what is nested too deep, and goes on", () => {
    const results = read(`${"[".repeat(2000)}\n`);
    expect(results[0]).toEqual({ error: "nesting depth limit exceeded" });
    expect(value("[]")).toEqual({ value: [] });
  });

  test("has names that JavaScript would trip over", () => {
    const [first] = read('{"__proto__": 1, "constructor": 2}');
    expect(Object.entries((first as { value: object }).value)).toEqual([
      ["__proto__", 1],
      ["constructor", 2],
    ]);
  });

  test("gives back what was written", () => {
    const json = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<JsonValue>;
    fc.assert(
      fc.property(json, fc.integer({ min: 1, max: 7 }), (given, step) => {
        const [first] = read(jsonText(given), step);
        // -0 is an integer to QMP.
        expect(JSON.parse(jsonText((first as { value: JsonValue }).value))).toEqual(JSON.parse(JSON.stringify(given)));
      }),
    );
  });

  test("never throws on random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        read(bytes);
      }),
    );
  });
});
