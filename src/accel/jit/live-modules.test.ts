import { expect, test } from "vitest";
import { CompiledModule, LiveModules } from "./live-modules.ts";
import { Region } from "./region-records.ts";

function regionOf(lengthBytes: number): Region {
  const [code, offsets] = [new Int32Array(0), new Int32Array(0)];
  return new Region({
    tableIndex: 0,
    entries: [],
    pages: [],
    roots: [],
    code,
    offsets,
    replaces: undefined,
    lengthBytes,
  });
}

/** A module of three regions of 100 bytes. */
function add(live: LiveModules): { readonly module: CompiledModule; readonly regions: readonly Region[] } {
  const module = new CompiledModule(300);
  const regions = [regionOf(100), regionOf(100), regionOf(100)];
  for (const region of regions) live.add(module, region);
  return { module, regions };
}

test("a module counts as a whole until its last region is gone", () => {
  const live = new LiveModules(() => false);
  const [first] = add(live).regions;
  const { regions } = add(live);
  expect([live.count, live.regionCount, live.lengthBytes]).toEqual([2, 6, 600]);
  regions.forEach((region) => expect(live.delete(region)).toBe(true));
  expect([live.count, live.regionCount, live.lengthBytes]).toEqual([1, 3, 300]);
  expect(live.delete(regions[0]!)).toBe(false);
  expect(live.delete(first!)).toBe(true);
  expect([live.count, live.lengthBytes]).toEqual([1, 300]);
});

test("the oldest module that was not entered since it was asked last can be spared", () => {
  const entered = new Set<Region>();
  const live = new LiveModules((region) => entered.delete(region));
  const [a, b, c] = [add(live), add(live), add(live)];
  for (const { regions } of [a, b]) entered.add(regions[1]!);
  expect(live.leastUseful()).toBe(c.module);
  c.regions.forEach((region) => live.delete(region));
  entered.add(a.regions[2]!);
  expect(live.leastUseful()).toBe(b.module);
});

test("where all are in use, the one that was asked first goes", () => {
  const live = new LiveModules(() => true);
  const { module } = add(live);
  add(live);
  let asked = 0;
  const once = new LiveModules(() => asked++ < 6);
  const oldest = add(once).module;
  add(once);
  expect(once.leastUseful()).toBe(oldest);
  expect(live.leastUseful()).toBeUndefined();
  expect(module.regions.size).toBe(3);
});

test("a module that is mostly dead goes before all others", () => {
  const live = new LiveModules(() => false);
  add(live);
  const dead = add(live);
  for (const region of dead.regions.slice(0, 2)) live.delete(region);
  expect(live.leastUseful()).not.toBe(dead.module);
  dead.module.liveBytes = 70;
  expect(live.leastUseful()).toBe(dead.module);
});

test("without modules there is none to spare", () => {
  expect(new LiveModules(() => true).leastUseful()).toBeUndefined();
});
