import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteQueue } from "./byte-queue.ts";

test("takes what fits and says how much", () => {
  const queue = new ByteQueue(4);
  expect(queue.push(Uint8Array.of(1, 2, 3))).toBe(3);
  expect(queue.push(Uint8Array.of(4, 5))).toBe(1);
  expect(queue.pushByte(6)).toBe(false);
  expect(queue.take()).toEqual(Uint8Array.of(1, 2, 3, 4));
});

test("peek shows the oldest run without taking it", () => {
  const queue = new ByteQueue(4);
  queue.push(Uint8Array.of(1, 2, 3));
  expect(queue.peek(2)).toEqual(Uint8Array.of(1, 2));
  expect(queue.lengthBytes).toBe(3);
});

test("behaves as a list that refuses what goes past its capacity", () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("push" as const), bytes: fc.uint8Array({ maxLength: 9 }) }),
    fc.record({ do: fc.constant("take" as const), limit: fc.integer({ min: 0, max: 9 }) }),
    fc.record({ do: fc.constant("drop" as const), limit: fc.integer({ min: 0, max: 9 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const queue = new ByteQueue(7);
      let model: number[] = [];
      for (const s of steps) {
        if (s.do === "push") model = [...model, ...s.bytes.subarray(0, queue.push(s.bytes))];
        else if (s.do === "drop") queue.drop(s.limit);
        const taken = s.do === "take" ? Array.from(queue.take(s.limit)) : [];
        expect(taken).toEqual(model.slice(0, taken.length));
        if (s.do !== "push") model = model.slice(s.limit);
        expect(Array.from(queue.copy())).toEqual(model);
        expect(queue.freeBytes).toBe(7 - model.length);
      }
    }),
  );
});
