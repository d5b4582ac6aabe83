import { describe, expect, test } from "vitest";
import type { BlockNode } from "../../../block/port.ts";
import { Register } from "../mmio/spec.ts";
import { TestGuest, type DriverQueue, type TestGuestOptions } from "../test-guest.ts";
import { readVirtioBlkConfig } from "./config.ts";
import { VirtioBlk } from "./device.ts";
import { BlkConfig, BlkFeature, BlkRequestHeader, BlkSegment } from "./spec.ts";

const [OK, IOERR, UNSUPP] = [0, 1, 2];
const [IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES] = [0, 1, 4, 8, 11, 13];
const CONFIG = 0x100;

/** A disk that answers when the test says so, or at once, and remembers what it was asked. */
class TestDisk implements BlockNode {
  readonly nodeName = "disk0";
  readonly readOnly: boolean;
  readonly requestAlignmentBytes: number = 1;
  readonly bytes: Uint8Array;
  readonly calls: string[] = [];
  failure: Error | undefined;
  /** While true, requests wait in `held`. */
  hold = false;
  readonly held: (() => void)[] = [];

  constructor(lengthBytes: number, { readOnly = false } = {}) {
    this.readOnly = readOnly;
    this.bytes = new Uint8Array(lengthBytes);
    for (let at = 0; at < lengthBytes; at += 512) this.bytes.fill(at >> 9, at, at + 512);
  }

  get lengthBytes(): number {
    return this.bytes.length;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    await this.#answer(`read ${offset} ${into.length}`);
    into.set(this.bytes.subarray(offset, offset + into.length));
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    await this.#answer(`write ${offset} ${from.length}`);
    this.bytes.set(from, offset);
  }

  flush(): Promise<void> {
    return this.#answer("flush");
  }

  discard(offset: number, lengthBytes: number): Promise<void> {
    return this.#answer(`discard ${offset} ${lengthBytes}`);
  }

  async writeZeroes(offset: number, lengthBytes: number, mayUnmap: boolean): Promise<void> {
    await this.#answer(`zero ${offset} ${lengthBytes} ${mayUnmap}`);
    this.bytes.fill(0, offset, offset + lengthBytes);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  release(): void {
    for (const answer of this.held.splice(0)) answer();
  }

  async #answer(call: string): Promise<void> {
    this.calls.push(call);
    if (this.hold) await new Promise<void>((resolve) => this.held.push(resolve));
    if (this.failure !== undefined) throw this.failure;
  }
}

interface Setup extends TestGuestOptions {
  readonly diskBytes?: number;
  readonly readOnly?: boolean;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly without?: readonly number[];
  readonly size?: number;
}

function blkGuest(setup: Setup = {}) {
  const guest = new TestGuest({ memoryBytes: 4 << 20, ...setup });
  const disk = new TestDisk(setup.diskBytes ?? 64 * 512, { readOnly: setup.readOnly ?? false });
  const device = new VirtioBlk(guest.context, disk, readVirtioBlkConfig(setup.properties));
  guest.plug(device);
  const [queue] = guest.start([0], { size: 64, ...setup, without: [29, ...(setup.without ?? [])] }) as [DriverQueue];

  /** Makes a request available; `status` and `data` read what the device has written. */
  const request = (type: number, sector: number | bigint, data: { out?: Uint8Array; in?: number } = {}) => {
    const head = BlkRequestHeader.encode({ type, sector: BigInt(sector) });
    const parts = [{ read: head }, ...(data.out === undefined ? [] : [{ read: data.out }])];
    const { at } = queue.add([...parts, { write: data.in ?? 0 }, { write: 1 }]);
    guest.memory.bytes.set([0xee], at.at(-1)! - 0x8000_0000);
    return {
      status: () => guest.bytesAt(at.at(-1)!, 1)[0],
      data: () => guest.bytesAt(at.at(-2)!, data.in ?? 0),
    };
  };
  /** Sends one request and lets it finish. */
  const run = async (...parameters: Parameters<typeof request>) => {
    const sent = request(...parameters);
    queue.kick();
    await device.drain();
    return { status: sent.status(), data: sent.data(), used: queue.used()[0] };
  };
  return { guest, disk, device, queue, request, run };
}

function segment(sector: number | bigint, sectorCount: number, flags = 0): Uint8Array {
  return BlkSegment.encode({ sector: BigInt(sector), sectorCount, flags });
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("configuration", () => {
  test("shows device 2, the capacity and the default limits", () => {
    const { guest } = blkGuest();
    expect(guest.read(Register.deviceId)).toBe(2);
    const bytes = Uint8Array.from({ length: 60 }, (_, i) => guest.read(CONFIG + i, 1));
    expect(BlkConfig.decode(bytes)).toMatchObject({
      capacity: 64n,
      sizeMax: 0,
      segMax: 254,
      blkSize: 512,
      physicalBlockExp: 0,
      writeback: 1,
      numQueues: 1,
      maxDiscardSectors: 0x3fffff,
      maxDiscardSeg: 1,
      discardSectorAlignment: 1,
      maxWriteZeroesSectors: 0x3fffff,
      maxWriteZeroesSeg: 1,
      writeZeroesMayUnmap: 1,
    });
  });

  test("shows block sizes and I/O hints in logical blocks", () => {
    const { guest } = blkGuest({
      properties: {
        logical_block_size: 4096,
        physical_block_size: "16k",
        min_io_size: 8192,
        opt_io_size: "64k",
        discard_granularity: 8192,
      },
    });
    const bytes = Uint8Array.from({ length: 60 }, (_, i) => guest.read(CONFIG + i, 1));
    expect(BlkConfig.decode(bytes)).toMatchObject({
      blkSize: 4096,
      physicalBlockExp: 2,
      minIoSize: 2,
      optIoSize: 16,
      discardSectorAlignment: 16,
    });
  });

  test("offers RO and neither discard nor write zeroes for a read-only node", () => {
    const { device } = blkGuest({ readOnly: true });
    const has = (bit: number) => (device.deviceFeatures >> BigInt(bit)) & 1n;
    expect([has(BlkFeature.ro), has(BlkFeature.discard), has(BlkFeature.writeZeroes)]).toEqual([1n, 0n, 0n]);
  });

  test("a part of a block at the disk's end is not shown", () => {
    const { guest } = blkGuest({ diskBytes: 4096 * 3 + 512, properties: { logical_block_size: 4096 } });
    expect(guest.read(CONFIG, 4)).toBe(24);
  });

  test.each([
    [{ logical_block_size: 1000 }, /power of two/],
    [{ logical_block_size: 4096, physical_block_size: 512 }, /below logical_block_size/],
    [{ min_io_size: 100 }, /'min_io_size' is 100; a multiple/],
    [{ "queue-size": 100 }, /'queue-size' is 100/],
    [{ "num-queues": 0 }, /'num-queues' is 0/],
    [{ scsi: true }, /'virtio-blk-device.scsi' not found/],
    [{ werror: "stop" }, /'werror' does not accept this value/],
  ])("properties %o are refused", (properties, message) => {
    expect(() => readVirtioBlkConfig(properties)).toThrow(message);
  });

  test("a node that wants larger requests than the block size is refused", () => {
    const guest = new TestGuest();
    const disk = Object.assign(new TestDisk(8192), { requestAlignmentBytes: 4096 });
    expect(() => new VirtioBlk(guest.context, disk, readVirtioBlkConfig())).toThrow("logical_block_size=4096 would do");
  });
});

describe("requests", () => {
  test("a read fills the buffer and tells data and status as written", async () => {
    const { run, guest } = blkGuest();
    const { status, data, used } = await run(IN, 3, { in: 1024 });
    expect(status).toBe(OK);
    expect(data).toEqual(new Uint8Array(1024).fill(3, 0, 512).fill(4, 512));
    expect(used?.writtenBytes).toBe(1025);
    expect(guest.irq.level).toBe(true);
  });

  test("a write reaches the disk", async () => {
    const { run, disk } = blkGuest();
    const { status, used } = await run(OUT, 2, { out: new Uint8Array(512).fill(0xaa) });
    expect(status).toBe(OK);
    expect(used?.writtenBytes).toBe(1);
    expect(disk.bytes.subarray(1024, 1536)).toEqual(new Uint8Array(512).fill(0xaa));
    expect(disk.bytes[1023]).toBe(1);
    expect(disk.bytes[1536]).toBe(3);
  });

  test("large requests go to the node in pieces", async () => {
    const { run, disk } = blkGuest({ diskBytes: 1 << 20 });
    const { status, data } = await run(IN, 0, { in: 600 * 1024 });
    expect(status).toBe(OK);
    expect(Buffer.compare(data, disk.bytes.subarray(0, 600 * 1024))).toBe(0);
    expect(disk.calls).toEqual(["read 0 262144", "read 262144 262144", "read 524288 90112"]);
  });

  test("the serial number is given, padded", async () => {
    const { run } = blkGuest({ properties: { serial: "RATITE-1" } });
    const { status, data, used } = await run(GET_ID, 0, { in: 20 });
    expect(status).toBe(OK);
    expect(new TextDecoder().decode(data)).toBe(`RATITE-1${"\0".repeat(12)}`);
    expect(used?.writtenBytes).toBe(21);
  });

  test("a serial number of 20 bytes or more fills the answer", async () => {
    const { run } = blkGuest({ properties: { serial: "0123456789abcdefghijXYZ" } });
    const { data } = await run(GET_ID, 0, { in: 20 });
    expect(new TextDecoder().decode(data)).toBe("0123456789abcdefghij");
  });

  test("discard and write zeroes reach the node", async () => {
    const { run, disk } = blkGuest();
    expect((await run(DISCARD, 0, { out: segment(8, 4) })).status).toBe(OK);
    expect((await run(WRITE_ZEROES, 0, { out: segment(16, 2, 0) })).status).toBe(OK);
    expect((await run(WRITE_ZEROES, 0, { out: segment(18, 2, 1) })).status).toBe(OK);
    expect(disk.calls).toEqual(["discard 4096 2048", "zero 8192 1024 false", "zero 9216 1024 true"]);
  });

  test("several are at the node at once and complete as they finish", async () => {
    const { request, disk, queue, device } = blkGuest();
    disk.hold = true;
    request(IN, 0, { in: 512 });
    request(IN, 1, { in: 512 });
    request(IN, 2, { in: 512 });
    queue.kick();
    await turn();
    expect(disk.calls).toEqual(["read 0 512", "read 512 512", "read 1024 512"]);
    disk.held[1]!();
    await turn();
    expect(queue.used().map(({ head }) => head)).toEqual([3]);
    disk.release();
    await device.drain();
    expect(queue.used()).toHaveLength(2);
  });

  test("no more than sixteen are at the node at once", async () => {
    const { request, disk, queue } = blkGuest();
    disk.hold = true;
    for (let i = 0; i < 20; i++) request(FLUSH, 0);
    queue.kick();
    await turn();
    expect(disk.calls).toHaveLength(16);
    disk.release();
    await turn();
    expect(disk.calls).toHaveLength(20);
  });

  test("a second queue is served when asked for", async () => {
    const guest = new TestGuest();
    const device = new VirtioBlk(guest.context, new TestDisk(4096), readVirtioBlkConfig({ "num-queues": 2 }));
    guest.plug(device);
    const [, second] = guest.start([0, 1]) as [DriverQueue, DriverQueue];
    const { at } = second.add([{ read: BlkRequestHeader.encode({ type: IN }) }, { write: 512 }, { write: 1 }]);
    second.kick();
    await device.drain();
    expect(guest.bytesAt(at[2]!, 1)).toEqual(Uint8Array.of(OK));
    expect(second.usedIdx).toBe(1);
  });
});

describe("durability", () => {
  test("a flush begins after the writes that were completed, and completes when it is done", async () => {
    const { request, run, disk, queue } = blkGuest();
    await run(OUT, 0, { out: new Uint8Array(512) });
    disk.hold = true;
    const flush = request(FLUSH, 0);
    queue.kick();
    await turn();
    expect(disk.calls).toEqual(["write 0 512", "flush"]);
    expect(flush.status()).toBe(0xee);
    disk.release();
    await turn();
    expect(flush.status()).toBe(OK);
  });

  test("with the write cache on, a write is completed without a flush", async () => {
    const { run, disk } = blkGuest();
    await run(OUT, 0, { out: new Uint8Array(512) });
    expect(disk.calls).toEqual(["write 0 512"]);
  });

  test("a driver that took neither FLUSH nor CONFIG_WCE gets durable writes", async () => {
    const { run, disk } = blkGuest({ without: [BlkFeature.flush, BlkFeature.configWce] });
    await run(OUT, 0, { out: new Uint8Array(512) });
    expect(disk.calls).toEqual(["write 0 512", "flush"]);
  });

  test("the driver can switch the cache off and on", async () => {
    const { run, disk, guest } = blkGuest();
    guest.write(CONFIG + 32, 0, 1);
    expect(guest.read(CONFIG + 32, 1)).toBe(0);
    await run(OUT, 0, { out: new Uint8Array(512) });
    expect(disk.calls).toEqual(["write 0 512", "flush"]);
    guest.write(CONFIG + 32, 1, 1);
    await run(OUT, 0, { out: new Uint8Array(512) });
    expect(disk.calls).toHaveLength(3);
  });

  test("without CONFIG_WCE it cannot", () => {
    const { guest } = blkGuest({ without: [BlkFeature.configWce] });
    guest.write(CONFIG + 32, 0, 1);
    expect(guest.read(CONFIG + 32, 1)).toBe(1);
  });

  test("a driver with CONFIG_WCE and without FLUSH begins with the cache off", () => {
    const { guest } = blkGuest({ without: [BlkFeature.flush] });
    expect(guest.read(CONFIG + 32, 1)).toBe(0);
  });

  test("write-cache=off begins with the cache off, after each reset", () => {
    const { guest } = blkGuest({ properties: { "write-cache": "off" } });
    expect(guest.read(CONFIG + 32, 1)).toBe(0);
    guest.write(CONFIG + 32, 1, 1);
    guest.write(Register.status, 0);
    expect(guest.read(CONFIG + 32, 1)).toBe(0);
  });
});

describe("what cannot be done has a status", () => {
  test.each([
    ["a read that ends past the disk", IN, 63, { in: 1024 }, IOERR],
    ["a read that begins past the disk", IN, 65, { in: 512 }, IOERR],
    ["a sector near 2^64", IN, 0xffff_ffff_ffff_ffffn, { in: 512 }, IOERR],
    ["a read of half a sector", IN, 0, { in: 256 }, IOERR],
    ["a write of half a sector", OUT, 0, { out: new Uint8Array(256) }, IOERR],
    ["a write past the disk", OUT, 64, { out: new Uint8Array(512) }, IOERR],
    ["an unknown type", 99, 0, {}, UNSUPP],
    ["a SCSI command", 2, 0, {}, UNSUPP],
    ["a discard past the disk", DISCARD, 0, { out: segment(63, 2) }, IOERR],
    ["a discard of half a segment", DISCARD, 0, { out: new Uint8Array(8) }, IOERR],
    ["a discard of more segments than allowed", DISCARD, 0, { out: new Uint8Array(32) }, UNSUPP],
    ["a discard with the unmap flag", DISCARD, 0, { out: segment(0, 1, 1) }, UNSUPP],
    ["a write-zeroes with an unknown flag", WRITE_ZEROES, 0, { out: segment(0, 1, 2) }, UNSUPP],
    ["a write-zeroes at a sector near 2^64", WRITE_ZEROES, 0, { out: segment(0xffff_ffff_ffff_ffffn, 1) }, IOERR],
  ] as const)("%s", async (_name, type, sector, data, expected) => {
    const { run, disk } = blkGuest();
    const before = disk.bytes.slice();
    expect((await run(type, sector, data)).status).toBe(expected);
    expect(disk.calls).toEqual([]);
    expect(Buffer.compare(disk.bytes, before)).toBe(0);
  });

  test("more sectors than one request may discard", async () => {
    const { run } = blkGuest({ properties: { "max-discard-sectors": 4 } });
    expect((await run(DISCARD, 0, { out: segment(0, 5) })).status).toBe(IOERR);
  });

  test("a part of a logical block", async () => {
    const { run } = blkGuest({ properties: { logical_block_size: 4096 } });
    expect((await run(IN, 0, { in: 512 })).status).toBe(IOERR);
    expect((await run(IN, 1, { in: 4096 })).status).toBe(IOERR);
    expect((await run(IN, 8, { in: 4096 })).status).toBe(OK);
  });

  test("discard and write zeroes that were not negotiated", async () => {
    const { run } = blkGuest({ without: [BlkFeature.discard, BlkFeature.writeZeroes] });
    expect((await run(DISCARD, 0, { out: segment(0, 1) })).status).toBe(UNSUPP);
    expect((await run(WRITE_ZEROES, 0, { out: segment(0, 1) })).status).toBe(UNSUPP);
  });

  test("a write to a read-only disk", async () => {
    const { run, disk } = blkGuest({ readOnly: true });
    expect((await run(OUT, 0, { out: new Uint8Array(512).fill(9) })).status).toBe(IOERR);
    expect(disk.calls).toEqual([]);
    expect((await run(IN, 0, { in: 512 })).status).toBe(OK);
  });

  test("a failure of the host, which is told outside", async () => {
    const { run, disk, device } = blkGuest();
    const told: string[] = [];
    device.onIoError = (operation, error) => told.push(`${operation}: ${(error as Error).message}`);
    disk.failure = new Error("no space");
    expect((await run(OUT, 0, { out: new Uint8Array(512) })).status).toBe(IOERR);
    expect((await run(IN, 0, { in: 512 })).status).toBe(IOERR);
    expect(told).toEqual(["out: no space", "in: no space"]);
  });

  test("a failed read claims no data", async () => {
    const { run, disk } = blkGuest();
    disk.failure = new Error("bad sector");
    expect((await run(IN, 0, { in: 512 })).used?.writtenBytes).toBe(0);
  });
});

describe("a malformed request makes the device need a reset", () => {
  test.each([
    ["no header", [{ write: 513 }]],
    ["a short header", [{ read: new Uint8Array(15) }, { write: 1 }]],
    ["no room for the status", [{ read: new Uint8Array(16) }]],
  ])("%s", async (_name, parts) => {
    const { guest, queue, device } = blkGuest();
    queue.add(parts);
    queue.kick();
    await device.drain();
    expect(guest.needsReset).toBe(true);
  });

  test("data outside memory", async () => {
    const { guest, queue, device } = blkGuest();
    const header = guest.allocate(16, 8);
    queue.describe(0, { addr: header, len: 16, flags: 1, next: 1 });
    queue.describe(1, { addr: 0x10, len: 513, flags: 2 });
    queue.offer(0);
    queue.kick();
    await device.drain();
    expect(guest.needsReset).toBe(true);
    expect(queue.usedIdx).toBe(0);
  });
});

describe("reset with requests in flight", () => {
  test("an old read writes to no memory, an old request takes no place in a new ring", async () => {
    const { guest, request, disk, queue, device } = blkGuest();
    disk.hold = true;
    const old = request(IN, 3, { in: 512 });
    queue.kick();
    await turn();
    const [fresh] = guest.start([0]) as [DriverQueue];
    disk.release();
    await turn();
    expect(old.data()).toEqual(new Uint8Array(512));
    expect(old.status()).toBe(0xee);
    expect(fresh.usedIdx).toBe(0);
    expect(guest.needsReset).toBe(false);
    await device.drain();
  });

  test("a new write waits for an old one, which cannot undo it", async () => {
    const { guest, request, disk, queue, device } = blkGuest();
    disk.hold = true;
    request(OUT, 0, { out: new Uint8Array(512).fill(1) });
    queue.kick();
    await turn();
    disk.hold = false;
    const [fresh] = guest.start([0]) as [DriverQueue];
    const header = BlkRequestHeader.encode({ type: OUT });
    fresh.add([{ read: header }, { read: new Uint8Array(512).fill(2) }, { write: 1 }]);
    fresh.kick();
    await turn();
    expect(fresh.usedIdx).toBe(0);
    disk.release();
    await device.drain();
    expect(fresh.usedIdx).toBe(1);
    expect(disk.bytes[0]).toBe(2);
  });

  test("requests that had not begun are forgotten", async () => {
    const { guest, request, disk, queue, device } = blkGuest();
    disk.hold = true;
    for (let i = 0; i < 18; i++) request(OUT, i, { out: new Uint8Array(512).fill(0xff) });
    queue.kick();
    await turn();
    guest.write(Register.status, 0);
    disk.release();
    await device.drain();
    expect(disk.calls).toHaveLength(16);
  });
});

describe("work is bounded", () => {
  test("after 16 MiB the node waits for the machine's next turn", async () => {
    const { guest, request, disk, queue } = blkGuest({ diskBytes: 24 << 20, memoryBytes: 32 << 20 });
    const sent = request(IN, 0, { in: 24 << 20 });
    queue.kick();
    await turn();
    expect(disk.calls).toHaveLength(64);
    expect(sent.status()).toBe(0xee);
    guest.host.advanceNs(0);
    await turn();
    expect(disk.calls).toHaveLength(96);
    expect(sent.status()).toBe(OK);
  });

  test("a reset ends what waits for a turn", async () => {
    const { guest, request, disk, queue, device } = blkGuest({ diskBytes: 24 << 20, memoryBytes: 32 << 20 });
    request(IN, 0, { in: 24 << 20 });
    queue.kick();
    await turn();
    guest.write(Register.status, 0);
    await device.drain();
    expect(disk.calls.length).toBeLessThanOrEqual(65);
  });
});

describe("saved state", () => {
  test("is had after drain() and continues elsewhere", async () => {
    const first = blkGuest();
    await first.run(IN, 0, { in: 512 });
    first.guest.write(CONFIG + 32, 0, 1);
    const state = first.device.saveState();

    const guest = new TestGuest({ memoryBytes: 4 << 20 });
    const device = new VirtioBlk(guest.context, new TestDisk(64 * 512), readVirtioBlkConfig());
    guest.plug(device);
    guest.memory.bytes.set(first.guest.memory.bytes);
    device.loadState(state);
    expect(device.saveState()).toEqual(state);
    expect(guest.read(CONFIG + 32, 1)).toBe(0);
  });

  test("cannot be had before", async () => {
    const { request, disk, queue, device } = blkGuest();
    disk.hold = true;
    request(FLUSH, 0);
    queue.kick();
    await turn();
    expect(() => device.saveState()).toThrow("after drain()");
    disk.release();
    await device.drain();
  });
});
