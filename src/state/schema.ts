// The part of a section that says which fields it has: written from a description, read into stream types.
import { assert, u16le, u8 } from "../base/index.ts";
import type { StateReader, StateWriter } from "./cursor.ts";
import type { StateField, StateType } from "./describe.ts";
import { StateError } from "./errors.ts";
import { DEPTH_LIMIT, FIELD_MAY_BE_SKIPPED, Kind, type KindName } from "./format.ts";

type AnyField = StateField<string, unknown>;

/** A type as a stream states it. */
export interface StreamType {
  readonly kind: KindName;
  readonly element: StreamType | undefined;
  readonly fields: readonly StreamField[];
  /** The least that one value takes; bounds list counts before anything is allocated. */
  readonly minBytes: number;
}

export interface StreamField {
  readonly name: string;
  readonly type: StreamType;
  readonly maySkip: boolean;
}

/** @param maySkip tells for each field whether readers that do not know it may go on without it */
export function writeSchema(
  writer: StateWriter,
  fields: readonly AnyField[],
  maySkip: (field: AnyField) => boolean,
): void {
  writer.put(u16le, fields.length);
  for (const field of fields) {
    writer.put(u8, maySkip(field) ? FIELD_MAY_BE_SKIPPED : 0);
    const name = new TextEncoder().encode(field.name);
    assert(name.length > 0 && name.length < 256, "a field's name has 1 to 255 bytes", field.name);
    writer.put(u8, name.length);
    writer.putBytes(name);
    writeType(writer, field.type);
  }
}

function writeType(writer: StateWriter, type: StateType<unknown>): void {
  writer.put(u8, Kind[kindOf(type)]);
  if (type.element !== undefined) writeType(writer, type.element);
  // Fields of a list's elements differ from element to element, so none of them can be marked.
  if (type.fields !== undefined) writeSchema(writer, type.fields, () => false);
}

export function kindOf(type: StateType<unknown>): KindName {
  assert(Object.hasOwn(MIN_BYTES, type.kind), "a state type has a known kind", type.kind);
  return type.kind as KindName;
}

const MIN_BYTES: Readonly<Record<KindName, number>> = {
  u8: 1,
  u16: 2,
  u32: 4,
  u64: 8,
  f64: 8,
  bool: 1,
  text: 4,
  blob: 4,
  list: 4,
  optional: 1,
  struct: 0,
};

/** Throws StateError `malformed` or `unknownFormat`. */
export function readSchema(reader: StateReader, depth = 0): StreamField[] {
  const count = reader.take(u16le, "the number of fields");
  const fields: StreamField[] = [];
  const names = new Set<string>();
  for (let index = 0; index < count; index++) {
    const flags = reader.take(u8, "the flags of a field");
    const name = reader.takeText(reader.take(u8, "a field's name"), "a field's name");
    if (names.has(name)) throw reader.malformed(`field "${name}" is there twice`);
    if ((flags & ~FIELD_MAY_BE_SKIPPED) !== 0) throw reader.malformed(`field "${name}" has unknown flags ${flags}`);
    names.add(name);
    fields.push({ name, type: readType(reader, name, depth), maySkip: flags === FIELD_MAY_BE_SKIPPED });
  }
  return fields;
}

function readType(reader: StateReader, name: string, depth: number): StreamType {
  if (depth >= DEPTH_LIMIT) throw reader.malformed(`the type of "${name}" nests deeper than ${DEPTH_LIMIT}`);
  const code = reader.take(u8, `the type of "${name}"`);
  if (!Kind.knows(code)) {
    const message = `Saved state of ${reader.subject}: field "${name}" has kind ${code}, which this build does not read`;
    throw new StateError("unknownFormat", message, { subject: `${reader.subject}.${name}` });
  }
  const kind = Kind.name(code) as KindName;
  if (kind === "struct") {
    const fields = readSchema(reader, depth + 1);
    // With this every value takes a byte at least, so what is allocated is bounded by what is there.
    if (fields.length === 0) throw reader.malformed(`the struct "${name}" has no fields`);
    return { kind, element: undefined, fields, minBytes: fields.reduce((sum, { type }) => sum + type.minBytes, 0) };
  }
  if (kind !== "list" && kind !== "optional") {
    return { kind, element: undefined, fields: [], minBytes: MIN_BYTES[kind] };
  }
  const element = readType(reader, name, depth + 1);
  return { kind, element, fields: [], minBytes: MIN_BYTES[kind] };
}
