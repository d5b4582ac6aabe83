import { expect, test } from "vitest";
import { untouchedPages } from "./untouched-pages.ts";

const KNOWS = process.platform === "linux";

function isUntouched(words: Uint32Array, page: number): boolean {
  return (words[page >>> 5]! & (1 << (page & 31))) !== 0;
}

test.runIf(KNOWS)("pages are untouched until somebody writes to them, or reads them", () => {
  const memory = new WebAssembly.Memory({ initial: 300, maximum: 300, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  bytes[100 * 4096 + 17] = 1;
  const words = untouchedPages(bytes)!;
  expect([99, 100, 101, 4799].map((page) => isUntouched(words, page))).toEqual([true, false, true, true]);
  bytes[4799 * 4096 + 4095] = 1;
  expect(isUntouched(untouchedPages(bytes)!, 4799)).toBe(false);
});

test.runIf(KNOWS)("of several memories of one size each has its own, and the first page is as before", () => {
  const memories = [0, 1, 2].map(() => new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true }));
  const bytes = memories.map(({ buffer }) => new Uint8Array(buffer));
  bytes.forEach((each, i) => (each[(i + 10) * 4096] = 1));
  const touched = bytes.map((each) => {
    const words = untouchedPages(each)!;
    return [10, 11, 12].filter((page) => !isUntouched(words, page));
  });
  expect(touched).toEqual([[10], [11], [12]]);
  expect(bytes.every((each) => each.subarray(0, 4096).every((byte) => byte === 0))).toBe(true);
});

test("bytes that are no whole memory are not known", () => {
  expect(untouchedPages(new Uint8Array(4096 * 4))).toBeUndefined();
});
