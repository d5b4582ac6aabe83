import { expect, test } from "vitest";
import { editDistance, nearestName } from "./nearest-name.ts";

test("the distance counts insertions, deletions and replacements", () => {
  expect(editDistance("fetch", "fecth")).toBe(2);
  expect(editDistance("run", "runs")).toBe(1);
  expect(editDistance("", "list")).toBe(4);
});

test("the nearest name is told, a far one is not", () => {
  expect(nearestName("feth", ["fetch", "list", "remove"])).toBe("fetch");
  expect(nearestName("zzzz", ["fetch", "list", "remove"])).toBeUndefined();
});
