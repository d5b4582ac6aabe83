import { expect, test } from "vitest";
import { RingBufferChar } from "./ring-buffer.ts";

test("keeps the newest bytes", () => {
  const ring = new RingBufferChar("r", 4);
  expect(ring.write(Uint8Array.of(1, 2, 3))).toBe(3);
  expect(ring.write(Uint8Array.of(4, 5))).toBe(2);
  expect(ring.read()).toEqual(Uint8Array.of(2, 3, 4, 5));
});

test("a write longer than the ring leaves its end", () => {
  const ring = new RingBufferChar("r", 4);
  ring.write(Uint8Array.of(9));
  expect(ring.write(Uint8Array.of(1, 2, 3, 4, 5, 6))).toBe(6);
  expect(ring.read()).toEqual(Uint8Array.of(3, 4, 5, 6));
});

test("reading takes the oldest bytes out", () => {
  const ring = new RingBufferChar("r", 4);
  ring.write(Uint8Array.of(1, 2, 3));
  expect(ring.read(2)).toEqual(Uint8Array.of(1, 2));
  expect(ring.read()).toEqual(Uint8Array.of(3));
});
