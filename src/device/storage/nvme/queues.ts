// Submission and completion queues: rings in memory, and the controller's places in them.
import type { Iova } from "../../../base/index.ts";
import { DmaStatus, type DmaPort } from "../../port.ts";
import { COMPLETION_BYTES, SUBMISSION_BYTES } from "./spec.ts";

export interface CompletionQueueOptions {
  readonly id: number;
  readonly base: bigint;
  readonly entries: number;
  readonly vector: number;
  readonly interrupts: boolean;
}

export class CompletionQueue {
  readonly id: number;
  readonly base: bigint;
  readonly entries: number;
  readonly vector: number;
  readonly interrupts: boolean;
  head = 0;
  tail = 0;
  /** Of the next entry: inverts with each pass through the ring. */
  phase = 1;
  /** Entries promised to commands that were taken. */
  reserved = 0;
  /** Submission queues that complete here. */
  users = 0;

  constructor({ id, base, entries, vector, interrupts }: CompletionQueueOptions) {
    this.id = id;
    this.base = base;
    this.entries = entries;
    this.vector = vector;
    this.interrupts = interrupts;
  }

  /** There is something that software has not taken yet. */
  get hasEntries(): boolean {
    return this.head !== this.tail;
  }

  /** One more command can be taken: the ring is full with one entry unused. */
  get hasRoom(): boolean {
    const used = (this.tail - this.head + this.entries) % this.entries;
    return used + this.reserved < this.entries - 1;
  }

  /** Writes an entry; false when memory does not take it. */
  post(dma: DmaPort, entry: Uint8Array): boolean {
    const at = (this.base + BigInt(this.tail * COMPLETION_BYTES)) as Iova;
    if (dma.write(at, entry) !== DmaStatus.ok) return false;
    this.tail++;
    if (this.tail === this.entries) {
      this.tail = 0;
      this.phase ^= 1;
    }
    return true;
  }
}

export interface SubmissionQueueOptions {
  readonly id: number;
  readonly base: bigint;
  readonly entries: number;
  readonly completion: CompletionQueue;
}

export class SubmissionQueue {
  readonly id: number;
  readonly base: bigint;
  readonly entries: number;
  readonly completion: CompletionQueue;
  head = 0;
  tail = 0;
  /** Commands that were taken and not completed. */
  outstanding = 0;
  /** Its deletion waits for those: no more are taken. */
  isEnding = false;

  constructor({ id, base, entries, completion }: SubmissionQueueOptions) {
    this.id = id;
    this.base = base;
    this.entries = entries;
    this.completion = completion;
  }

  get hasCommands(): boolean {
    return this.head !== this.tail && !this.isEnding;
  }

  /** Takes the next command into `into`; false when memory does not give it. */
  take(dma: DmaPort, into: Uint8Array): boolean {
    const at = (this.base + BigInt(this.head * SUBMISSION_BYTES)) as Iova;
    if (dma.read(at, into) !== DmaStatus.ok) return false;
    this.head = this.head + 1 === this.entries ? 0 : this.head + 1;
    return true;
  }
}
