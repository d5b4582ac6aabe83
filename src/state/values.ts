// Values by type: written from what a device saved, read back as a stream's types say.
import { assert, u16le, u32le, u64le, u8, type Codec } from "../base/index.ts";
import type { StateReader, StateWriter } from "./cursor.ts";
import type { StateField, StateType } from "./describe.ts";
import type { StreamType } from "./schema.ts";
import { kindOf } from "./schema.ts";

const f64le: Codec<number> = {
  lengthBytes: 8,
  read: (view, offset) => view.getFloat64(offset, true),
  write: (view, offset, value) => view.setFloat64(offset, value, true),
};
const UNSIGNED = {
  u8: { codec: u8, max: 0xff },
  u16: { codec: u16le, max: 0xffff },
  u32: { codec: u32le, max: 0xffff_ffff },
};

/** @param path names the value in assertions: a value that its type cannot hold is our own mistake */
export function writeValue(writer: StateWriter, type: StateType<unknown>, value: unknown, path: string): void {
  const kind = kindOf(type);
  switch (kind) {
    case "u8":
    case "u16":
    case "u32":
      assert(isUnsigned(value, UNSIGNED[kind].max), `${path} is a ${kind}`, value);
      return writer.put(UNSIGNED[kind].codec, value);
    case "u64":
      assert(typeof value === "bigint" && value >= 0n && value < 1n << 64n, `${path} is a u64`, value);
      return writer.put(u64le, value);
    case "f64":
      assert(typeof value === "number", `${path} is a number`, value);
      return writer.put(f64le, value);
    case "bool":
      assert(typeof value === "boolean", `${path} is a boolean`, value);
      return writer.put(u8, value ? 1 : 0);
    case "text":
      assert(typeof value === "string", `${path} is a text`, value);
      return writeRun(writer, new TextEncoder().encode(value));
    case "blob":
      assert(value instanceof Uint8Array, `${path} is bytes`, typeof value);
      return writeRun(writer, value);
    case "list":
      return writeList(writer, type.element!, value, path);
    case "optional":
      writer.put(u8, value === undefined ? 0 : 1);
      if (value !== undefined) writeValue(writer, type.element!, value, path);
      return;
    case "struct":
      assert(typeof value === "object" && value !== null, `${path} has fields`, value);
      writeFields(writer, type.fields!, value as Record<string, unknown>, path);
  }
}

/** Every member of `values` must be described: one that is not would be lost without a word. */
export function writeFields(
  writer: StateWriter,
  fields: readonly StateField<string, unknown>[],
  values: Readonly<Record<string, unknown>>,
  path: string,
): void {
  for (const name of Object.keys(values)) {
    assert(
      fields.some((field) => field.name === name),
      `the description of ${path} has the field`,
      name,
    );
  }
  for (const { name, type } of fields) writeValue(writer, type, values[name], `${path}.${name}`);
}

function isUnsigned(value: unknown, max: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max;
}

function writeRun(writer: StateWriter, bytes: Uint8Array): void {
  writer.put(u32le, bytes.length);
  writer.putBytes(bytes);
}

function writeList(writer: StateWriter, element: StateType<unknown>, value: unknown, path: string): void {
  assert(Array.isArray(value), `${path} is a list`, typeof value);
  writer.put(u32le, value.length);
  value.forEach((item, index) => writeValue(writer, element, item, `${path}[${index}]`));
}

/** Throws StateError `malformed`. Structs come as plain objects with the stream's field names. */
export function readValue(reader: StateReader, type: StreamType, path: string): unknown {
  switch (type.kind) {
    case "u8":
    case "u16":
    case "u32":
      return reader.take(UNSIGNED[type.kind].codec, path);
    case "u64":
      return reader.take(u64le, path);
    case "f64":
      return reader.take(f64le, path);
    case "bool":
      return readFlag(reader, path);
    case "text":
      return reader.takeText(reader.take(u32le, path), path);
    case "blob":
      return reader.takeBytes(reader.take(u32le, path), path);
    case "list":
      return readList(reader, type.element!, path);
    case "optional":
      return readFlag(reader, path) ? readValue(reader, type.element!, path) : undefined;
    case "struct":
      return Object.fromEntries(
        type.fields.map(({ name, type: fieldType }) => [name, readValue(reader, fieldType, `${path}.${name}`)]),
      );
  }
}

function readFlag(reader: StateReader, path: string): boolean {
  const flag = reader.take(u8, path);
  if (flag > 1) throw reader.malformed(`${path} is ${flag} where 0 or 1 stands`);
  return flag === 1;
}

function readList(reader: StateReader, element: StreamType, path: string): unknown[] {
  const count = reader.take(u32le, path);
  if (count * element.minBytes > reader.remainingBytes) {
    throw reader.malformed(`${path} has ${count} elements; ${reader.remainingBytes} bytes are left`);
  }
  const items: unknown[] = [];
  for (let index = 0; index < count; index++) items.push(readValue(reader, element, `${path}[${index}]`));
  return items;
}
