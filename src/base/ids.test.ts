import { expect, test } from "vitest";
import { formatUuid, IdPool, isIdentifier, parseUuid } from "./ids.ts";

test("identifiers start with a letter and hold letters, digits, dash, dot and underscore", () => {
  expect(["a", "disk-0.x_1"].every(isIdentifier)).toBe(true);
  expect(["", "0a", "#block0", "a b", "ä"].some(isIdentifier)).toBe(false);
});

test("generated ids count by prefix and are no identifiers of an operator", () => {
  const pool = new IdPool();
  expect([pool.next("block"), pool.next("block"), pool.next("net")]).toEqual(["#block0", "#block1", "#net0"]);
  expect(isIdentifier(pool.next("block"))).toBe(false);
});

test("a UUID comes back as it was written, in lower case", () => {
  const text = "0123ABCD-4567-89ab-cdef-0011223344ff";
  const bytes = parseUuid(text)!;
  expect([...bytes.subarray(0, 6)]).toEqual([0x01, 0x23, 0xab, 0xcd, 0x45, 0x67]);
  expect(formatUuid(bytes)).toBe(text.toLowerCase());
});

test("what is no UUID is refused", () => {
  expect(parseUuid("0123abcd-4567-89ab-cdef-0011223344f")).toBeUndefined();
  expect(parseUuid("0123abcd456789abcdef0011223344ff")).toBeUndefined();
});
