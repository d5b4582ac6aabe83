// A fixed share of `npm run sweep:assigned`.
import { expect, test } from "vitest";
import { changed, changes, tryDescription, useOf } from "./sweep.ts";
import { optionCases, tryOptions } from "./sweep-options.ts";

test("a host description is taken as it says, or refused with what would do: each field with each kind of value", () => {
  const outcomes = changes().map((change, i) => tryDescription(changed([change]), useOf(i)));
  expect(outcomes.filter((outcome) => outcome === "taken").length).toBeGreaterThan(100);
  expect(outcomes.filter((outcome) => outcome === "refused").length).toBeGreaterThan(400);
});

test("two fields at a time", () => {
  const all = changes();
  for (let i = 0; i < all.length; i += 7) {
    const pair = [all[i]!, all[(i * 31 + 17) % all.length]!];
    expect(tryDescription(changed(pair), useOf(i))).toMatch(/taken|refused/);
  }
});

test("options of an assigned device are done, or refused with what would do", () => {
  const outcomes = [...optionCases(307)].map(tryOptions);
  expect(new Set(outcomes)).toEqual(new Set(["taken", "refused"]));
});
