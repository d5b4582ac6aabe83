// Bytes as saved state: held against the description that this build has.
import { StateReader } from "./cursor.ts";
import type { Saveable, StateDescription, StateField, StateOf, StateType } from "./describe.ts";
import { StateError } from "./errors.ts";
import { STATE_FORMAT_VERSION, STATE_MAGIC, StateHeader } from "./format.ts";
import { kindOf, readSchema, type StreamField, type StreamType } from "./schema.ts";
import { readValue } from "./values.ts";

/** A section taken apart without a description: what a tool can show of state that this build does not know. */
export interface StateSection {
  readonly name: string;
  readonly version: number;
  readonly fields: readonly StreamField[];
  readonly values: Readonly<Record<string, unknown>>;
  /** Where the next section begins. */
  readonly lengthBytes: number;
}

/** Reads one section from the start of `bytes`; what follows it is left alone. Throws StateError. */
export function readSection(bytes: Uint8Array): StateSection {
  const header = new StateReader(bytes);
  const { magic, formatVersion, nameLengthBytes, version, bodyLengthBytes } = header.take(StateHeader, "the header");
  if (magic !== STATE_MAGIC) throw header.malformed("the header has no magic number");
  if (formatVersion !== STATE_FORMAT_VERSION) {
    const message = `Saved state is in format ${formatVersion}; this build reads ${STATE_FORMAT_VERSION}`;
    throw new StateError("unknownFormat", message);
  }
  const name = header.takeText(nameLengthBytes, "the section's name");
  header.subject = name;
  const body = new StateReader(header.takeBytes(bodyLengthBytes, "the body"));
  body.subject = name;
  const fields = readSchema(body);
  const values = Object.fromEntries(fields.map((each) => [each.name, readValue(body, each.type, each.name)]));
  if (body.remainingBytes > 0) throw body.malformed(`${body.remainingBytes} bytes follow the last value`);
  return { name, version, fields, values, lengthBytes: bytes.length - header.remainingBytes };
}

/**
 * The values of exactly one section. Fields that a stream of an earlier version lacks get their defaults.
 *
 * Throws StateError: `wrongSection`, `unknownField` (a part that this build does not know, by name), `missingField`,
 * `kindMismatch`, `malformed` or `unknownFormat`.
 */
export function decodeState<D extends StateDescription>(description: D, bytes: Uint8Array): StateOf<D> {
  const section = readSection(bytes);
  const { name } = description;
  if (section.name !== name) {
    const message = `Saved state is of "${section.name}" where "${name}" is expected`;
    throw new StateError("wrongSection", message, { subject: name });
  }
  if (section.lengthBytes !== bytes.length) {
    const message = `Saved state of ${name}: ${bytes.length - section.lengthBytes} bytes follow the section`;
    throw new StateError("malformed", message, { subject: name });
  }
  const conversion: Conversion = { streamVersion: section.version, ownVersion: description.version };
  return convertFields(conversion, name, description.fields, section.fields, section.values) as StateOf<D>;
}

/** Decodes and hands over: nothing is loaded when the bytes do not fit. */
export function loadState<D extends StateDescription>(saveable: Saveable<D>, bytes: Uint8Array): void {
  saveable.loadState(decodeState(saveable.stateDescription, bytes));
}

interface Conversion {
  readonly streamVersion: number;
  readonly ownVersion: number;
}

function convertFields(
  conversion: Conversion,
  path: string,
  own: readonly StateField<string, unknown>[],
  stream: readonly StreamField[],
  values: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const ownNames = new Set(own.map((field) => field.name));
  const stranger = stream.find((field) => !ownNames.has(field.name) && !field.maySkip);
  if (stranger !== undefined) throw unknownField(conversion, `${path}.${stranger.name}`);
  const converted: Record<string, unknown> = {};
  for (const field of own) {
    const fieldPath = `${path}.${field.name}`;
    const found = stream.find((each) => each.name === field.name);
    if (found === undefined) converted[field.name] = defaultOf(conversion, fieldPath, field);
    else converted[field.name] = convertValue(conversion, fieldPath, field.type, found.type, values[field.name]);
  }
  return converted;
}

function convertValue(
  conversion: Conversion,
  path: string,
  own: StateType<unknown>,
  stream: StreamType,
  value: unknown,
): unknown {
  checkKind(path, own, stream);
  switch (stream.kind) {
    case "struct":
      return convertFields(conversion, path, own.fields!, stream.fields, value as Record<string, unknown>);
    case "optional":
      checkKind(path, own.element!, stream.element!);
      return value === undefined ? undefined : convertValue(conversion, path, own.element!, stream.element!, value);
    case "list":
      checkKind(path, own.element!, stream.element!);
      return (value as unknown[]).map((item) => convertValue(conversion, path, own.element!, stream.element!, item));
    default:
      return value;
  }
}

/** Also asked for elements of which there are none, so that a mismatch does not hide until one comes. */
function checkKind(path: string, own: StateType<unknown>, stream: StreamType): void {
  const kind = kindOf(own);
  if (kind === stream.kind) return;
  const message = `Saved state has ${path} as ${stream.kind}; this build has it as ${kind}`;
  throw new StateError("kindMismatch", message, { subject: path });
}

function defaultOf({ streamVersion }: Conversion, path: string, field: StateField<string, unknown>): unknown {
  if (field.since > streamVersion) return copyOf(field.default);
  const message = `Saved state (version ${streamVersion}) lacks ${path}, which it should have since version ${field.since}`;
  throw new StateError("missingField", message, { subject: path });
}

function unknownField({ streamVersion, ownVersion }: Conversion, path: string): StateError {
  const message = `Saved state (version ${streamVersion}) has ${path}, which this build (version ${ownVersion}) does not know`;
  return new StateError("unknownField", message, { subject: path });
}

/** Defaults are shared by all loads; each gets its own copy. */
function copyOf(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.slice();
  if (Array.isArray(value)) return value.map(copyOf);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, copyOf(each)]));
}
