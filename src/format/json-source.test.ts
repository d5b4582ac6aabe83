import { describe, expect, test } from "vitest";
import { SeededRng } from "../base/index.ts";
import { FormatError } from "./errors.ts";
import { parseJsonSource, type JsonNode } from "./json-source.ts";

/** The value without its places. */
function plain(node: JsonNode): unknown {
  switch (node.kind) {
    case "object":
      return Object.fromEntries(node.members.map((m) => [m.key, plain(m.value)]));
    case "array":
      return node.items.map(plain);
    case "null":
      return null;
    default:
      return node.value;
  }
}

describe("JSON with places", () => {
  test("means what JSON.parse says", () => {
    const text = '{ "a": [1, -2.5e3, true, false, null], "b": { "c": "x\\n\\u0041\\"" }, "d": [] , "e": {} }';
    expect(plain(parseJsonSource(text))).toEqual(JSON.parse(text));
  });

  test("a value knows its line and column", () => {
    const node = parseJsonSource('{\n  "a": [\n    7 ]\n}');
    expect(node.place).toEqual({ line: 1, column: 1 });
    const member = (node as Extract<JsonNode, { kind: "object" }>).members[0]!;
    expect(member.keyPlace).toEqual({ line: 2, column: 3 });
    expect((member.value as Extract<JsonNode, { kind: "array" }>).items[0]!.place).toEqual({ line: 3, column: 5 });
  });

  test.for([
    ["", "line 1, column 1: The text ends where a value should stand"],
    ['{ "a": 1,\n}', 'line 2, column 1: Found "}" where a name in double quotes, or "}" should stand'],
    ['{ "a": 1 "b": 2 }', 'line 1, column 10: Found "\\"" where "," or "}" should stand'],
    ["[1, 2", 'line 1, column 6: The text ends where "," or "]" should stand'],
    ["{ a: 1 }", 'line 1, column 3: Found "a" where a name in double quotes, or "}" should stand'],
    ["[\n 0x10 ]", 'line 2, column 2: Numbers are decimal; write 0x… addresses in quotes, as "0x1000"'],
    ["[01]", 'line 1, column 2: Numbers are decimal; write 0x… addresses in quotes, as "0x1000"'],
    ["[1e999]", "line 1, column 7: 1e999 is past what a number can hold"],
    ["[] // end", "line 1, column 4: JSON has no comments; leave it out"],
    ['{ "a": 1, "a": 2 }', 'line 1, column 11: "a" is given twice'],
    ['"a\nb"', "line 1, column 3: Found a control character (code 10) where the rest of a text and its closing quote"],
    ["[yes]", 'line 1, column 2: Found "yes" where a value should stand'],
    ["[] []", 'line 1, column 4: Found "[" where the end should stand'],
  ] as const)("%j is refused by its place", ([text, message]) => {
    expect(() => parseJsonSource(text)).toThrow(message);
  });

  test("deep nesting is refused, not followed", () => {
    expect(() => parseJsonSource("[".repeat(100_000))).toThrow("nested deeper than 64 levels");
  });

  test("agrees with JSON.parse on damaged texts, and only FormatError comes out", () => {
    const valid = '{ "units": [{ "id": "u0", "n": -1.5e2 }], "x": [true, null, "\\u00e9"] }';
    const rng = new SeededRng(7n);
    for (let i = 0; i < 5000; i++) {
      const at = rng.below(valid.length);
      const letter = String.fromCharCode(rng.below(128));
      const text = valid.slice(0, at) + letter + valid.slice(at + rng.below(3));
      let want: unknown;
      let fails = false;
      try {
        want = JSON.parse(text);
      } catch {
        fails = true;
      }
      let got: unknown;
      let message: string | undefined;
      let isFormatError = true;
      try {
        got = plain(parseJsonSource(text));
      } catch (e) {
        isFormatError = e instanceof FormatError;
        message = (e as Error).message;
      }
      // A name given twice is the one thing that is refused here and not there.
      expect(isFormatError, text).toBe(true);
      if (fails) expect(message, text).toBeDefined();
      else if (message === undefined) expect(got, text).toEqual(want);
      else expect(message, text).toContain("is given twice");
    }
  });
});
