// Byte layouts: a wire structure is declared once, with its size; reading past the end is an error, not undefined.
import { assert } from "./assert.ts";

/** One field of a layout: how to read and write it at a byte offset of a DataView. */
export interface Codec<T> {
  readonly lengthBytes: number;
  read(view: DataView, offset: number): T;
  write(view: DataView, offset: number, value: T): void;
}

function codec<T>(lengthBytes: number, read: Codec<T>["read"], write: Codec<T>["write"]): Codec<T> {
  return { lengthBytes, read, write };
}

export const u8: Codec<number> = codec(
  1,
  (v, o) => v.getUint8(o),
  (v, o, x) => v.setUint8(o, x),
);
export const u16le: Codec<number> = codec(
  2,
  (v, o) => v.getUint16(o, true),
  (v, o, x) => v.setUint16(o, x, true),
);
export const u32le: Codec<number> = codec(
  4,
  (v, o) => v.getUint32(o, true),
  (v, o, x) => v.setUint32(o, x, true),
);
export const i32le: Codec<number> = codec(
  4,
  (v, o) => v.getInt32(o, true),
  (v, o, x) => v.setInt32(o, x, true),
);
export const u64le: Codec<bigint> = codec(
  8,
  (v, o) => v.getBigUint64(o, true),
  (v, o, x) => v.setBigUint64(o, x, true),
);
export const i64le: Codec<bigint> = codec(
  8,
  (v, o) => v.getBigInt64(o, true),
  (v, o, x) => v.setBigInt64(o, x, true),
);
export const u16be: Codec<number> = codec(
  2,
  (v, o) => v.getUint16(o, false),
  (v, o, x) => v.setUint16(o, x, false),
);
export const u32be: Codec<number> = codec(
  4,
  (v, o) => v.getUint32(o, false),
  (v, o, x) => v.setUint32(o, x, false),
);
export const u64be: Codec<bigint> = codec(
  8,
  (v, o) => v.getBigUint64(o, false),
  (v, o, x) => v.setBigUint64(o, x, false),
);

/** A fixed run of bytes; reading copies. */
export function bytes(lengthBytes: number): Codec<Uint8Array> {
  return codec(
    lengthBytes,
    (v, o) => new Uint8Array(v.buffer, v.byteOffset + o, lengthBytes).slice(),
    (v, o, x) => {
      assert(x.length === lengthBytes, "bytes field has its declared length", x.length, lengthBytes);
      new Uint8Array(v.buffer, v.byteOffset + o, lengthBytes).set(x);
    },
  );
}

/** `count` elements of one codec. */
export function array<T>(element: Codec<T>, count: number): Codec<T[]> {
  const step = element.lengthBytes;
  return codec(
    step * count,
    (v, o) => Array.from({ length: count }, (_, i) => element.read(v, o + i * step)),
    (v, o, x) => {
      assert(x.length === count, "array field has its declared length", x.length, count);
      x.forEach((item, i) => element.write(v, o + i * step, item));
    },
  );
}

type Fields = Readonly<Record<string, Codec<unknown>>>;
export type FieldValues<F extends Fields> = { -readonly [K in keyof F]: F[K] extends Codec<infer T> ? T : never };

export interface Layout<F extends Fields> extends Codec<FieldValues<F>> {
  readonly name: string;
  /** Byte offset of each field. */
  readonly offsets: { readonly [K in keyof F]: number };
  /** Decodes at `offset` of `source`; throws `LayoutError` when the structure does not fit. */
  decode(source: Uint8Array, offset?: number): FieldValues<F>;
  /** Encodes into `target` at `offset`; fields left out are zero. */
  encode(values: Partial<FieldValues<F>>, target?: Uint8Array, offset?: number): Uint8Array;
}

export class LayoutError extends Error {
  override readonly name = "LayoutError";
}

/**
 * Declares a structure of exactly `lengthBytes`. Fields follow each other without implicit padding.
 *
 *     const RingHead = layout("RingHead", 16, { base: u64le, slots: u16le, flags: u16le, _pad: u32le });
 */
export function layout<F extends Fields>(name: string, lengthBytes: number, fields: F): Layout<F> {
  const entries = Object.entries(fields);
  const offsets: Record<string, number> = {};
  let at = 0;
  for (const [key, field] of entries) {
    offsets[key] = at;
    at += field.lengthBytes;
  }
  assert(at === lengthBytes, `layout ${name} has its declared size`, at, lengthBytes);

  const read = (view: DataView, offset: number): FieldValues<F> => {
    const values: Record<string, unknown> = {};
    for (const [key, field] of entries) values[key] = field.read(view, offset + offsets[key]!);
    return values as FieldValues<F>;
  };
  const write = (view: DataView, offset: number, values: Partial<FieldValues<F>>): void => {
    for (const [key, field] of entries) {
      const value = (values as Record<string, unknown>)[key];
      if (value !== undefined) field.write(view, offset + offsets[key]!, value);
    }
  };
  return {
    name,
    lengthBytes,
    offsets: offsets as Layout<F>["offsets"],
    read,
    write,
    decode(source, offset = 0) {
      if (offset < 0 || offset + lengthBytes > source.length) {
        throw new LayoutError(`${name} needs ${lengthBytes} bytes at ${offset}; ${source.length} are there`);
      }
      return read(viewOf(source), offset);
    },
    encode(values, target = new Uint8Array(lengthBytes), offset = 0) {
      if (offset < 0 || offset + lengthBytes > target.length) {
        throw new LayoutError(`${name} needs ${lengthBytes} bytes at ${offset}; ${target.length} are there`);
      }
      target.fill(0, offset, offset + lengthBytes);
      write(viewOf(target), offset, values);
      return target;
    },
  };
}

/** A DataView over the same bytes as `source`. */
export function viewOf(source: Uint8Array): DataView {
  return new DataView(source.buffer, source.byteOffset, source.byteLength);
}
