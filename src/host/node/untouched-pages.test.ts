import { expect, test } from "vitest";
import { untouchedPages } from "./untouched-pages.ts";

const KNOWS = process.platform === "linux";

/** As of now, looked at by `count` pages at a time. */
function look(bytes: Uint8Array, count = bytes.length / 4096): (page: number) => boolean {
  const words = new Uint32Array(Math.ceil(bytes.length / 4096 / 32));
  const pages = untouchedPages(bytes)!;
  for (let first = 0; first < bytes.length / 4096; first += count) {
    pages(words, first, Math.min(count, bytes.length / 4096 - first));
  }
  return (page) => (words[page >>> 5]! & (1 << (page & 31))) !== 0;
}

test.runIf(KNOWS)("pages are untouched until somebody writes to them, or reads them", () => {
  const memory = new WebAssembly.Memory({ initial: 300, maximum: 300, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  bytes[100 * 4096 + 17] = 1;
  expect([99, 100, 101, 4799].map(look(bytes))).toEqual([true, false, true, true]);
  bytes[4799 * 4096 + 4095] = 1;
  expect([99, 100, 101, 4799].map(look(bytes, 77))).toEqual([true, false, true, false]);
});

test.runIf(KNOWS)("of several memories of one size each has its own, and the first page is as before", () => {
  const memories = [0, 1, 2].map(() => new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true }));
  const bytes = memories.map(({ buffer }) => new Uint8Array(buffer));
  bytes.forEach((each, i) => (each[(i + 10) * 4096] = 1));
  const touched = bytes.map((each) => {
    const isUntouched = look(each);
    return [10, 11, 12].filter((page) => !isUntouched(page));
  });
  expect(touched).toEqual([[10], [11], [12]]);
  expect(bytes.every((each) => each.subarray(0, 4096).every((byte) => byte === 0))).toBe(true);
});

test("bytes that are no whole memory are not known", () => {
  expect(untouchedPages(new Uint8Array(4096 * 4))).toBeUndefined();
});
