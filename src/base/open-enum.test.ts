import { expect, test } from "vitest";
import { openEnum } from "./open-enum.ts";

const Op = openEnum("Op", { Fetch: 0, Store: 1, Flush: 4 });

test("members are their numbers", () => {
  expect(Op.Flush).toBe(4);
});

test("known values have names, others keep their number", () => {
  expect(Op.name(4)).toBe("Flush");
  expect(Op.name(9)).toBe("Op(9)");
});

test("knows says which values are declared", () => {
  expect([0, 1, 2, 4].map((value) => Op.knows(value))).toEqual([true, true, false, true]);
});
