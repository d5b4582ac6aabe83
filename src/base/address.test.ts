import { expect, test } from "vitest";
import { gpa, iova } from "./address.ts";

test("a guest-physical address is a safe integer from 0", () => {
  expect(gpa(0x8000_0000)).toBe(0x8000_0000);
  expect(() => gpa(-1)).toThrow("a guest-physical address is a safe integer");
  expect(() => gpa(2 ** 53)).toThrow("a guest-physical address is a safe integer");
});

test("an IOVA has 64 bits", () => {
  expect(iova(0xffff_ffff_ffff_ffffn)).toBe(0xffff_ffff_ffff_ffffn);
  expect(() => iova(1n << 64n)).toThrow("an IOVA has 64 bits");
  expect(() => iova(-1n)).toThrow("an IOVA has 64 bits");
});
