import { expect, test } from "vitest";
import { assert, InvariantError, unreachable } from "./assert.ts";

test("passes what holds", () => {
  expect(() => assert(true, "one is one")).not.toThrow();
});

test("names the invariant and the values that broke it", () => {
  expect(() => assert(false, "head is in the ring", 9, 0x10n, { length: 8 }, "x", undefined)).toThrow(
    new InvariantError("head is in the ring", [9, 0x10n, { length: 8 }, "x", undefined]),
  );
  expect(() => assert(false, "head is in the ring", 9, 0x10n, { length: 8 }, "x", undefined)).toThrow(
    'head is in the ring (9, 0x10, {"length":8}, x, undefined)',
  );
});

test("a path that types exclude says which value came", () => {
  expect(() => unreachable("left" as never)).toThrow("unreachable (left)");
});
