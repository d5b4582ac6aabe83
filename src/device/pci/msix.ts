// MSI-X: a table of messages and an array of pending bits in memory of a BAR. The bytes are the state: what software
// writes into a mapped table counts as much as what it writes through accesses.
import { assert, viewOf } from "../../base/index.ts";
import type { MmioHandler } from "../../memory/port.ts";
import type { MsiPort } from "../port.ts";
import { bytesHandler } from "./bar.ts";
import type { ConfigRegister, ConfigSpace } from "./config-space.ts";
import type { BarPart } from "./port.ts";
import { MAX_MSIX_VECTORS, Msix, MSIX_ENTRY_MASKED, MsixControl } from "./spec.ts";

export interface MsixOptions {
  readonly vectorCount: number;
  /** The memory BAR with table and pending bits. */
  readonly bar: number;
  /** Where they begin in it, and how much room they have: the table in the first half, the pending bits in the second. */
  readonly barOffset: number;
  readonly lengthBytes: number;
}

/** Byte offsets within a table entry, PCI 3.0 §6.8.2. */
const Entry = { addressLow: 0, addressHigh: 4, data: 8, control: 12 } as const;

export class MsixCapability {
  readonly vectorCount: number;
  readonly bar: number;
  /** Byte offset of the capability, and of table and pending bits in the BAR. */
  readonly at: number;
  readonly tableOffset: number;
  readonly pendingOffset: number;
  /** Table and pending bits, for the BAR. */
  readonly part: BarPart;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #pendingAt: number;
  readonly #control: ConfigRegister;
  readonly #port: MsiPort;

  constructor(config: ConfigSpace, at: number, options: MsixOptions, port: MsiPort, onControl: () => void) {
    const { vectorCount, bar, barOffset, lengthBytes } = options;
    assert(vectorCount >= 1 && vectorCount <= MAX_MSIX_VECTORS, "MSI-X has 1 to 2048 vectors", vectorCount);
    assert(vectorCount * Msix.entryBytes <= lengthBytes / 2, "the MSI-X table has room", vectorCount, lengthBytes);
    this.vectorCount = vectorCount;
    this.bar = bar;
    this.at = at;
    this.tableOffset = barOffset;
    this.pendingOffset = barOffset + lengthBytes / 2;
    this.#pendingAt = lengthBytes / 2;
    this.#bytes = new Uint8Array(lengthBytes);
    this.#view = viewOf(this.#bytes);
    this.#port = port;
    this.part = { at: barOffset, lengthBytes, bytes: this.#bytes, handler: this.#handler() };
    const registers = config.define("msix", at, {
      control: {
        at: Msix.control,
        widthBytes: 2,
        reset: vectorCount - 1,
        writable: MsixControl.enable | MsixControl.functionMask,
      },
      table: { at: Msix.table, widthBytes: 4, reset: (this.tableOffset | bar) >>> 0 },
      pending: { at: Msix.pending, widthBytes: 4, reset: (this.pendingOffset | bar) >>> 0 },
    });
    this.#control = registers.control;
    registers.control.onWrite = () => {
      onControl();
      this.#sendPending();
    };
    this.reset();
  }

  get enabled(): boolean {
    return (this.#control.value & MsixControl.enable) !== 0;
  }

  isPending(vector: number): boolean {
    return ((this.#bytes[this.#pendingAt + (vector >> 3)]! >> (vector & 7)) & 1) === 1;
  }

  /** §6.8.2.9: after a reset every entry is masked. */
  reset(): void {
    this.#bytes.fill(0);
    for (let v = 0; v < this.vectorCount; v++) {
      this.#view.setUint32(v * Msix.entryBytes + Entry.control, MSIX_ENTRY_MASKED, true);
    }
  }

  /** Signals a vector: sends its message, or remembers it while it is masked. */
  notify(vector: number): void {
    assert(vector < this.vectorCount, "a device signals vectors that it has", vector);
    if (!this.enabled || this.#isMasked(vector)) {
      this.#setPending(vector, true);
      return;
    }
    const entry = vector * Msix.entryBytes;
    this.#port.send(
      this.#view.getBigUint64(entry + Entry.addressLow, true),
      this.#view.getUint32(entry + Entry.data, true),
    );
  }

  save(): Uint8Array {
    return this.#bytes.slice();
  }

  load(saved: Uint8Array): void {
    this.#bytes.set(saved.subarray(0, this.#bytes.length));
  }

  #isMasked(vector: number): boolean {
    if ((this.#control.value & MsixControl.functionMask) !== 0) return true;
    return (this.#bytes[vector * Msix.entryBytes + Entry.control]! & MSIX_ENTRY_MASKED) !== 0;
  }

  #setPending(vector: number, pending: boolean): void {
    const at = this.#pendingAt + (vector >> 3);
    const bit = 1 << (vector & 7);
    this.#bytes[at] = pending ? this.#bytes[at]! | bit : this.#bytes[at]! & ~bit;
  }

  #sendPending(): void {
    if (!this.enabled) return;
    for (let v = 0; v < this.vectorCount; v++) {
      if (!this.isPending(v) || this.#isMasked(v)) continue;
      this.#setPending(v, false);
      this.notify(v);
    }
  }

  /** Pending bits and what lies behind the table cannot be written. */
  #handler(): MmioHandler {
    const plain = bytesHandler(this.#bytes);
    const tableBytes = this.vectorCount * Msix.entryBytes;
    return {
      // §6.8.2: whole aligned dwords or quadwords.
      valid: { min: 4, max: 8 },
      impl: { min: 4, max: 4 },
      read: (at, width) => plain.read(at, width),
      write: (at, width, value) => {
        if (at >= tableBytes) return;
        const isControl = at % Msix.entryBytes === Entry.control;
        plain.write(at, width, isControl ? value & MSIX_ENTRY_MASKED : value);
        if (isControl) this.#sendPending();
      },
    };
  }
}
