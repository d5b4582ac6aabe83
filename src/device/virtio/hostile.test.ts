// Drivers that do anything at all: the machine must go on, and a reset must bring the device back.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BlockNode } from "../../block/port.ts";
import type { CharBackend } from "../../chardev/port.ts";
import { readVirtioBlkConfig } from "./blk/config.ts";
import { VirtioBlk } from "./blk/device.ts";
import { BlkRequestHeader } from "./blk/spec.ts";
import type { VirtioContext, VirtioDevice } from "./device.ts";
import { Register } from "./mmio/spec.ts";
import { readVirtioRngConfig } from "./rng/config.ts";
import { VirtioRng } from "./rng/device.ts";
import { readSerialPortConfig, readVirtioSerialConfig } from "./serial/config.ts";
import { VirtioSerial } from "./serial/device.ts";
import { Status } from "./spec.ts";
import { EchoDevice } from "./test-device.ts";
import { RAM_BASE, TestGuest, type DriverQueue, type Part } from "./test-guest.ts";

const MEMORY_BYTES = 64 * 1024;
/** Rings and what they point to lie here, so that hostile values often hit each other. */
const ARENA_BYTES = 4096;

const disk: BlockNode = {
  nodeName: "disk0",
  lengthBytes: 1 << 20,
  readOnly: false,
  requestAlignmentBytes: 1,
  read: async (offset, into) => void into.fill(offset),
  write: () => Promise.resolve(),
  flush: () => Promise.resolve(),
  discard: () => Promise.resolve(),
  writeZeroes: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

/** Takes about half of what it is offered, and always has something to say. */
function moodyBackend(): CharBackend {
  let front: Parameters<CharBackend["attach"]>[0];
  return {
    label: "moody",
    write: (bytes) => bytes.length >> (bytes.length & 1),
    attach: (next) => (front = next),
    frontReady: () => {
      const room = Math.min(front?.room() ?? 0, 64);
      if (room > 0) front?.receive(new Uint8Array(room).fill(0x2e));
      front?.writable?.();
    },
    close: () => {},
  };
}

const devices: readonly (readonly [string, (context: VirtioContext) => VirtioDevice])[] = [
  ["echo", (context) => new EchoDevice(context)],
  ["blk", (context) => new VirtioBlk(context, disk, readVirtioBlkConfig({ "num-queues": 2 }))],
  ["rng", (context) => new VirtioRng(context, { fill: (bytes) => void bytes.fill(3) }, readVirtioRngConfig())],
  [
    "serial",
    (context) => {
      const device = new VirtioSerial(context, readVirtioSerialConfig({ max_ports: 2 }));
      device.addPort(readSerialPortConfig("virtconsole"), moodyBackend());
      device.addPort(readSerialPortConfig("virtserialport", { name: "p" }), moodyBackend());
      return device;
    },
  ],
];

type Step =
  | { kind: "register"; offset: number; width: 1 | 2 | 4; value: number }
  | { kind: "poke"; at: number; value: number }
  | {
      kind: "descriptor";
      queue: number;
      index: number;
      addr: number | bigint;
      len: number;
      flags: number;
      next: number;
    }
  | { kind: "offer"; queue: number; head: number }
  | { kind: "kick"; queue: number }
  | { kind: "turn" }
  | { kind: "restart" };

const place = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: RAM_BASE, max: RAM_BASE + ARENA_BYTES }) },
  fc.constantFrom(0, RAM_BASE - 1, RAM_BASE + MEMORY_BYTES - 1, 0xffff_ffff),
);
const length = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 600 }) },
  fc.constantFrom(16, 32, 48, 128, 513, 4096, 65536, 0x7fff_ffff, 0xffff_fff0, 0xffff_ffff),
);
const value = fc.oneof(fc.nat(16), place, fc.nat(0xffff), fc.integer({ min: 0, max: 0xffff_ffff }));
const queueIndex = fc.nat(5);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("register" as const),
    offset: fc.oneof(fc.constantFrom(...Object.values(Register)), fc.nat(0x1fc)),
    width: fc.constantFrom(4 as const, 4 as const, 4 as const, 2 as const, 1 as const),
    value,
  }),
  fc.record({ kind: fc.constant("poke" as const), at: fc.nat(ARENA_BYTES), value }),
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("descriptor" as const),
      queue: queueIndex,
      index: fc.nat(7),
      addr: fc.oneof({ weight: 9, arbitrary: place }, fc.constantFrom(0xffff_ffff_ffff_fff0n, 1n << 63n)),
      len: length,
      flags: fc.nat(7),
      next: fc.nat(9),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("offer" as const), queue: queueIndex, head: fc.nat(8) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("kick" as const), queue: queueIndex }) },
  fc.record({ kind: fc.constant("turn" as const) }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
);

/** Resets the device and sets its queues up again over whatever is in memory; the available rings begin empty. */
function restart(guest: TestGuest, queues: readonly DriverQueue[]): void {
  guest.negotiate();
  for (const queue of queues) {
    queue.availIdx = 0;
    guest.place(queue);
    guest.write(Register.queueReady, 1);
  }
  guest.driverOk();
}

function take(guest: TestGuest, queues: readonly DriverQueue[], action: Step): void {
  const queue = "queue" in action ? queues[action.queue % queues.length]! : undefined;
  switch (action.kind) {
    case "register":
      guest.write(action.offset - (action.offset % action.width), action.value % 2 ** (8 * action.width), action.width);
      guest.read(action.offset - (action.offset % action.width), action.width);
      return;
    case "poke":
      guest.memory.view.setUint32(action.at, action.value, true);
      return;
    case "descriptor":
      return queue!.describe(action.index, action);
    case "offer":
      return queue!.offer(action.head);
    case "kick":
      return queue!.kick();
    case "turn":
      // Once: what re-arms itself at once gets its turn in the next step, as in the machine's loop.
      guest.host.timers.clock.setNs(guest.host.timers.clock.nowNs() + 1_000_000);
      guest.host.timers.runDue();
      return;
    case "restart":
      return restart(guest, queues);
  }
}

describe.each(devices)("%s and a hostile driver", (_name, make) => {
  test("whatever is written to rings, buffers and registers, it ends, throws nothing and moves a bounded amount", async () => {
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.array(step, { minLength: 1, maxLength: 60 }), async (contiguous, steps) => {
        const guest = new TestGuest({ memoryBytes: MEMORY_BYTES, contiguous });
        const device = make(guest.context);
        guest.plug(device);
        const count = Math.min(device.queues.length, 6);
        const queues = guest.start(
          Array.from({ length: count }, (_, i) => i),
          { without: [] },
        );
        for (const action of steps) {
          const before = guest.memory.movedBytes;
          take(guest, queues, action);
          // 16 MiB per turn for a disk; ring windows count too.
          expect(guest.memory.movedBytes - before).toBeLessThan(64 << 20);
        }
        await device.drain();

        // A reset brings it back: fresh queues are accepted, and it is not broken.
        guest.memory.bytes.fill(0);
        restart(guest, queues);
        expect(guest.status).toBe(Status.acknowledge | Status.driver | Status.featuresOk | Status.driverOk);
        device.close?.();
      }),
      { numRuns: 150 },
    );
  });
});

describe("blk", () => {
  test("random requests in well-formed chains never break the device", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            type: fc.oneof(fc.constantFrom(0, 1, 4, 8, 11, 13), fc.nat(0xffff_ffff)),
            sector: fc.oneof(fc.bigInt({ min: 0n, max: 2100n }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
            out: fc.constantFrom(0, 8, 16, 32, 512, 1024, 1000),
            room: fc.constantFrom(1, 20, 21, 513, 1025, 2000),
          }),
          { minLength: 1, maxLength: 8 },
        ),
        async (requests) => {
          const guest = new TestGuest({ memoryBytes: MEMORY_BYTES });
          const device = new VirtioBlk(guest.context, disk, readVirtioBlkConfig());
          guest.plug(device);
          const [queue] = guest.start([0], { size: 32 }) as [DriverQueue];
          for (const { type, sector, out, room } of requests) {
            const header = BlkRequestHeader.encode({ type, sector });
            queue.add([{ read: header }, { read: new Uint8Array(out).fill(1) }, { write: room }]);
          }
          queue.kick();
          await device.drain();
          expect(guest.needsReset).toBe(false);
          expect(queue.used()).toHaveLength(requests.length);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("rings against a model", () => {
  const part: fc.Arbitrary<Part> = fc.oneof(
    fc.record({ read: fc.uint8Array({ maxLength: 20 }) }),
    fc.record({ write: fc.nat(20) }),
  );
  const buffer = fc.record({
    parts: fc
      .array(part, { minLength: 1, maxLength: 4 })
      // Readable parts first: the driver's duty.
      .map((parts) => [...parts.filter((p) => "read" in p), ...parts.filter((p) => "write" in p)]),
    indirect: fc.boolean(),
  });

  test("each buffer is answered once, in order, with exactly its own bytes, and nothing else is written", () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(fc.array(buffer, { minLength: 1, maxLength: 2 }), { maxLength: 12 }),
        (contiguous, batches) => {
          const guest = new TestGuest({ memoryBytes: MEMORY_BYTES, contiguous });
          guest.plug(new EchoDevice(guest.context));
          const [queue] = guest.start([0]) as [DriverQueue];
          for (const batch of batches) {
            const expected: { head: number; writtenBytes: number }[] = [];
            const offered = batch.map(({ parts, indirect }) => ({ parts, ...queue.add(parts, { indirect }) }));
            const memory = guest.memory.bytes.slice();
            for (const { parts, head, at } of offered) {
              const input = parts.flatMap((p) => ("read" in p ? [...p.read] : []));
              const room = parts.reduce((sum, p) => sum + ("write" in p ? p.write : 0), 0);
              const output = input.slice(0, room).map((byte) => ~byte & 0xff);
              expected.push({ head, writtenBytes: output.length });
              for (const [i, p] of parts.entries()) {
                if ("write" in p) memory.set(output.splice(0, p.write), at[i]! - RAM_BASE);
              }
            }
            queue.kick();
            expect(queue.used()).toEqual(expected);
            // The used ring is the device's; all else must be as the model says.
            const ring = queue.deviceArea - RAM_BASE;
            memory.set(guest.memory.bytes.subarray(ring, ring + 6 + 8 * queue.size), ring);
            expect(Buffer.compare(guest.memory.bytes, memory)).toBe(0);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  test("a driver that notifies and listens only when event indices ask for it is never left waiting", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(2, 4, 8),
        fc.boolean(),
        fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 40 }),
        (size, listensLate, batches) => {
          const guest = new TestGuest({ memoryBytes: MEMORY_BYTES });
          guest.plug(new EchoDevice(guest.context));
          const [queue] = guest.start([0], { without: [], size }) as [DriverQueue];
          for (const count of batches) {
            const before = queue.availIdx;
            const added = Math.min(count, size);
            // With a late wish the interrupt is for the batch's last buffer, as Linux's enable_cb_delayed has it.
            queue.usedEvent = (queue.usedIdx + (listensLate ? added - 1 : 0)) & 0xffff;
            for (let i = 0; i < added; i++) queue.add([{ write: 1 }]);
            const mustKick = ((queue.availIdx - queue.availEvent - 1) & 0xffff) < ((queue.availIdx - before) & 0xffff);
            expect(mustKick).toBe(true);
            queue.kick();
            expect(queue.used()).toHaveLength(added);
            expect(guest.irq.level).toBe(true);
            guest.acknowledge();
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});
