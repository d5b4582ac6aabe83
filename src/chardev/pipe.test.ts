import { describe, expect, test } from "vitest";
import { makeCharPipe } from "./pipe.ts";
import type { CharEvent } from "./port.ts";

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("the peer's side", () => {
  test("is told once that there is something to read, until it has read all", () => {
    const { back, peer } = makeCharPipe("p");
    let told = 0;
    peer.onReadable = () => told++;
    back.write(ascii("a"));
    back.write(ascii("b"));
    expect(told).toBe(1);
    peer.read();
    back.write(ascii("c"));
    expect(told).toBe(2);
  });

  test("a peer that reads while it is told makes room within the same write", () => {
    const { back, peer } = makeCharPipe("p", 2);
    const got: number[] = [];
    let writable = 0;
    back.attach({ room: () => 0, receive: () => {}, writable: () => writable++ });
    peer.onReadable = () => got.push(...peer.read());
    expect(back.write(Uint8Array.of(1, 2, 3, 4, 5))).toBe(5);
    expect(got).toEqual([1, 2, 3, 4, 5]);
    expect(writable).toBe(0);
  });

  test("writes what fits, and is told when there is room again", () => {
    const { back, peer } = makeCharPipe("p", 4);
    let told = 0;
    peer.onWritable = () => told++;
    expect(peer.write(ascii("abcdef"))).toBe(4);
    const received: number[] = [];
    back.attach({ room: () => 100, receive: (bytes) => received.push(...bytes) });
    expect(told).toBe(1);
    expect(Uint8Array.from(received)).toEqual(ascii("abcd"));
  });

  test("closing wakes a front that waits for room", () => {
    const { back, peer } = makeCharPipe("p", 2);
    const heard: (CharEvent | "writable")[] = [];
    back.attach({
      room: () => 0,
      receive: () => {},
      event: (event) => heard.push(event),
      writable: () => heard.push("writable"),
    });
    back.write(ascii("abc"));
    peer.close();
    expect(heard).toEqual(["opened", "closed", "writable"]);
    expect(back.write(ascii("x"))).toBe(1);
  });

  test("sends a break", () => {
    const { back, peer } = makeCharPipe("p");
    const heard: CharEvent[] = [];
    back.attach({ room: () => 0, receive: () => {}, event: (event) => heard.push(event) });
    peer.sendBreak();
    expect(heard).toEqual(["opened", "break"]);
  });
});
