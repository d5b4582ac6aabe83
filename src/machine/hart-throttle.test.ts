import { expect, test } from "vitest";
import { HartThrottle } from "./hart-throttle.ts";

test("a hart rests after a run for as long as its share asks for", () => {
  const throttle = new HartThrottle(2);
  throttle.ran(0, 0, 1000);
  expect(throttle.restNs(0, 1000)).toBe(0);
  throttle.ask("a", 75);
  throttle.ran(0, 1000, 2000);
  expect([throttle.restNs(0, 2000), throttle.restNs(0, 4000), throttle.restNs(0, 5000)]).toEqual([3000, 1000, 0]);
  expect(throttle.restNs(1, 2000)).toBe(0);
});

test("of several who ask, the most counts, for each hart", () => {
  const throttle = new HartThrottle(2);
  throttle.ask("a", 20);
  throttle.ask("b", [0, 90]);
  expect([throttle.percentOf(0), throttle.percentOf(1)]).toEqual([20, 90]);
  throttle.ask("a", 0);
  expect([throttle.percentOf(0), throttle.percentOf(1)]).toEqual([0, 90]);
  throttle.ask("b", 0);
  expect(throttle.isOn).toBe(false);
});

test("a hart always gets on", () => {
  const throttle = new HartThrottle(1);
  throttle.ask("a", 100);
  throttle.ran(0, 0, 1_000_000_000);
  expect([throttle.percentOf(0), throttle.restNs(0, 1_000_000_000)]).toEqual([99, 200_000_000]);
});
