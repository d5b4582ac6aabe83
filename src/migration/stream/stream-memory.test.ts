import { expect, test } from "vitest";
import { kernelsOver } from "./kernels.ts";
import { StreamMemory } from "./stream-memory.ts";

/** Little-endian bytes of a hash as they lie at the field. */
function hashOf(bytes: Uint8Array): string {
  const memory = new StreamMemory(bytes.length + 16);
  memory.bytes.set(bytes, 8);
  memory.seal(8, bytes.length, 0);
  return [...memory.bytes.subarray(0, 8)]
    .reverse()
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

/** XXH64 with seed 0, as its specification has it. */
function xxh64(bytes: Uint8Array): bigint {
  const p1 = BigInt("0x9e3779b185ebca87");
  const p2 = BigInt("0xc2b2ae3d27d4eb4f");
  const p3 = BigInt("0x165667b19e3779f9");
  const p4 = BigInt("0x85ebca77c2b2ae63");
  const p5 = BigInt("0x27d4eb2f165667c5");
  const cut = (x: bigint): bigint => BigInt.asUintN(64, x);
  const rotl = (x: bigint, by: bigint): bigint => cut((x << by) | (x >> (64n - by)));
  const round = (sum: bigint, input: bigint): bigint => cut(rotl(cut(sum + input * p2), 31n) * p1);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  let sum = p5;
  if (bytes.length >= 32) {
    let [a, b, c, d] = [cut(p1 + p2), p2, 0n, cut(-p1)];
    for (; at + 32 <= bytes.length; at += 32) {
      a = round(a, view.getBigUint64(at, true));
      b = round(b, view.getBigUint64(at + 8, true));
      c = round(c, view.getBigUint64(at + 16, true));
      d = round(d, view.getBigUint64(at + 24, true));
    }
    sum = cut(rotl(a, 1n) + rotl(b, 7n) + rotl(c, 12n) + rotl(d, 18n));
    for (const lane of [a, b, c, d]) sum = cut((sum ^ round(0n, lane)) * p1 + p4);
  }
  sum = cut(sum + BigInt(bytes.length));
  for (; at + 8 <= bytes.length; at += 8) {
    sum = cut(rotl(sum ^ round(0n, view.getBigUint64(at, true)), 27n) * p1 + p4);
  }
  for (; at + 4 <= bytes.length; at += 4) {
    sum = cut(rotl(sum ^ cut(BigInt(view.getUint32(at, true)) * p1), 23n) * p2 + p3);
  }
  for (; at < bytes.length; at++) sum = cut(rotl(sum ^ cut(BigInt(bytes[at]!) * p5), 11n) * p1);
  sum = cut((sum ^ (sum >> 33n)) * p2);
  sum = cut((sum ^ (sum >> 29n)) * p3);
  return sum ^ (sum >> 32n);
}

test.each([
  ["", "ef46db3751d8e999"],
  ["a", "d24ec4f1a98c6e5b"],
  ["abc", "44bc2cf5ad770999"],
])("a frame is sealed with XXH64: %j", (text, hash) => {
  expect(hashOf(new TextEncoder().encode(text))).toBe(hash);
});

test("every length has its steps", () => {
  const bytes = Uint8Array.from({ length: 140 }, (_, i) => (i * 151 + 7) & 0xff);
  for (let length = 0; length <= bytes.length; length++) {
    const some = bytes.subarray(0, length);
    expect(hashOf(some)).toBe(xxh64(some).toString(16).padStart(16, "0"));
  }
});

test.each([true, false])("what lies behind a header elsewhere is hashed with it: in shared memory %s", (shared) => {
  const bytes = Uint8Array.from({ length: 200 }, (_, i) => (i * 29 + 3) & 0xff);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared });
  new Uint8Array(memory.buffer).set(bytes, 100);
  const view = new DataView(bytes.buffer);
  const header = [0, 8, 16, 24].map((at) => view.getBigUint64(at, true)) as [bigint, bigint, bigint, bigint];
  for (let length = 32; length <= bytes.length; length++) {
    const hash = kernelsOver(memory).hashBehind(...header, 132, length - 32);
    expect(BigInt.asUintN(64, hash)).toBe(xxh64(bytes.subarray(0, length)));
  }
});

test("a seal breaks with any bit that changes, its own too", () => {
  const memory = new StreamMemory(100);
  for (let i = 0; i < 50; i++) memory.bytes[i] = i;
  memory.seal(0, 50, 8);
  expect(memory.isSealed(0, 50, 8)).toBe(true);
  memory.bytes[30]! ^= 0x80;
  expect(memory.isSealed(0, 50, 8)).toBe(false);
  memory.bytes[30]! ^= 0x80;
  memory.seal(0, 50, 8);
  memory.bytes[11]! ^= 1;
  expect(memory.isSealed(0, 50, 8)).toBe(false);
});

test("runs of pages end where the other kind begins, at the last byte too", () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  bytes[3 * 4096 - 1] = 1;
  bytes[3 * 4096] = 1;
  const { skipPages } = kernelsOver(memory);
  expect(skipPages(0, 5 * 4096, 1)).toBe(2 * 4096);
  expect(skipPages(2 * 4096, 5 * 4096, 0)).toBe(4 * 4096);
  expect(skipPages(4 * 4096, 5 * 4096, 1)).toBe(5 * 4096);
});
