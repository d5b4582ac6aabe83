import { describe, expect, test } from "vitest";
import { makeLocalCaller } from "./local-caller.ts";
import type { EventFd } from "./port.ts";
import { Errno } from "./uapi/index.ts";

function opened() {
  const caller = makeLocalCaller({ bytes: new Uint8Array(4096) });
  const fd = caller.files.openEventFd();
  const held = caller.files.eventFd(fd) as EventFd;
  const file = caller.files.lookup(fd)!;
  return { caller, held, file };
}

describe("an eventfd of this process", () => {
  test("counts signals, and a read takes them all", () => {
    const { caller, held, file } = opened();
    expect(file.read(caller, 0n, 8)).toBe(-Errno.EAGAIN);
    held.signal();
    held.signal();
    expect(file.poll()).toBe(5);
    expect(file.read(caller, 0n, 8)).toBe(8);
    expect(caller.memory.read(0n, new Uint8Array(8))).toBe(true);
    expect(file.poll()).toBe(4);
  });

  test("whoever listens takes the count, also one that was there before", () => {
    const { caller, held, file } = opened();
    let heard = 0;
    caller.memory.write(0n, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0));
    expect(file.write(caller, 0n, 8)).toBe(8);
    const end = held.listen(() => heard++);
    expect(heard).toBe(1);
    expect(file.write(caller, 0n, 8)).toBe(8);
    expect(heard).toBe(2);
    expect(file.poll()).toBe(4);
    end();
    expect(file.write(caller, 0n, 8)).toBe(8);
    expect(heard).toBe(2);
  });

  test("other descriptors are no eventfds", () => {
    const { caller } = opened();
    expect(caller.files.eventFd(99)).toBe(-Errno.EBADF);
  });
});
