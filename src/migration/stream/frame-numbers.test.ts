import { expect, test } from "vitest";
import { FrameNumbers } from "./frame-numbers.ts";

test("numbers go on with 1 after 65535, and 0 is none", () => {
  const [sent, came] = [new FrameNumbers(), new FrameNumbers()];
  const numbers = Array.from({ length: 65537 }, () => sent.next());
  expect([numbers[0], numbers[65534], numbers[65535], numbers[65536]]).toEqual([1, 65535, 1, 2]);
  expect(numbers.every((number) => came.check(number) === undefined)).toBe(true);
});

test("the number that is due is told where another one came", () => {
  const numbers = new FrameNumbers();
  expect([1, 2, 4].map((number) => numbers.check(number))).toEqual([undefined, undefined, 3]);
});

test("a stream without numbers has none to the end", () => {
  const numbers = new FrameNumbers();
  expect([0, 0, 0, 1].map((number) => numbers.check(number))).toEqual([undefined, undefined, undefined, 0]);
});
