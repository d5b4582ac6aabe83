import { expect, test } from "vitest";
import { caseName, labCases } from "./cases.ts";

const cases = labCases(1);
const names = cases.map(caseName);

test("the laboratory's matrix has each place where a move is allowed with 1 and 4 harts, by unix and tcp", () => {
  expect(new Set(names).size).toBe(names.length);
  const seed = names.filter((name) => / × (all|none|first|second)\/\w+ × hwpt × /.test(name));
  expect(seed.filter((name) => name.endsWith("refused"))).toHaveLength(32);
  expect(seed.filter((name) => !name.endsWith("refused"))).toHaveLength(32 * 4);
  expect(names.filter((name) => name.startsWith("mixed × first/second × hwpt"))).toHaveLength(4);
  expect(names).toContain("device-only × none/second × hwpt × refused");
  expect(names).toContain("iommu-only × all/all/both × ioas × 4 × tcp");
});

test("its first quarter has every such place once, with both numbers of harts and both channels", () => {
  const first = cases.slice(0, 32 + 32);
  expect(first.filter(({ isAllowed }) => !isAllowed)).toHaveLength(32);
  const moved = first.flatMap((each) => (each.isAllowed ? [each] : []));
  expect(new Set(moved.map(({ host, policy }) => `${policy} ${host}`)).size).toBe(32);
  expect(new Set(moved.map(({ harts, channel }) => `${harts} ${channel}`)).size).toBe(4);
});

test("another seed has the same cases in another order", () => {
  const other = labCases(2).map(caseName);
  expect(other).not.toEqual(names);
  expect([...other].sort()).toEqual([...names].sort());
});
