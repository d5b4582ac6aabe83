// A guest for tests: a little memory behind a DMA port that counts what should not happen, and a driver that speaks to
// a virtio-mmio slot through its registers and rings, as the specification's driver does.
import { assert, viewOf, type Iova } from "../../base/index.ts";
import { TestHost, TestLine } from "../test-host.ts";
import { DmaStatus, type DmaPort } from "../port.ts";
import type { VirtioContext, VirtioDevice } from "./device.ts";
import { VirtioMmio } from "./mmio/device.ts";
import { Register } from "./mmio/spec.ts";
import { AvailRing, Descriptor, Feature, featureBits, Status, UsedRing } from "./spec.ts";

export const RAM_BASE = 0x8000_0000;

/** Guest RAM from RAM_BASE on. With `contiguous` false there are no windows, as behind a guest's IOMMU. */
export class TestMemory implements DmaPort {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Bytes that the device moved by DMA, windows included. */
  movedBytes = 0;
  readonly #contiguous: boolean;

  constructor(lengthBytes: number, { contiguous = true }: { contiguous?: boolean } = {}) {
    this.bytes = new Uint8Array(lengthBytes);
    this.view = viewOf(this.bytes);
    this.#contiguous = contiguous;
  }

  read(at: Iova, into: Uint8Array): DmaStatus {
    const run = this.#run(at, into.length);
    if (run === undefined) return DmaStatus.decodeError;
    into.set(run);
    return DmaStatus.ok;
  }

  write(at: Iova, bytes: Uint8Array): DmaStatus {
    const run = this.#run(at, bytes.length);
    if (run === undefined) return DmaStatus.decodeError;
    run.set(bytes);
    return DmaStatus.ok;
  }

  readWindow(at: Iova, lengthBytes: number): Uint8Array | undefined {
    return this.#contiguous ? this.#run(at, lengthBytes) : undefined;
  }

  writeWindow(at: Iova, lengthBytes: number): Uint8Array | undefined {
    return this.readWindow(at, lengthBytes);
  }

  fence(): void {}

  #run(at: bigint, lengthBytes: number): Uint8Array | undefined {
    assert(at >= 0n && at + BigInt(lengthBytes) <= 1n << 64n, "a DMA address does not wrap", at, lengthBytes);
    this.movedBytes += lengthBytes;
    const offset = at - BigInt(RAM_BASE);
    if (offset < 0n || offset + BigInt(lengthBytes) > BigInt(this.bytes.length)) return undefined;
    return this.bytes.subarray(Number(offset), Number(offset) + lengthBytes);
  }
}

/** One element of a buffer: bytes for the device to read, or room for it to write. */
export type Part = { readonly read: Uint8Array } | { readonly write: number };

export interface UsedEntry {
  readonly head: number;
  readonly writtenBytes: number;
}

/** The driver's side of one queue. */
export class DriverQueue {
  readonly descriptorArea: number;
  readonly driverArea: number;
  readonly deviceArea: number;
  readonly size: number;
  readonly index: number;
  readonly #guest: TestGuest;
  #nextDescriptor = 0;
  #seenUsed = 0;

  constructor(guest: TestGuest, index: number, size: number) {
    this.#guest = guest;
    this.index = index;
    this.size = size;
    this.descriptorArea = guest.allocate(size * Descriptor.lengthBytes, 16);
    this.driverArea = guest.allocate(6 + 2 * size, 2);
    this.deviceArea = guest.allocate(6 + 8 * size, 4);
  }

  get availIdx(): number {
    return this.#guest.u16(this.driverArea + AvailRing.idx);
  }

  set availIdx(idx: number) {
    this.#guest.setU16(this.driverArea + AvailRing.idx, idx);
  }

  get usedIdx(): number {
    return this.#guest.u16(this.deviceArea + UsedRing.idx);
  }

  get availEvent(): number {
    return this.#guest.u16(this.deviceArea + UsedRing.ring + 8 * this.size);
  }

  set usedEvent(idx: number) {
    this.#guest.setU16(this.driverArea + AvailRing.ring + 2 * this.size, idx);
  }

  set availFlags(flags: number) {
    this.#guest.setU16(this.driverArea + AvailRing.flags, flags);
  }

  /** Writes a descriptor, right or wrong, into `table`. */
  describe(
    index: number,
    d: { addr: number | bigint; len: number; flags: number; next?: number },
    table?: number,
  ): void {
    const at = (table ?? this.descriptorArea) + index * Descriptor.lengthBytes - RAM_BASE;
    const { view } = this.#guest.memory;
    view.setBigUint64(at + Descriptor.addr, BigInt(d.addr), true);
    view.setUint32(at + Descriptor.len, d.len, true);
    view.setUint16(at + Descriptor.flags, d.flags, true);
    view.setUint16(at + Descriptor.next, d.next ?? 0, true);
  }

  /** Puts a head into the available ring and moves its index. */
  offer(head: number): void {
    const idx = this.availIdx;
    this.#guest.setU16(this.driverArea + AvailRing.ring + 2 * (idx % this.size), head);
    this.availIdx = (idx + 1) & 0xffff;
  }

  /** Makes a buffer available; returns its head and where its parts lie. */
  add(parts: readonly Part[], { indirect = false }: { indirect?: boolean } = {}): { head: number; at: number[] } {
    const at = parts.map((part) => {
      if ("write" in part) return this.#guest.allocate(part.write, 1);
      const address = this.#guest.allocate(part.read.length, 1);
      this.#guest.memory.bytes.set(part.read, address - RAM_BASE);
      return address;
    });
    const table = indirect ? this.#guest.allocate(parts.length * Descriptor.lengthBytes, 16) : undefined;
    const first = table === undefined ? this.#takeDescriptors(parts.length) : 0;
    const head = table === undefined ? first : this.#takeDescriptors(1);
    for (const [i, part] of parts.entries()) {
      const isLast = i === parts.length - 1;
      const next = table === undefined ? (first + i + 1) % this.size : i + 1;
      this.describe(
        table === undefined ? (first + i) % this.size : i,
        {
          addr: at[i]!,
          len: "write" in part ? part.write : part.read.length,
          flags: ("write" in part ? Descriptor.flagWrite : 0) | (isLast ? 0 : Descriptor.flagNext),
          next: isLast ? 0 : next,
        },
        table,
      );
    }
    if (table !== undefined) {
      this.describe(head, { addr: table, len: parts.length * Descriptor.lengthBytes, flags: Descriptor.flagIndirect });
    }
    this.offer(head);
    return { head, at };
  }

  kick(): void {
    this.#guest.write(Register.queueNotify, this.index);
  }

  /** The used entries that the driver has not seen yet. */
  used(): UsedEntry[] {
    const entries: UsedEntry[] = [];
    for (; this.#seenUsed !== this.usedIdx; this.#seenUsed = (this.#seenUsed + 1) & 0xffff) {
      const at = this.deviceArea + UsedRing.ring + UsedRing.entryBytes * (this.#seenUsed % this.size);
      entries.push({ head: this.#guest.u32(at), writtenBytes: this.#guest.u32(at + 4) });
    }
    return entries;
  }

  #takeDescriptors(count: number): number {
    const first = this.#nextDescriptor;
    this.#nextDescriptor = (first + count) % this.size;
    return first;
  }
}

export interface TestGuestOptions {
  readonly memoryBytes?: number;
  readonly contiguous?: boolean;
}

/** A machine around one virtio-mmio slot. */
export class TestGuest {
  readonly memory: TestMemory;
  readonly host: TestHost = new TestHost();
  readonly irq: TestLine = new TestLine();
  readonly slot: VirtioMmio;
  readonly #end: number;
  #free = RAM_BASE;

  constructor({ memoryBytes = 1 << 20, contiguous = true }: TestGuestOptions = {}) {
    this.memory = new TestMemory(memoryBytes, { contiguous });
    this.slot = new VirtioMmio({ irq: this.irq, trace: this.host.trace });
    this.#end = RAM_BASE + memoryBytes;
  }

  get context(): VirtioContext {
    return { dma: this.memory, trace: this.host.trace, timers: this.host.timers };
  }

  plug(device: VirtioDevice): this {
    this.slot.plug(device);
    return this;
  }

  /** A fresh run of guest memory. */
  allocate(lengthBytes: number, alignment: number): number {
    const at = Math.ceil(this.#free / alignment) * alignment;
    this.#free = at + lengthBytes;
    assert(this.#free <= this.#end, "the test's guest has memory left", lengthBytes);
    return at;
  }

  read(offset: number, width: 1 | 2 | 4 = 4): number {
    const value = this.slot.mmio.read(offset, width);
    assert(value !== undefined, "a virtio register has a value", offset);
    return value;
  }

  write(offset: number, value: number, width: 1 | 2 | 4 = 4): void {
    this.slot.mmio.write(offset, width, value);
  }

  get status(): number {
    return this.read(Register.status);
  }

  get needsReset(): boolean {
    return (this.status & Status.deviceNeedsReset) !== 0;
  }

  /** Initialises as §3.1 says, accepting all offered features but `without`; stops before the queues. */
  negotiate({ without = [] }: { without?: readonly number[] } = {}): void {
    this.write(Register.status, 0);
    this.write(Register.status, Status.acknowledge);
    this.write(Register.status, Status.acknowledge | Status.driver);
    for (const word of [0, 1]) {
      this.write(Register.deviceFeaturesSel, word);
      this.write(Register.driverFeaturesSel, word);
      const refused = Number((featureBits(...without) >> BigInt(32 * word)) & 0xffff_ffffn);
      this.write(Register.driverFeatures, (this.read(Register.deviceFeatures) & ~refused) >>> 0);
    }
    this.write(Register.status, Status.acknowledge | Status.driver | Status.featuresOk);
  }

  /** Sets a queue up; its size is at most what the device shows. */
  queue(index: number, size = 8): DriverQueue {
    const queue = new DriverQueue(this, index, size);
    this.place(queue);
    this.write(Register.queueReady, 1);
    return queue;
  }

  /** Writes a queue's size and areas to the registers. */
  place(queue: DriverQueue): void {
    this.write(Register.queueSel, queue.index);
    this.write(Register.queueNum, queue.size);
    this.write(Register.queueDescLow, queue.descriptorArea);
    this.write(Register.queueDescHigh, 0);
    this.write(Register.queueDriverLow, queue.driverArea);
    this.write(Register.queueDriverHigh, 0);
    this.write(Register.queueDeviceLow, queue.deviceArea);
    this.write(Register.queueDeviceHigh, 0);
  }

  driverOk(): void {
    this.write(Register.status, this.status | Status.driverOk);
  }

  /** From power-on to a running device with the given queues. Event indices only when asked for. */
  start(queueIndices: readonly number[], options: { without?: readonly number[]; size?: number } = {}): DriverQueue[] {
    this.negotiate({ without: options.without ?? [Feature.eventIdx] });
    const queues = queueIndices.map((index) => this.queue(index, options.size));
    this.driverOk();
    return queues;
  }

  acknowledge(): number {
    const status = this.read(Register.interruptStatus);
    this.write(Register.interruptAck, status);
    return status;
  }

  bytesAt(at: number, lengthBytes: number): Uint8Array {
    return this.memory.bytes.slice(at - RAM_BASE, at - RAM_BASE + lengthBytes);
  }

  u16(at: number): number {
    return this.memory.view.getUint16(at - RAM_BASE, true);
  }

  setU16(at: number, value: number): void {
    this.memory.view.setUint16(at - RAM_BASE, value, true);
  }

  u32(at: number): number {
    return this.memory.view.getUint32(at - RAM_BASE, true);
  }
}
