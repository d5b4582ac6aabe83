import { describe, expect, test } from "vitest";
import { EchoDevice } from "./test-device.ts";
import { RAM_BASE, TestGuest, type DriverQueue, type TestGuestOptions } from "./test-guest.ts";
import { Register } from "./mmio/spec.ts";
import { Descriptor, Feature } from "./spec.ts";

const { flagNext: NEXT, flagWrite: WRITE, flagIndirect: INDIRECT } = Descriptor;

function echoGuest(options: TestGuestOptions & { without?: readonly number[]; size?: number } = {}) {
  const guest = new TestGuest(options);
  const device = new EchoDevice(guest.context);
  guest.plug(device);
  const [echo, hold] = guest.start([0, 1], options) as [DriverQueue, DriverQueue];
  return { guest, device, echo, hold };
}

const ABC = Uint8Array.of(1, 2, 3);
const NOT_ABC = Uint8Array.of(0xfe, 0xfd, 0xfc);

describe("buffers", () => {
  test("a chain's readable bytes come in, its writable room is filled, its length is told", () => {
    const { guest, echo } = echoGuest();
    const { head, at } = echo.add([{ read: ABC }, { write: 16 }]);
    echo.kick();
    expect(echo.used()).toEqual([{ head, writtenBytes: 3 }]);
    expect(guest.bytesAt(at[1]!, 4)).toEqual(Uint8Array.of(0xfe, 0xfd, 0xfc, 0));
  });

  test("the framing of a buffer does not matter", () => {
    const { guest, echo } = echoGuest();
    const { at } = echo.add([
      { read: ABC.subarray(0, 1) },
      { read: new Uint8Array(0) },
      { read: ABC.subarray(1) },
      { write: 2 },
      { write: 1 },
    ]);
    echo.kick();
    expect(guest.bytesAt(at[3]!, 2)).toEqual(NOT_ABC.subarray(0, 2));
    expect(guest.bytesAt(at[4]!, 1)).toEqual(NOT_ABC.subarray(2));
  });

  test("an indirect table is followed", () => {
    const { guest, echo } = echoGuest();
    const { at, head } = echo.add([{ read: ABC }, { write: 3 }], { indirect: true });
    echo.kick();
    expect(echo.used()).toEqual([{ head, writtenBytes: 3 }]);
    expect(guest.bytesAt(at[1]!, 3)).toEqual(NOT_ABC);
  });

  test("direct descriptors may come before an indirect table, whose write flag is ignored", () => {
    const { guest, echo } = echoGuest();
    const data = guest.allocate(32, 16);
    guest.memory.bytes.set(ABC, data - RAM_BASE);
    const table = guest.allocate(16, 16);
    echo.describe(0, { addr: data, len: 3, flags: 0 | WRITE }, table);
    echo.describe(3, { addr: data, len: 3, flags: NEXT, next: 5 });
    echo.describe(5, { addr: table, len: 16, flags: INDIRECT | WRITE });
    echo.offer(3);
    echo.kick();
    expect(guest.bytesAt(data, 3)).toEqual(NOT_ABC);
  });

  test("an indirect table may be longer than the queue", () => {
    const { echo } = echoGuest({ size: 4 });
    echo.add([...Array.from({ length: 20 }, () => ({ read: ABC })), { write: 60 }], { indirect: true });
    echo.kick();
    expect(echo.used()).toEqual([{ head: 0, writtenBytes: 60 }]);
  });

  test("rings behind an IOMMU without windows work the same", () => {
    const { guest, echo } = echoGuest({ contiguous: false });
    const { at } = echo.add([{ read: ABC }, { write: 3 }], { indirect: true });
    echo.kick();
    expect(guest.bytesAt(at[1]!, 3)).toEqual(NOT_ABC);
  });

  test("the ring indices wrap at 65536", () => {
    const { guest, echo } = echoGuest({ size: 2, memoryBytes: 1 << 16 });
    const data = guest.allocate(4, 4);
    echo.describe(0, { addr: data, len: 4, flags: WRITE });
    for (let i = 0; i < 65537; i++) {
      echo.offer(0);
      echo.kick();
    }
    expect(echo.usedIdx).toBe(1);
    expect(guest.needsReset).toBe(false);
  });

  test("buffers may be completed in any order", () => {
    const { device, hold } = echoGuest();
    hold.add([{ read: ABC }]);
    hold.add([{ read: ABC }]);
    hold.kick();
    device.finish(device.held[1]!);
    device.finish(device.held[0]!);
    expect(hold.used().map(({ head }) => head)).toEqual([1, 0]);
  });

  test("buffers that were available before DRIVER_OK are served when it comes", () => {
    const guest = new TestGuest();
    guest.plug(new EchoDevice(guest.context));
    guest.negotiate();
    const echo = guest.queue(0);
    echo.add([{ read: ABC }, { write: 3 }]);
    echo.kick();
    expect(echo.usedIdx).toBe(0);
    guest.driverOk();
    expect(echo.usedIdx).toBe(1);
  });

  test("a buffer put back is taken again", () => {
    const { device, hold } = echoGuest();
    const queue = device.queues[1]!;
    hold.add([{ read: ABC }]);
    expect(queue.begin()).toBe(true);
    queue.putBack(queue.take()!);
    expect(queue.inFlight).toBe(0);
    expect(queue.take()?.readableBytes).toBe(3);
  });
});

describe("notifications", () => {
  test("without event indices, NO_INTERRUPT keeps the device quiet", () => {
    const { guest, echo } = echoGuest();
    echo.availFlags = 1;
    echo.add([{ read: ABC }, { write: 3 }]);
    echo.kick();
    expect(guest.irq.level).toBe(false);
    echo.availFlags = 0;
    echo.add([{ read: ABC }, { write: 3 }]);
    echo.kick();
    expect(guest.irq.level).toBe(true);
  });

  test("with event indices, the device interrupts when it passes used_event and not before", () => {
    const { guest, echo } = echoGuest({ without: [] });
    echo.usedEvent = 1;
    echo.add([{ read: ABC }, { write: 3 }]);
    echo.kick();
    expect(guest.irq.risen).toBe(0);
    echo.add([{ read: ABC }, { write: 3 }]);
    echo.kick();
    expect(guest.irq.risen).toBe(1);
    guest.acknowledge();
    echo.add([{ read: ABC }, { write: 3 }]);
    echo.kick();
    expect(guest.irq.level).toBe(false);
  });

  test("with event indices, NO_INTERRUPT is ignored", () => {
    const { guest, echo } = echoGuest({ without: [] });
    echo.availFlags = 1;
    echo.add([{ read: ABC }, { write: 3 }]);
    echo.kick();
    expect(guest.irq.level).toBe(true);
  });

  test("with event indices, the device asks to hear of the next buffer also after a full queue", () => {
    const { echo } = echoGuest({ without: [], size: 2 });
    echo.add([{ write: 1 }]);
    echo.add([{ write: 1 }]);
    echo.kick();
    expect(echo.availEvent).toBe(2);
  });

  test("with event indices, the device asks to hear of the next buffer when it has found no more", () => {
    const { echo } = echoGuest({ without: [] });
    echo.add([{ read: ABC }, { write: 3 }]);
    echo.add([{ read: ABC }, { write: 3 }]);
    echo.kick();
    expect(echo.availEvent).toBe(2);
  });

  test("a spurious notification does nothing", () => {
    const { guest, echo } = echoGuest();
    echo.kick();
    expect(echo.usedIdx).toBe(0);
    expect(guest.irq.level).toBe(false);
    expect(guest.needsReset).toBe(false);
  });

  test("several completions make one interrupt", () => {
    const { guest, echo } = echoGuest();
    for (let i = 0; i < 3; i++) echo.add([{ read: ABC }, { write: 3 }]);
    echo.kick();
    expect(echo.used()).toHaveLength(3);
    expect(guest.irq.risen).toBe(1);
  });
});

describe("a driver that breaks the rules makes the device need a reset", () => {
  const cases: readonly (readonly [string, (q: DriverQueue, guest: TestGuest) => void])[] = [
    [
      "descriptors in a loop",
      (q) => {
        q.describe(0, { addr: RAM_BASE, len: 1, flags: NEXT, next: 1 });
        q.describe(1, { addr: RAM_BASE, len: 1, flags: NEXT, next: 0 });
        q.offer(0);
      },
    ],
    [
      "a descriptor that is its own next",
      (q) => {
        q.describe(0, { addr: RAM_BASE, len: 0, flags: NEXT, next: 0 });
        q.offer(0);
      },
    ],
    ["a head past the table", (q) => q.offer(8)],
    [
      "a next past the table",
      (q) => {
        q.describe(0, { addr: RAM_BASE, len: 1, flags: NEXT, next: 8 });
        q.offer(0);
      },
    ],
    ["an available index that runs ahead", (q) => (q.availIdx = 9)],
    [
      "a length past the end of memory",
      (q, guest) => {
        q.describe(0, { addr: RAM_BASE + guest.memory.bytes.length - 4, len: 8, flags: NEXT, next: 1 });
        q.describe(1, { addr: RAM_BASE, len: 8, flags: WRITE });
        q.offer(0);
      },
    ],
    [
      "an address outside memory",
      (q) => {
        q.describe(0, { addr: 0x1000, len: 8, flags: NEXT, next: 1 });
        q.describe(1, { addr: RAM_BASE, len: 8, flags: WRITE });
        q.offer(0);
      },
    ],
    [
      "a length past the end of the address space",
      (q) => {
        q.describe(0, { addr: 0xffff_ffff_ffff_ff00n, len: 0x1000, flags: 0 });
        q.offer(0);
      },
    ],
    [
      "a readable descriptor after a writable one",
      (q) => {
        q.describe(0, { addr: RAM_BASE, len: 1, flags: WRITE | NEXT, next: 1 });
        q.describe(1, { addr: RAM_BASE, len: 1, flags: 0 });
        q.offer(0);
      },
    ],
    [
      "more than 2^32 bytes",
      (q) => {
        q.describe(0, { addr: RAM_BASE, len: 0xffff_ffff, flags: NEXT, next: 1 });
        q.describe(1, { addr: RAM_BASE, len: 2, flags: 0 });
        q.offer(0);
      },
    ],
    [
      "an indirect table of odd length",
      (q) => {
        q.describe(0, { addr: RAM_BASE, len: 24, flags: INDIRECT });
        q.offer(0);
      },
    ],
    [
      "an empty indirect table",
      (q) => {
        q.describe(0, { addr: RAM_BASE, len: 0, flags: INDIRECT });
        q.offer(0);
      },
    ],
    [
      "an indirect table outside memory",
      (q) => {
        q.describe(0, { addr: 0x1000, len: 32, flags: INDIRECT });
        q.offer(0);
      },
    ],
    [
      "an indirect table of 65536 descriptors",
      (q) => {
        q.describe(0, { addr: RAM_BASE, len: 1 << 20, flags: INDIRECT });
        q.offer(0);
      },
    ],
    [
      "an indirect table inside an indirect table",
      (q, guest) => {
        const table = guest.allocate(32, 16);
        q.describe(0, { addr: table, len: 16, flags: INDIRECT }, table);
        q.describe(0, { addr: table, len: 32, flags: INDIRECT });
        q.offer(0);
      },
    ],
    [
      "an indirect descriptor with a next one",
      (q, guest) => {
        const table = guest.allocate(32, 16);
        q.describe(0, { addr: table, len: 16, flags: INDIRECT | NEXT, next: 1 });
        q.offer(0);
      },
    ],
    [
      "a loop inside an indirect table",
      (q, guest) => {
        const table = guest.allocate(32, 16);
        q.describe(0, { addr: RAM_BASE, len: 1, flags: NEXT, next: 1 }, table);
        q.describe(1, { addr: RAM_BASE, len: 1, flags: NEXT, next: 0 }, table);
        q.describe(0, { addr: table, len: 32, flags: INDIRECT });
        q.offer(0);
      },
    ],
  ];

  test.each(cases)("%s", (_name, misbehave) => {
    const { guest, echo } = echoGuest();
    misbehave(echo, guest);
    echo.kick();
    expect(guest.needsReset).toBe(true);
    expect(guest.read(Register.interruptStatus) & 2).toBe(2);
    expect(guest.irq.level).toBe(true);
    expect(echo.usedIdx).toBe(0);
  });

  test.each(cases)("%s, with rings behind an IOMMU", (_name, misbehave) => {
    const { guest, echo } = echoGuest({ contiguous: false });
    misbehave(echo, guest);
    echo.kick();
    expect(guest.needsReset).toBe(true);
  });

  test("an indirect descriptor without the feature", () => {
    const { guest, echo } = echoGuest({ without: [Feature.indirectDesc, Feature.eventIdx] });
    echo.add([{ read: ABC }, { write: 3 }], { indirect: true });
    echo.kick();
    expect(guest.needsReset).toBe(true);
  });

  test("more buffers in flight than the queue holds", () => {
    const { guest, hold } = echoGuest({ size: 2 });
    hold.add([{ read: ABC }]);
    hold.add([{ read: ABC }]);
    hold.kick();
    expect(guest.needsReset).toBe(false);
    hold.offer(0);
    hold.kick();
    expect(guest.needsReset).toBe(true);
  });

  test("rings outside memory", () => {
    const guest = new TestGuest();
    guest.plug(new EchoDevice(guest.context));
    guest.negotiate();
    guest.write(Register.queueSel, 0);
    guest.write(Register.queueReady, 1);
    guest.driverOk();
    guest.write(Register.queueNotify, 0);
    expect(guest.needsReset).toBe(true);
  });

  test.each([
    ["a size that is no power of two", Register.queueNum, 6],
    ["a size of zero", Register.queueNum, 0],
    ["a size past the device's", Register.queueNum, 16],
    ["descriptors that are not aligned to 16", Register.queueDescLow, RAM_BASE + 8],
    ["an available ring at an odd address", Register.queueDriverLow, RAM_BASE + 1],
    ["a used ring that is not aligned to 4", Register.queueDeviceLow, RAM_BASE + 2],
  ])("%s", (_name, register, value) => {
    const guest = new TestGuest();
    guest.plug(new EchoDevice(guest.context));
    guest.negotiate();
    guest.write(Register.queueSel, 0);
    guest.write(register, value);
    guest.write(Register.queueReady, 1);
    expect(guest.needsReset).toBe(true);
    expect(guest.read(Register.queueReady)).toBe(0);
  });

  test("after that the device is silent until it is reset, and then works again", () => {
    const { guest, echo, device } = echoGuest();
    echo.offer(8);
    echo.kick();
    echo.add([{ read: ABC }, { write: 3 }]);
    echo.kick();
    expect(echo.usedIdx).toBe(0);
    const [fresh] = guest.start([0]) as [DriverQueue];
    fresh.add([{ read: ABC }, { write: 3 }]);
    fresh.kick();
    expect(fresh.usedIdx).toBe(1);
    expect(device.served).toBe(1);
  });
});

describe("reset", () => {
  test("a buffer that was in flight touches neither memory nor ring afterwards", () => {
    const { guest, device, hold } = echoGuest();
    const { at } = hold.add([{ read: ABC }, { write: 3 }]);
    hold.kick();
    const chain = device.held[0]!;
    guest.write(Register.status, 0);
    expect(chain.isLive).toBe(false);
    expect(chain.write(0, ABC)).toBe(false);
    device.finish(chain);
    expect(guest.bytesAt(at[1]!, 3)).toEqual(new Uint8Array(3));
    expect(hold.usedIdx).toBe(0);
    expect(guest.needsReset).toBe(false);
  });

  test("a queue that is no longer ready is left alone", () => {
    const { guest, device, hold } = echoGuest();
    hold.add([{ read: ABC }]);
    hold.kick();
    guest.write(Register.queueSel, 1);
    guest.write(Register.queueReady, 0);
    device.finish(device.held[0]!);
    expect(hold.usedIdx).toBe(0);
  });
});

describe("work is bounded", () => {
  test("one turn takes no more buffers than the queue holds, however fast new ones appear, and the next one goes on", () => {
    const { guest, echo, device } = echoGuest();
    const { head } = echo.add([{ read: ABC }, { write: 3 }]);
    const write = guest.memory.write.bind(guest.memory);
    guest.memory.write = (at, bytes) => {
      if (Number(at) === echo.deviceArea + 2) echo.offer(head);
      return write(at, bytes);
    };
    echo.kick();
    expect(device.served).toBe(8);
    guest.host.timers.runDue();
    expect(device.served).toBe(16);
    expect(guest.needsReset).toBe(false);
  });
});
