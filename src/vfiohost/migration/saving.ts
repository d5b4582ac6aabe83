// The outgoing data of a device: before it is stopped its memory, again wherever it changed; then the rest.
import type { PciDevice } from "../../device/pci/index.ts";
import { encodeState, encodeValues } from "../../state/index.ts";
import { PAGE_BYTES, record, RecordHead, RecordType, streamHeader } from "./records.ts";

const MEMORY_RECORD_BYTES = RecordHead.lengthBytes + PAGE_BYTES;

export class Saving {
  readonly #device: PciDevice;
  readonly #memory: Uint8Array;
  /** Memory as it was sent; what differs from it is dirty. A mapping tells nobody of writes, so it is compared. */
  readonly #sent: Uint8Array;
  /** Pages that were sent at all. */
  readonly #wasSent: Uint8Array;
  readonly #queue: Uint8Array[] = [];
  /** Bytes of the queue's first entry that were read. */
  #read = 0;
  #queuedBytes = 0;
  /** Of what is queued, the part that is initial data; it comes first. */
  #initialBytes = 0;
  /** Everything is queued: the stream has an end. */
  isComplete = false;
  /** Nothing is read from it any more. */
  isEnded = false;
  /** Told when there is more to read, or nothing any more. */
  onChanged: (() => void) | undefined;

  constructor(device: PciDevice, kind: string) {
    this.#device = device;
    this.#memory = device.localMemory ?? new Uint8Array(0);
    this.#sent = new Uint8Array(this.#memory.length);
    this.#wasSent = new Uint8Array(this.#pageCount);
    const values = { kind, memoryBytes: BigInt(this.#memory.length) };
    this.#push(record(RecordType.header, 0, encodeValues(streamHeader, values)));
  }

  get #pageCount(): number {
    return Math.ceil(this.#memory.length / PAGE_BYTES);
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get initialBytes(): number {
    return this.#initialBytes;
  }

  /** Queues what changed since it was sent, as initial data or as dirty. */
  queueChanged(isInitial: boolean): void {
    for (let page = 0; page < this.#pageCount; page++) {
      if (!this.#isDirty(page)) continue;
      const from = page * PAGE_BYTES;
      const bytes = this.#memory.subarray(from, from + PAGE_BYTES);
      this.#sent.set(bytes, from);
      this.#wasSent[page] = 1;
      this.#push(record(RecordType.memory, from, bytes));
    }
    if (isInitial) this.#initialBytes = this.#queuedBytes;
  }

  /** How many bytes `queueChanged` would add. */
  get changedBytes(): number {
    let pages = 0;
    for (let page = 0; page < this.#pageCount; page++) if (this.#isDirty(page)) pages++;
    return pages * MEMORY_RECORD_BYTES;
  }

  /** True when so much changed that the transfer begins anew. */
  get changedMostly(): boolean {
    return this.#pageCount > 0 && this.changedBytes * 2 >= this.#pageCount * MEMORY_RECORD_BYTES;
  }

  /** The device is stopped: queues all that is left. */
  complete(): void {
    this.queueChanged(false);
    this.#push(record(RecordType.state, 0, encodeState(this.#device)));
    this.#push(record(RecordType.end, 0, new Uint8Array(0)));
    this.#initialBytes = 0;
    this.isComplete = true;
    this.onChanged?.();
  }

  /** What is still to be read when the device is stopped now. */
  get remainingBytes(): number {
    if (this.isComplete) return this.#queuedBytes;
    const end = 2 * RecordHead.lengthBytes + encodeState(this.#device).length;
    return this.#queuedBytes + this.changedBytes + end;
  }

  /** The next bytes, at most so many, without taking them. */
  peek(mostBytes: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(mostBytes, this.#queuedBytes));
    let skip = this.#read;
    let done = 0;
    for (const entry of this.#queue) {
      if (done === bytes.length) break;
      const part = entry.subarray(skip, skip + bytes.length - done);
      bytes.set(part, done);
      done += part.length;
      skip = 0;
    }
    return bytes;
  }

  take(lengthBytes: number): void {
    this.#queuedBytes -= lengthBytes;
    this.#initialBytes = Math.max(0, this.#initialBytes - lengthBytes);
    this.#read += lengthBytes;
    let gone = 0;
    while (gone < this.#queue.length && this.#read >= this.#queue[gone]!.length) {
      this.#read -= this.#queue[gone]!.length;
      gone++;
    }
    this.#queue.splice(0, gone);
  }

  end(): void {
    this.isEnded = true;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#initialBytes = 0;
    this.#read = 0;
    this.onChanged?.();
  }

  #isDirty(page: number): boolean {
    if (this.#wasSent[page] === 0) return true;
    const end = Math.min((page + 1) * PAGE_BYTES, this.#memory.length);
    for (let i = page * PAGE_BYTES; i < end; i++) if (this.#memory[i] !== this.#sent[i]) return true;
    return false;
  }

  #push(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
  }
}
