// A description as plain JSON data, for monitors and documentation.
import type { StateDescription, StateField, StateType } from "./describe.ts";

export type StateTypeData =
  | string
  | { readonly list: StateTypeData }
  | { readonly optional: StateTypeData }
  | { readonly struct: readonly StateFieldData[] };

export interface StateFieldData {
  readonly name: string;
  readonly type: StateTypeData;
  readonly since: number;
  /** As `valueAsData` writes it; absent for fields that have none. */
  readonly default?: unknown;
}

export interface StateDescriptionData {
  readonly name: string;
  readonly version: number;
  readonly fields: readonly StateFieldData[];
}

/** Everything in it survives JSON. */
export function describeStateAsData(description: StateDescription): StateDescriptionData {
  return { name: description.name, version: description.version, fields: description.fields.map(fieldAsData) };
}

function fieldAsData(field: StateField<string, unknown>): StateFieldData {
  const data = { name: field.name, type: typeAsData(field.type), since: field.since };
  return "default" in field ? { ...data, default: valueAsData(field.default) } : data;
}

function typeAsData(type: StateType<unknown>): StateTypeData {
  if (type.fields !== undefined) return { struct: type.fields.map(fieldAsData) };
  if (type.element === undefined) return type.kind;
  return type.kind === "list" ? { list: typeAsData(type.element) } : { optional: typeAsData(type.element) };
}

/** A value as JSON: 64-bit integers as `0x…` texts, bytes as hexadecimal text, an absent optional as null. */
export function valueAsData(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === "bigint") return `0x${value.toString(16)}`;
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (value instanceof Uint8Array) return Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (Array.isArray(value)) return value.map(valueAsData);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, valueAsData(each)]));
}
