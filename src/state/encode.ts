// Saved state as bytes: one section for one saveable.
import { assert } from "../base/index.ts";
import { StateWriter } from "./cursor.ts";
import type { Saveable, StateDescription, StateField, StateOf } from "./describe.ts";
import { STATE_FORMAT_VERSION, STATE_MAGIC, StateHeader } from "./format.ts";
import { writeSchema } from "./schema.ts";
import { writeFields, writeValue } from "./values.ts";

/** The section of `saveable` as it is now. */
export function encodeState<D extends StateDescription>(saveable: Saveable<D>): Uint8Array<ArrayBuffer> {
  return encodeValues(saveable.stateDescription, saveable.saveState());
}

/** The section of values that match `description`; a value that its type cannot hold is an InvariantError. */
export function encodeValues<D extends StateDescription>(description: D, values: StateOf<D>): Uint8Array<ArrayBuffer> {
  const given = values as Readonly<Record<string, unknown>>;
  const body = new StateWriter();
  writeSchema(body, description.fields, (field) => hasDefaultValue(field, given[field.name]));
  writeFields(body, description.fields, given, description.name);
  const bodyBytes = body.finish();
  const nameBytes = new TextEncoder().encode(description.name);
  assert(nameBytes.length < 1 << 16, "a section's name is short", nameBytes.length);
  const writer = new StateWriter();
  writer.put(StateHeader, {
    magic: STATE_MAGIC,
    formatVersion: STATE_FORMAT_VERSION,
    nameLengthBytes: nameBytes.length,
    version: description.version,
    bodyLengthBytes: bodyBytes.length,
  });
  writer.putBytes(nameBytes);
  writer.putBytes(bodyBytes);
  return writer.finish();
}

/** A later field with its default says nothing that an older build does not assume anyway. */
function hasDefaultValue(field: StateField<string, unknown>, value: unknown): boolean {
  if (field.since === 1) return false;
  const [expected, actual] = [field.default, value].map((each) => {
    const writer = new StateWriter();
    writeValue(writer, field.type, each, field.name);
    return writer.finish();
  });
  return actual!.length === expected!.length && actual!.every((byte, index) => byte === expected![index]);
}
