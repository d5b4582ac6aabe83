// MSI-X of a function of ours: the capability, and one stretch of a BAR with table and pending bits.
import { assert } from "../../base/index.ts";
import type { MmioHandler } from "../../memory/port.ts";
import type { MsiPort } from "../port.ts";
import type { ConfigRegister, ConfigSpace } from "./config-space.ts";
import { MsixTable } from "./msix-table.ts";
import type { BarPart } from "./port.ts";
import { Msix, MsixControl } from "./spec.ts";

export interface MsixOptions {
  readonly vectorCount: number;
  /** The memory BAR with table and pending bits. */
  readonly bar: number;
  /** Where they begin in it, and how much room they have: the table in the first half, the pending bits in the second. */
  readonly barOffset: number;
  readonly lengthBytes: number;
}

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
  readonly #table: MsixTable;
  readonly #control: ConfigRegister;

  constructor(config: ConfigSpace, at: number, options: MsixOptions, port: MsiPort, onControl: () => void) {
    const { vectorCount, bar, barOffset, lengthBytes } = options;
    const half = lengthBytes / 2;
    assert(vectorCount * Msix.entryBytes <= half, "the MSI-X table has room", vectorCount, lengthBytes);
    this.vectorCount = vectorCount;
    this.bar = bar;
    this.at = at;
    this.tableOffset = barOffset;
    this.pendingOffset = barOffset + half;
    this.#bytes = new Uint8Array(lengthBytes);
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
    this.#table = new MsixTable({
      vectorCount,
      table: this.#bytes.subarray(0, half),
      pending: this.#bytes.subarray(half),
      port,
      control: () => this.#control.value,
    });
    this.part = { at: barOffset, lengthBytes, bytes: this.#bytes, handler: this.#handler(half) };
    registers.control.onWrite = () => {
      onControl();
      this.#table.sendPending();
    };
  }

  get enabled(): boolean {
    return this.#table.enabled;
  }

  isPending(vector: number): boolean {
    return this.#table.isPending(vector);
  }

  reset(): void {
    this.#table.reset();
  }

  /** Signals a vector: sends its message, or remembers it while it is masked. */
  notify(vector: number): void {
    this.#table.notify(vector);
  }

  save(): Uint8Array {
    return this.#bytes.slice();
  }

  load(saved: Uint8Array): void {
    this.#bytes.set(saved.subarray(0, this.#bytes.length));
  }

  #handler(half: number): MmioHandler {
    const { tableHandler: table, pendingHandler: pending } = this.#table;
    return {
      ...table,
      read: (at, width) => (at < half ? table.read(at, width) : pending.read(at - half, width)),
      write: (at, width, value) => {
        if (at < half) table.write(at, width, value);
      },
    };
  }
}
