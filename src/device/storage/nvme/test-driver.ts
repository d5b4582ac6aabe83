// For tests: a disk in memory whose requests can be held back, and a driver that writes registers, queues and doorbells
// and reads completions, as an operating system does.
import { assert } from "../../../base/index.ts";
import type { BlockNode } from "../../../block/port.ts";
import { TestBus } from "../../pci/test-function.ts";
import { Command as PciCommand, Header } from "../../pci/spec.ts";
import { readNvmeConfig } from "./config.ts";
import { NvmeController } from "./device.ts";
import { AdminOpcode, Command, DOORBELL_OFFSET, Register } from "./spec.ts";

export class TestDisk implements BlockNode {
  readonly nodeName = "disk0";
  readonly requestAlignmentBytes: number = 1;
  readonly bytes: Uint8Array;
  readOnly = false;
  /** What was asked for, in order. */
  readonly calls: string[] = [];
  /** Makes requests of these names fail. */
  failing: Set<string> = new Set();
  /** While true, requests wait for `release`. */
  isHolding = false;
  #held: (() => void)[] = [];

  constructor(lengthBytes = 0x10_0000) {
    this.bytes = new Uint8Array(lengthBytes);
  }

  get lengthBytes(): number {
    return this.bytes.length;
  }

  /** Lets what is held go on, newest first when `reversed`. */
  async release(reversed = false): Promise<void> {
    this.isHolding = false;
    const held = this.#held.splice(0);
    for (const go of reversed ? held.reverse() : held) {
      go();
      await settle();
    }
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    await this.#begin("read", `${offset} ${into.length}`, offset + into.length);
    into.set(this.bytes.subarray(offset, offset + into.length));
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    await this.#begin("write", `${offset} ${from.length}`, offset + from.length);
    this.bytes.set(from, offset);
  }

  flush(): Promise<void> {
    return this.#begin("flush", "", 0);
  }

  discard(offset: number, lengthBytes: number): Promise<void> {
    return this.#begin("discard", `${offset} ${lengthBytes}`, offset + lengthBytes);
  }

  async writeZeroes(offset: number, lengthBytes: number, mayUnmap: boolean): Promise<void> {
    await this.#begin("writeZeroes", `${offset} ${lengthBytes} ${mayUnmap}`, offset + lengthBytes);
    this.bytes.fill(0, offset, offset + lengthBytes);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #begin(what: string, details: string, end: number): Promise<void> {
    assert(end <= this.lengthBytes, "a controller stays inside its disk", what, details);
    this.calls.push(`${what} ${details}`.trim());
    if (this.isHolding) await new Promise<void>((resolve) => this.#held.push(resolve));
    if (this.failing.has(what)) throw new Error(`${what} fails`);
  }
}

/** Lets everything that is resolved take its course. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 40; i++) await Promise.resolve();
}

/** Where the driver keeps its queues and data. */
export const Place = {
  adminSubmission: 0x1000,
  adminCompletion: 0x2000,
  submission: 0x3000,
  completion: 0x4000,
} as const;
export const DATA = 0x8000;
const QUEUE_ENTRIES = 16;

export interface Completion {
  readonly id: number;
  /** Without the flags for more and for no retry. */
  readonly status: number;
  readonly flags: number;
  readonly result: number;
  readonly submissionHead: number;
  readonly submissionQueue: number;
}

type Fields = Partial<ReturnType<typeof Command.decode>>;

interface Ring {
  readonly submission: number;
  readonly completion: number;
  readonly entries: number;
  tail: number;
  head: number;
  phase: number;
}

export class NvmeDriver {
  readonly bus: TestBus;
  readonly disk: TestDisk;
  /** The controller that is driven; another one may take its place. */
  nvme: NvmeController;
  readonly #rings = new Map<number, Ring>();
  #nextId = 1;

  constructor(
    properties: Readonly<Record<string, unknown>> = {},
    disk: TestDisk = new TestDisk(),
    bus: TestBus = new TestBus(0x10_0000),
  ) {
    this.bus = bus;
    this.disk = disk;
    const { intx, msi, dma, trace, host } = bus;
    const config = readNvmeConfig({ serial: "test", ...properties });
    this.nvme = new NvmeController({ name: "nvme0", config, timers: host.timers, ports: { intx, msi, dma, trace } });
    this.nvme.addNamespace({ node: disk, blockShift: config.blockShift });
    this.nvme.pci.config.write(Header.command, 2, PciCommand.busMaster | PciCommand.memory);
  }

  readRegister(at: number): number {
    const bar = this.nvme.pci.bar(0)!;
    bar.read(at, 4);
    return bar.low;
  }

  writeRegister(at: number, value: number, high = 0): void {
    this.nvme.pci.bar(0)!.write(at, high === 0 ? 4 : 8, value >>> 0, high >>> 0);
  }

  /** Rings a doorbell: the tail of submission queue `queue`, or the head of completion queue `queue`. */
  ring(queue: number, kind: "tail" | "head", value: number): void {
    this.writeRegister(DOORBELL_OFFSET + 4 * (2 * queue + (kind === "tail" ? 0 : 1)), value);
  }

  /** Enables the controller with admin queues of 16 entries. */
  enable(config: number = 0x0046_0001): void {
    this.bus.memory.fill(0, Place.adminSubmission, Place.completion + 0x1000);
    this.writeRegister(Register.adminQueueAttributes, ((QUEUE_ENTRIES - 1) << 16) | (QUEUE_ENTRIES - 1));
    this.writeRegister(Register.adminSubmissionLow, Place.adminSubmission);
    this.writeRegister(Register.adminCompletionLow, Place.adminCompletion);
    this.writeRegister(Register.configuration, config);
    this.#rings.clear();
    this.#rings.set(0, ring(Place.adminSubmission, Place.adminCompletion, QUEUE_ENTRIES));
  }

  /** Enables, and makes I/O queue pair 1. */
  async open(entries: number = QUEUE_ENTRIES): Promise<void> {
    this.enable();
    const size = (entries - 1) << 16;
    const made = [
      await this.admin({
        opcode: AdminOpcode.createCompletionQueue,
        ...{ prp1: BigInt(Place.completion), dword10: size | 1, dword11: 3 },
      }),
      await this.admin({
        opcode: AdminOpcode.createSubmissionQueue,
        ...{ prp1: BigInt(Place.submission), dword10: size | 1, dword11: 0x1_0001 },
      }),
    ];
    if (made.some(({ status }) => status !== 0)) throw new Error(`queues are refused: ${JSON.stringify(made)}`);
    this.#rings.set(1, ring(Place.submission, Place.completion, entries));
  }

  /** Puts a command into a queue without ringing; its id. */
  put(queue: number, fields: Fields): number {
    const place = this.#rings.get(queue)!;
    const id = this.#nextId++;
    Command.encode({ id, ...fields }, this.bus.memory, place.submission + place.tail * 64);
    place.tail = (place.tail + 1) % place.entries;
    return fields.id ?? id;
  }

  /** Puts a command into a queue and rings its doorbell; its id. */
  submit(queue: number, fields: Fields): number {
    const id = this.put(queue, fields);
    this.ring(queue, "tail", this.#rings.get(queue)!.tail);
    return id;
  }

  /** The next completion that a queue has, if any; its head is moved. */
  take(queue: number): Completion | undefined {
    const place = this.#rings.get(queue)!;
    const view = new DataView(this.bus.memory.buffer, place.completion + place.head * 16, 16);
    const status = view.getUint16(14, true);
    if ((status & 1) !== place.phase) return undefined;
    place.head = (place.head + 1) % place.entries;
    if (place.head === 0) place.phase ^= 1;
    this.ring(queue, "head", place.head);
    return {
      id: view.getUint16(12, true),
      status: (status >>> 1) & 0x7ff,
      flags: (status >>> 1) & 0x7800,
      result: view.getUint32(0, true),
      submissionHead: view.getUint16(8, true),
      submissionQueue: view.getUint16(10, true),
    };
  }

  takeAll(queue: number): Completion[] {
    const all: Completion[] = [];
    for (let one = this.take(queue); one !== undefined; one = this.take(queue)) all.push(one);
    return all;
  }

  async run(queue: number, fields: Fields): Promise<Completion> {
    this.submit(queue, fields);
    await settle();
    const completion = this.take(queue);
    if (completion === undefined) throw new Error("the command was not completed");
    return completion;
  }

  admin(fields: Fields): Promise<Completion> {
    return this.run(0, fields);
  }

  /** A command on namespace 1 through queue 1. */
  io(fields: Fields): Promise<Completion> {
    return this.run(1, { namespaceId: 1, prp1: BigInt(DATA), ...fields });
  }
}

function ring(submission: number, completion: number, entries: number): Ring {
  return { submission, completion, entries, tail: 0, head: 0, phase: 1 };
}
