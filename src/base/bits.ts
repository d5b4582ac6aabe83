// Bit fields of registers up to 32 bits wide, and of 64-bit ones as bigint.

/** A field of a 32-bit register: `low` is its lowest bit. */
export interface BitField {
  readonly low: number;
  readonly widthBits: number;
  readonly mask: number;
}

/** Bit `n`. */
export function bit(n: number): BitField {
  return bits(n, n);
}

/** Bits `high` down to `low`, both included. */
export function bits(high: number, low: number): BitField {
  const widthBits = high - low + 1;
  const ones = widthBits === 32 ? 0xffffffff : (1 << widthBits) - 1;
  return { low, widthBits, mask: (ones << low) >>> 0 };
}

export function getField(value: number, field: BitField): number {
  return (value & field.mask) >>> field.low;
}

export function setField(value: number, field: BitField, to: number): number {
  return ((value & ~field.mask) | ((to << field.low) & field.mask)) >>> 0;
}

/** Bits `high` down to `low` of a 64-bit value. */
export function bits64(value: bigint, high: number, low: number): bigint {
  return (value >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
}

/** A mask of bits `high` down to `low` of a 64-bit value. */
export function mask64(high: number, low: number): bigint {
  return ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);
}

export function isPowerOfTwo(n: number): boolean {
  return n > 0 && Number.isSafeInteger(n) && 2 ** Math.round(Math.log2(n)) === n;
}

export function alignUp(n: number, to: number): number {
  return Math.ceil(n / to) * to;
}

export function alignDown(n: number, to: number): number {
  return Math.floor(n / to) * to;
}
