// hot: bench/memory.ts
// Between the bus and one MMIO handler: refuses what the device does not accept, splits and widens what it does not
// implement. Little-endian, low part first, as QEMU's access_with_adjusted_size.
import { assert } from "../base/index.ts";
import { type AccessRule, type AccessWidth, type MmioHandler, MemTx } from "./port.ts";

const DEFAULT_VALID: AccessRule = { min: 1, max: 8 };
const DEFAULT_IMPL: AccessRule = { min: 1, max: 4 };
/** Widest access that bulk transfers make to a device that does not say what it accepts (QEMU's memory_access_size). */
const DEFAULT_BULK = 4;

export class MmioPort {
  readonly name: string;
  readonly lengthBytes: number;
  /** Result of the last successful `read`, as unsigned 32-bit halves. */
  low: number = 0;
  high: number = 0;
  readonly #handler: MmioHandler;
  readonly #validMin: number;
  readonly #validMax: number;
  readonly #validUnaligned: boolean;
  readonly #implMin: AccessWidth;
  readonly #implMax: AccessWidth;
  readonly #implUnaligned: boolean;
  readonly #bulkMax: number;
  // A handler that is running is not entered again: a device whose DMA reaches its own registers would recurse without end.
  #busy = false;
  // Of the handler call that was made last.
  #partLow = 0;
  #partHigh = 0;

  constructor(name: string, lengthBytes: number, handler: MmioHandler) {
    const valid = handler.valid ?? DEFAULT_VALID;
    const impl = handler.impl ?? DEFAULT_IMPL;
    assert(valid.min <= valid.max && impl.min <= impl.max, "access rules have min <= max", name);
    const has64 = handler.read64 !== undefined && handler.write64 !== undefined;
    assert(impl.max < 8 || has64, "a handler that implements 8 bytes has read64 and write64", name);
    this.name = name;
    this.lengthBytes = lengthBytes;
    this.#handler = handler;
    this.#validMin = valid.min;
    this.#validMax = valid.max;
    this.#validUnaligned = valid.unaligned ?? false;
    this.#implMin = impl.min;
    this.#implMax = impl.max;
    this.#implUnaligned = impl.unaligned ?? false;
    this.#bulkMax = handler.valid === undefined ? DEFAULT_BULK : valid.max;
  }

  /** Loads `width` bytes at `offset`, which lie inside the region, into `low` and `high`. */
  read(offset: number, width: number): MemTx {
    if (!this.#accepts(offset, width)) return MemTx.decodeError;
    if (this.#busy) return MemTx.deviceError;
    this.#busy = true;
    let status: MemTx;
    if (this.#isDirect(offset, width)) {
      status = this.#readPart(offset, width);
      this.low = this.#partLow;
      this.high = this.#partHigh;
    } else {
      status = this.#readParts(offset, width);
    }
    this.#busy = false;
    return status;
  }

  /** Stores the low `width` bytes of `high` and `low` at `offset`. */
  write(offset: number, width: number, low: number, high: number): MemTx {
    if (!this.#accepts(offset, width)) return MemTx.decodeError;
    if (this.#busy) return MemTx.deviceError;
    this.#busy = true;
    const status = this.#isDirect(offset, width)
      ? this.#writePart(offset, width, low, high)
      : this.#writeParts(offset, width, low, high);
    this.#busy = false;
    return status;
  }

  /** The width of the next access of a bulk transfer at `offset` with `remaining` bytes to go. */
  bulkWidth(offset: number, remaining: number): number {
    let width = this.#bulkMax;
    while (width > 1 && (width > remaining || (offset & (width - 1)) !== 0)) width >>>= 1;
    return width;
  }

  #accepts(offset: number, width: number): boolean {
    if (width < this.#validMin || width > this.#validMax) return false;
    return this.#validUnaligned || (offset & (width - 1)) === 0;
  }

  #isDirect(offset: number, width: number): boolean {
    if (width < this.#implMin || width > this.#implMax) return false;
    return this.#implUnaligned || (offset & (width - 1)) === 0;
  }

  /** Width of the handler call that begins at `at`, with `remaining` bytes of the access to go. */
  #partWidth(at: number, remaining: number): number {
    let width: number = this.#implMax;
    while (width > this.#implMin && (width > remaining || (!this.#implUnaligned && (at & (width - 1)) !== 0))) {
      width >>>= 1;
    }
    return width;
  }

  #readParts(offset: number, width: number): MemTx {
    const end = offset + width;
    let low = 0;
    let high = 0;
    let at = offset;
    while (at < end) {
      const part = this.#partWidth(at, end - at);
      const base = this.#partBase(at, end, part);
      if (base + part > this.lengthBytes) return MemTx.decodeError;
      const status = this.#readPart(base, part);
      if (status !== MemTx.ok) return status;
      const stop = Math.min(base + part, end);
      for (; at < stop; at++) {
        const from = (at - base) * 8;
        const byte = (from < 32 ? this.#partLow >>> from : this.#partHigh >>> (from - 32)) & 0xff;
        const to = (at - offset) * 8;
        if (to < 32) low |= byte << to;
        else high |= byte << (to - 32);
      }
    }
    this.low = low >>> 0;
    this.high = high >>> 0;
    return MemTx.ok;
  }

  #writeParts(offset: number, width: number, low: number, high: number): MemTx {
    const end = offset + width;
    let at = offset;
    while (at < end) {
      const part = this.#partWidth(at, end - at);
      const base = this.#partBase(at, end, part);
      if (base + part > this.lengthBytes) return MemTx.decodeError;
      const stop = Math.min(base + part, end);
      let partLow = 0;
      let partHigh = 0;
      for (; at < stop; at++) {
        const from = (at - offset) * 8;
        const byte = (from < 32 ? low >>> from : high >>> (from - 32)) & 0xff;
        const to = (at - base) * 8;
        if (to < 32) partLow |= byte << to;
        else partHigh |= byte << (to - 32);
      }
      // Bytes of a widened store that the guest did not write are zero, as in QEMU.
      const status = this.#writePart(base, part, partLow >>> 0, partHigh >>> 0);
      if (status !== MemTx.ok) return status;
    }
    return MemTx.ok;
  }

  /** Where the handler call begins: at `at`, or before it when it is wider than what is left or must be aligned. */
  #partBase(at: number, end: number, part: number): number {
    return this.#implUnaligned && part <= end - at ? at : at - (at & (part - 1));
  }

  #readPart(offset: number, width: number): MemTx {
    if (width === 8) {
      const wide = this.#handler.read64!(offset);
      if (wide === undefined) return MemTx.deviceError;
      this.#partLow = Number(wide & 0xffffffffn);
      this.#partHigh = Number((wide >> 32n) & 0xffffffffn);
      return MemTx.ok;
    }
    const value = this.#handler.read(offset, width as 1 | 2 | 4);
    if (value === undefined) return MemTx.deviceError;
    this.#partLow = width === 4 ? value >>> 0 : value & (width === 2 ? 0xffff : 0xff);
    this.#partHigh = 0;
    return MemTx.ok;
  }

  #writePart(offset: number, width: number, low: number, high: number): MemTx {
    let accepted: boolean | void;
    if (width === 8) {
      accepted = this.#handler.write64!(offset, (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
    } else {
      const value = width === 4 ? low >>> 0 : low & (width === 2 ? 0xffff : 0xff);
      accepted = this.#handler.write(offset, width as 1 | 2 | 4, value);
    }
    return accepted === false ? MemTx.deviceError : MemTx.ok;
  }
}
