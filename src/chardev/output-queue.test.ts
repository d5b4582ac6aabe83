import { expect, test } from "vitest";
import { OutputQueue } from "./output-queue.ts";
import { makeCharPipe } from "./pipe.ts";

test("many bytes become one write", () => {
  const writes: number[] = [];
  const { back } = makeCharPipe("p");
  const counting = { ...back, write: (bytes: Uint8Array) => (writes.push(bytes.length), bytes.length) };
  const queue = new OutputQueue(100, counting);
  for (let i = 0; i < 80; i++) queue.pushByte(i);
  queue.flush();
  expect(writes).toEqual([80]);
});

test("what the back does not take is offered again when it is writable, in order", () => {
  const { back, peer } = makeCharPipe("p", 4);
  const queue = new OutputQueue(100, back);
  back.attach({ room: () => 0, receive: () => {}, writable: () => queue.backWritable() });
  queue.push(Uint8Array.of(1, 2, 3, 4, 5, 6));
  queue.flush();
  expect(queue.lengthBytes).toBe(2);
  expect(peer.read()).toEqual(Uint8Array.of(1, 2, 3, 4));
  expect(queue.lengthBytes).toBe(0);
  expect(peer.read()).toEqual(Uint8Array.of(5, 6));
});

test("a full back is not asked again before it is writable", () => {
  let asked = 0;
  const { back } = makeCharPipe("p");
  const queue = new OutputQueue(100, { ...back, write: () => (asked++, 0) });
  queue.pushByte(1);
  queue.flush();
  queue.flush();
  expect(asked).toBe(1);
});

test("a byte that finds the queue full flushes it", () => {
  const { back, peer } = makeCharPipe("p");
  const queue = new OutputQueue(2, back);
  expect([1, 2, 3].map((byte) => queue.pushByte(byte))).toEqual([true, true, true]);
  expect(peer.read()).toEqual(Uint8Array.of(1, 2));
});

test("without a back bytes vanish", () => {
  const queue = new OutputQueue(2, undefined);
  queue.pushByte(1);
  queue.flush();
  expect(queue.lengthBytes).toBe(0);
});

test("unsent bytes are saved and loaded", () => {
  const { back, peer } = makeCharPipe("p");
  const from = new OutputQueue(10, undefined);
  from.push(Uint8Array.of(7, 8));
  const to = new OutputQueue(10, back);
  to.load(from.save());
  to.flush();
  expect(peer.read()).toEqual(Uint8Array.of(7, 8));
});
