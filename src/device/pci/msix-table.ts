// An MSI-X table and its pending bits: which message a vector sends, and what waits while it is masked (PCI 3.0 §6.8.2).
// The bytes are the state: what software writes into a mapped table counts as much as what it writes through accesses.
import { assert, viewOf } from "../../base/index.ts";
import type { MmioHandler } from "../../memory/port.ts";
import type { MsiPort } from "../port.ts";
import { bytesHandler } from "./bar.ts";
import { MAX_MSIX_VECTORS, Msix, MSIX_ENTRY_MASKED, MsixControl } from "./spec.ts";

/** Byte offsets within a table entry. */
const Entry = { addressLow: 0, addressHigh: 4, data: 8, control: 12 } as const;

export interface MsixTableOptions {
  readonly vectorCount: number;
  /** At least 16 bytes per vector. */
  readonly table: Uint8Array;
  /** At least a bit per vector. */
  readonly pending: Uint8Array;
  readonly port: MsiPort;
  /** The capability's control register. */
  readonly control: () => number;
  /** A vector's mask may have changed. */
  readonly onMask?: (vector: number) => void;
}

export class MsixTable {
  readonly vectorCount: number;
  /** Accesses to the table's bytes. */
  readonly tableHandler: MmioHandler;
  /** Accesses to the pending bits, which software cannot write. */
  readonly pendingHandler: MmioHandler;
  readonly #options: MsixTableOptions;
  readonly #view: DataView;

  constructor(options: MsixTableOptions) {
    const { vectorCount, table, pending } = options;
    assert(vectorCount >= 1 && vectorCount <= MAX_MSIX_VECTORS, "MSI-X has 1 to 2048 vectors", vectorCount);
    assert(vectorCount * Msix.entryBytes <= table.length, "the MSI-X table has room", vectorCount, table.length);
    assert(vectorCount <= pending.length * 8, "the pending bits have room", vectorCount, pending.length);
    this.vectorCount = vectorCount;
    this.#options = options;
    this.#view = viewOf(table);
    this.tableHandler = this.#makeTableHandler();
    // §6.8.2: whole aligned dwords or quadwords.
    this.pendingHandler = { valid: { min: 4, max: 8 }, impl: { min: 4, max: 4 }, ...reader(pending), write: () => {} };
    this.reset();
  }

  get enabled(): boolean {
    return (this.#options.control() & MsixControl.enable) !== 0;
  }

  isPending(vector: number): boolean {
    return ((this.#options.pending[vector >> 3]! >> (vector & 7)) & 1) === 1;
  }

  isMasked(vector: number): boolean {
    if ((this.#options.control() & MsixControl.functionMask) !== 0) return true;
    return (this.#options.table[vector * Msix.entryBytes + Entry.control]! & MSIX_ENTRY_MASKED) !== 0;
  }

  /** §6.8.2.9: after a reset every entry is masked. */
  reset(): void {
    this.#options.table.fill(0);
    this.#options.pending.fill(0);
    for (let v = 0; v < this.vectorCount; v++) {
      this.#view.setUint32(v * Msix.entryBytes + Entry.control, MSIX_ENTRY_MASKED, true);
    }
  }

  /** Signals a vector: sends its message, or remembers it while it is masked. */
  notify(vector: number): void {
    assert(vector < this.vectorCount, "a device signals vectors that it has", vector);
    if (!this.enabled || this.isMasked(vector)) {
      this.#setPending(vector, true);
      return;
    }
    const entry = vector * Msix.entryBytes;
    this.#options.port.send(
      this.#view.getBigUint64(entry + Entry.addressLow, true),
      this.#view.getUint32(entry + Entry.data, true),
    );
  }

  /** Sends what waited and is masked no longer. */
  sendPending(): void {
    if (!this.enabled) return;
    for (let v = 0; v < this.vectorCount; v++) {
      if (!this.isPending(v) || this.isMasked(v)) continue;
      this.#setPending(v, false);
      this.notify(v);
    }
  }

  #setPending(vector: number, pending: boolean): void {
    const { pending: bytes } = this.#options;
    const bit = 1 << (vector & 7);
    bytes[vector >> 3] = pending ? bytes[vector >> 3]! | bit : bytes[vector >> 3]! & ~bit;
  }

  /** What lies behind the table cannot be written. */
  #makeTableHandler(): MmioHandler {
    const plain = bytesHandler(this.#options.table);
    const tableBytes = this.vectorCount * Msix.entryBytes;
    return {
      valid: { min: 4, max: 8 },
      impl: { min: 4, max: 4 },
      read: (at, width) => plain.read(at, width),
      write: (at, width, value) => {
        if (at >= tableBytes) return;
        const isControl = at % Msix.entryBytes === Entry.control;
        plain.write(at, width, isControl ? value & MSIX_ENTRY_MASKED : value);
        if (!isControl) return;
        this.#options.onMask?.(Math.floor(at / Msix.entryBytes));
        this.sendPending();
      },
    };
  }
}

function reader(bytes: Uint8Array): Pick<MmioHandler, "read"> {
  const plain = bytesHandler(bytes);
  return { read: (at, width) => plain.read(at, width) };
}
