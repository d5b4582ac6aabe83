import { describe, expect, test } from "vitest";
import { VmError, type RngPort } from "../../../base/index.ts";
import { Register } from "../mmio/spec.ts";
import { TestGuest, type DriverQueue } from "../test-guest.ts";
import { readVirtioRngConfig } from "./config.ts";
import { VirtioRng } from "./device.ts";

const sevens: RngPort = { fill: (bytes) => void bytes.fill(7) };

function rngGuest(properties: Readonly<Record<string, unknown>> = {}, rng: RngPort = sevens) {
  const guest = new TestGuest();
  const device = new VirtioRng(guest.context, rng, readVirtioRngConfig(properties));
  guest.plug(device);
  const [queue] = guest.start([0]) as [DriverQueue];
  return { guest, device, queue };
}

test("buffers are filled from the port", () => {
  const { guest, queue } = rngGuest();
  const { at } = queue.add([{ write: 40 }, { write: 24 }]);
  queue.kick();
  expect(guest.read(Register.deviceId)).toBe(4);
  expect(queue.used()).toEqual([{ head: 0, writtenBytes: 64 }]);
  expect(guest.bytesAt(at[0]!, 64)).toEqual(new Uint8Array(64).fill(7));
});

test("a huge buffer is filled in part", () => {
  const { guest, queue } = rngGuest();
  queue.describe(0, { addr: guest.allocate(0x20000, 16), len: 0x20000, flags: 2 });
  queue.offer(0);
  queue.kick();
  expect(queue.used()).toEqual([{ head: 0, writtenBytes: 0x10000 }]);
});

test("a buffer without room is returned empty", () => {
  const { guest, queue } = rngGuest();
  queue.add([{ read: Uint8Array.of(1) }]);
  queue.kick();
  expect(queue.used()).toEqual([{ head: 0, writtenBytes: 0 }]);
  expect(guest.needsReset).toBe(false);
});

test("a source that fails makes the device need a reset", () => {
  class NoEntropy extends VmError<"noEntropy"> {
    override readonly room = "test";
  }
  const rng: RngPort = {
    fill: () => {
      throw new NoEntropy("noEntropy", "The source is dry");
    },
  };
  const { guest, queue } = rngGuest({}, rng);
  queue.add([{ write: 8 }]);
  queue.kick();
  expect(guest.needsReset).toBe(true);
  expect(guest.host.guestErrors[0]).toContain("The source is dry");
});

describe("the rate limit", () => {
  test("gives max-bytes per period, and the rest in the next ones", () => {
    const { guest, queue } = rngGuest({ "max-bytes": 10, period: 100 });
    for (let i = 0; i < 3; i++) queue.add([{ write: 8 }]);
    queue.kick();
    expect(queue.used().map(({ writtenBytes }) => writtenBytes)).toEqual([8, 2]);
    guest.host.advanceNs(99_999_999);
    expect(queue.used()).toEqual([]);
    guest.host.advanceNs(1);
    expect(queue.used().map(({ writtenBytes }) => writtenBytes)).toEqual([8]);
  });

  test("no timer runs without a limit", () => {
    const { guest, queue } = rngGuest();
    queue.add([{ write: 8 }]);
    queue.kick();
    expect(guest.host.nextDeadlineNs).toBe(Infinity);
  });

  test("goes on elsewhere where it was", () => {
    const { guest, device, queue } = rngGuest({ "max-bytes": 10, period: 100 });
    queue.add([{ write: 10 }]);
    queue.add([{ write: 4 }]);
    queue.kick();
    const other = new TestGuest();
    const copy = new VirtioRng(other.context, sevens, readVirtioRngConfig({ "max-bytes": 10, period: 100 }));
    other.plug(copy);
    other.memory.bytes.set(guest.memory.bytes);
    copy.loadState(device.saveState());
    expect(other.u16(queue.deviceArea + 2)).toBe(1);
    other.host.advanceNs(100_000_000);
    expect(other.u16(queue.deviceArea + 2)).toBe(2);
  });

  test.each([
    [{ period: 0 }, /'period' is 0/],
    [{ "max-bytes": 0 }, /'max-bytes' is 0/],
    [{ "max-bytes": "-1" }, /max-bytes/],
  ])("%o is refused", (properties, message) => {
    expect(() => readVirtioRngConfig(properties)).toThrow(message);
  });
});
