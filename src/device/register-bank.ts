// Registers declared as a table: masks, reset values, access checks, field helpers, names, introspection and saved state
// follow from one declaration; only behaviour is written by hand, as hooks. An access allocates nothing.
import { assert, type BitField, type TracePort } from "../base/index.ts";
import type { AccessRule, MmioHandler } from "../memory/port.ts";
import { field, list, u8, u16, u32, type StateField } from "../state/index.ts";

/** `w1c`: writing a 1 clears the bit. `wo` registers read as 0 and hold nothing. */
export type RegisterAccess = "rw" | "ro" | "wo" | "w1c";

/** A register that stands several times: `rows` times at `strideBytes`, each of `columns` adjacent words. */
export interface RegisterRepeat {
  readonly rows: number;
  readonly strideBytes: number;
  /** Default 1. */
  readonly columns?: number;
}

/** One register. Hooks get the device, and `index` counts the words of a repeated register, row by row. */
export interface RegisterSpec<D> {
  /** Byte offset. Several registers may share one; the first that allows the access and whose `when` holds is meant. */
  readonly at: number;
  /** Default `rw`. */
  readonly access?: RegisterAccess;
  /** Default 0. */
  readonly reset?: number;
  /** Bits that exist; the others read 0 and ignore writes. Default: the union of `fields`, or all. */
  readonly mask?: number;
  readonly fields?: Readonly<Record<string, BitField>>;
  readonly repeat?: RegisterRepeat;
  readonly when?: (device: D) => boolean;
  /** Computes what is read; such a register holds nothing itself. */
  readonly read?: (device: D, index: number) => number;
  /** After a write: the new value (for `w1c` the bits that were cleared) and the one before. */
  readonly wrote?: (device: D, value: number, before: number, index: number) => void;
  /** Version of the device's saved state that first has this register. */
  readonly since?: number;
}

export type RegisterTable = Readonly<Record<string, RegisterSpec<never>>>;

type Hook<S> =
  | (S extends { readonly when: infer F } ? F : never)
  | (S extends { readonly read: infer F } ? F : never)
  | (S extends { readonly wrote: infer F } ? F : never);
/** The device that a table's hooks ask for. */
export type DeviceOf<T extends RegisterTable> =
  Hook<T[keyof T]> extends (device: infer D, ...rest: never[]) => unknown ? D : never;

export type RegisterValues<T extends RegisterTable> = {
  -readonly [K in keyof T]: T[K] extends { readonly repeat: RegisterRepeat } ? Uint32Array : number;
};
/** Registers that hold something: what saved state carries. */
type HeldKey<T extends RegisterTable> = {
  [K in keyof T]: T[K] extends { readonly access: "wo" } | { readonly read: unknown } ? never : K;
}[keyof T] &
  string;
export type SavedRegisters<T extends RegisterTable> = {
  -readonly [K in HeldKey<T>]: T[K] extends { readonly repeat: RegisterRepeat } ? number[] : number;
};

/** What `info` output and documentation say about a register. */
export interface RegisterInfo {
  readonly name: string;
  readonly at: number;
  readonly access: RegisterAccess;
  readonly reset: number;
  readonly words: number;
  readonly fields: readonly (BitField & { readonly name: string })[];
}

/** A register as the look-up needs it: monomorphic, with all defaults filled in. */
interface Entry {
  readonly name: string;
  readonly at: number;
  readonly end: number;
  readonly strideBytes: number;
  readonly columns: number;
  readonly words: number;
  readonly access: RegisterAccess;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly reset: number;
  readonly mask: number;
  /** First cell in the register file, or -1 when the register holds nothing. */
  readonly cell: number;
  readonly since: number;
  readonly when: ((device: unknown) => boolean) | undefined;
  readonly read: ((device: unknown, index: number) => number) | undefined;
  readonly wrote: ((device: unknown, value: number, before: number, index: number) => void) | undefined;
}

/**
 * Declares the registers of a device type.
 *
 *     const registers = registerBank("pulse", 4, {
 *       ctl: { at: 0x0, fields: { run: bit(0), mode: bits(3, 1) } },
 *       count: { at: 0x4, access: "ro", read: (d: Pulse) => d.elapsedTicks() },
 *       ack: { at: 0x8, access: "w1c", wrote: (d: Pulse, cleared) => d.lower(cleared) },
 *     });
 */
export function registerBank<const T extends RegisterTable>(
  name: string,
  widthBytes: 1 | 2 | 4,
  table: T,
): RegisterBank<T> {
  return new RegisterBank(name, widthBytes, table);
}

export class RegisterBank<const T extends RegisterTable> {
  readonly name: string;
  readonly widthBytes: 1 | 2 | 4;
  /** Bit fields by register and field name, for `getField` and `setField`. */
  readonly fields: { readonly [K in keyof T]: T[K] extends { readonly fields: infer F } ? F : Record<string, never> };
  /** Fields for `describeState`, one for each register that holds something. */
  readonly stateFields: readonly { [K in HeldKey<T>]: StateField<K, SavedRegisters<T>[K]> }[HeldKey<T>][];
  readonly entries: readonly Entry[];
  readonly cellCount: number;
  readonly #table: T;

  constructor(name: string, widthBytes: 1 | 2 | 4, table: T) {
    this.name = name;
    this.widthBytes = widthBytes;
    this.#table = table;
    let cells = 0;
    this.entries = Object.entries(table).map(([register, spec]): Entry => {
      const entry = makeEntry(register, spec as RegisterSpec<unknown>, widthBytes, cells);
      assert(entry.at % widthBytes === 0, `register ${name}.${register} is aligned`, entry.at);
      if (entry.cell >= 0) cells += entry.words;
      return entry;
    });
    this.cellCount = cells;
    this.fields = Object.fromEntries(
      Object.entries(table).map(([register, spec]) => [register, spec.fields ?? {}]),
    ) as typeof this.fields;
    const wordType = widthBytes === 1 ? u8 : widthBytes === 2 ? u16 : u32;
    this.stateFields = this.entries.filter(isHeld).map((entry) => {
      const type = isRepeated(table, entry) ? list(wordType) : wordType;
      const initial = isRepeated(table, entry) ? initialWords(entry) : entry.reset;
      const later = entry.since > 1 ? { since: entry.since, default: initial } : undefined;
      return field(entry.name, type as StateField<string, number | number[]>["type"], later);
    }) as unknown as typeof this.stateFields;
  }

  /** The registers of one device; `trace` gets what the guest does wrong. */
  file(device: DeviceOf<T>, trace: TracePort): RegisterFile<T> {
    return new RegisterFile(this, device, trace);
  }

  isRepeated(entry: Entry): boolean {
    return isRepeated(this.#table, entry);
  }

  describe(): RegisterInfo[] {
    return this.entries.map((entry) => ({
      name: entry.name,
      at: entry.at,
      access: entry.access,
      reset: entry.reset,
      words: entry.words,
      fields: Object.entries(this.#table[entry.name]?.fields ?? {}).map(([key, bits]) => ({ name: key, ...bits })),
    }));
  }
}

/** The registers of one device. */
export class RegisterFile<const T extends RegisterTable> {
  /** Raw contents by register: a number, or the words of a repeated one. Assigning runs no hook and applies no mask. */
  readonly values: RegisterValues<T>;
  readonly #bank: RegisterBank<T>;
  readonly #device: unknown;
  readonly #trace: TracePort;
  readonly #entries: readonly Entry[];
  readonly #cells: Uint32Array;
  /** Word index that the last `#find` found. */
  #index = 0;

  constructor(bank: RegisterBank<T>, device: unknown, trace: TracePort) {
    this.#bank = bank;
    this.#device = device;
    this.#trace = trace;
    this.#entries = bank.entries;
    this.#cells = new Uint32Array(bank.cellCount);
    const cells = this.#cells;
    const values: object = {};
    for (const entry of bank.entries) {
      if (entry.cell < 0) continue;
      const at = entry.cell;
      Object.defineProperty(
        values,
        entry.name,
        bank.isRepeated(entry)
          ? { value: cells.subarray(at, at + entry.words), enumerable: true }
          : { get: () => cells[at], set: (value: number) => (cells[at] = value), enumerable: true },
      );
    }
    this.values = values as RegisterValues<T>;
    this.reset();
  }

  /** Reset values, without hooks. */
  reset(): void {
    for (const entry of this.#entries) {
      if (entry.cell >= 0) this.#cells.fill(entry.reset, entry.cell, entry.cell + entry.words);
    }
  }

  /** A guest's read. What is not there reads 0 and is traced. */
  read(offset: number): number {
    const entry = this.#find(offset, true);
    if (entry === undefined) {
      this.#trace.guestError(this.#bank.name, `read of ${this.#where(offset)}`);
      return 0;
    }
    if (entry.read !== undefined) return (entry.read(this.#device, this.#index) & entry.mask) >>> 0;
    return this.#cells[entry.cell + this.#index]!;
  }

  /** A guest's write. What is not there or read-only ignores it and is traced. */
  write(offset: number, value: number): void {
    const entry = this.#find(offset, false);
    if (entry === undefined) {
      this.#trace.guestError(this.#bank.name, `write of 0x${value.toString(16)} to ${this.#where(offset)}`);
      return;
    }
    const index = this.#index;
    let now = (value & entry.mask) >>> 0;
    let before = 0;
    if (entry.cell >= 0) {
      before = this.#cells[entry.cell + index]!;
      if (entry.access === "w1c") {
        now = (now & before) >>> 0;
        this.#cells[entry.cell + index] = before & ~now;
      } else {
        this.#cells[entry.cell + index] = now;
      }
    }
    if (entry.wrote !== undefined) entry.wrote(this.#device, now, before, index);
  }

  /** The handler of a device that consists of these registers. `valid` defaults to aligned accesses of any width. */
  mmio(valid?: AccessRule): MmioHandler {
    const width = this.#bank.widthBytes;
    return {
      ...(valid === undefined ? {} : { valid }),
      impl: { min: width, max: width },
      read: (offset) => this.read(offset),
      write: (offset, _width, value) => this.write(offset, value),
    };
  }

  save(): SavedRegisters<T> {
    const saved: Record<string, number | number[]> = {};
    for (const entry of this.#entries) {
      if (entry.cell < 0) continue;
      const words = Array.from(this.#cells.subarray(entry.cell, entry.cell + entry.words));
      saved[entry.name] = this.#bank.isRepeated(entry) ? words : words[0]!;
    }
    return saved as SavedRegisters<T>;
  }

  /** Takes saved contents over, without hooks. Words that this device does not have are dropped. */
  load(saved: SavedRegisters<T>): void {
    for (const entry of this.#entries) {
      if (entry.cell < 0) continue;
      const value = (saved as Record<string, number | number[]>)[entry.name];
      assert(value !== undefined, "a loaded state has every register", this.#bank.name, entry.name);
      const words = typeof value === "number" ? [value] : value;
      for (let i = 0; i < entry.words; i++) this.#cells[entry.cell + i] = words[i] ?? entry.reset;
    }
  }

  #find(offset: number, reading: boolean): Entry | undefined {
    const entries = this.#entries;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      if (offset < entry.at || offset >= entry.end || !(reading ? entry.readable : entry.writable)) continue;
      const past = offset - entry.at;
      const row = Math.floor(past / entry.strideBytes);
      const column = (past - row * entry.strideBytes) / this.#bank.widthBytes;
      if (column >= entry.columns || !Number.isInteger(column)) continue;
      if (entry.when !== undefined && !entry.when(this.#device)) continue;
      this.#index = row * entry.columns + column;
      return entry;
    }
    return undefined;
  }

  #where(offset: number): string {
    const entry = this.#entries.find((e) => offset >= e.at && offset < e.end);
    return entry === undefined ? `offset 0x${offset.toString(16)}` : `${entry.access} register ${entry.name}`;
  }
}

function makeEntry(name: string, spec: RegisterSpec<unknown>, widthBytes: number, nextCell: number): Entry {
  const access = spec.access ?? "rw";
  const rows = spec.repeat?.rows ?? 1;
  const columns = spec.repeat?.columns ?? 1;
  const strideBytes = spec.repeat?.strideBytes ?? widthBytes;
  const allBits = 2 ** (8 * widthBytes) - 1;
  const fieldBits = Object.values(spec.fields ?? {}).reduce((bits, one) => bits | one.mask, 0) >>> 0;
  const holds = spec.read === undefined && access !== "wo";
  return {
    name,
    at: spec.at,
    end: spec.at + (rows - 1) * strideBytes + columns * widthBytes,
    strideBytes,
    columns,
    words: rows * columns,
    access,
    readable: access !== "wo",
    writable: access !== "ro",
    reset: spec.reset ?? 0,
    mask: spec.mask ?? (fieldBits === 0 ? allBits : fieldBits),
    cell: holds ? nextCell : -1,
    since: spec.since ?? 1,
    when: spec.when,
    read: spec.read,
    wrote: spec.wrote,
  };
}

function isHeld(entry: Entry): boolean {
  return entry.cell >= 0;
}

function isRepeated(table: RegisterTable, entry: Entry): boolean {
  return table[entry.name]?.repeat !== undefined;
}

function initialWords(entry: Entry): number[] {
  return Array.from({ length: entry.words }, () => entry.reset);
}
