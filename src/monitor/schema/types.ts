// The schema's types: each says what TypeScript type it has, how a value from outside is checked (QEMU's messages), and
// how `query-qmp-schema` describes it.
import type { JsonValue } from "../json/value.ts";

/** A type of the schema whose values are `T`. */
export type SchemaType<T = unknown> =
  | BuiltinType<T>
  | EnumType<T extends string ? T : string>
  | ArrayType<T>
  | AlternateType<T>
  | StructType<T>;

export interface BuiltinType<T> {
  readonly kind: "builtin";
  readonly name: string;
  /** What QEMU's messages call it. */
  readonly expected: string;
  readonly jsonType: "boolean" | "string" | "int" | "number" | "value" | "null";
  readonly accepts: (value: JsonValue) => boolean;
  /** What QEMU calls a narrower type whose values do not all fit, and which do. */
  readonly narrow?: { readonly name: string; readonly fits: (value: JsonValue) => boolean };
  /** Carries `T`; never a value. */
  readonly phantom?: T;
}

export interface EnumType<T extends string> {
  readonly kind: "enum";
  readonly name: string;
  readonly values: readonly T[];
}

export interface ArrayType<T> {
  readonly kind: "array";
  readonly element: SchemaType;
  readonly phantom?: T;
}

/** One of several types that JSON tells apart; of replies. */
export interface AlternateType<T> {
  readonly kind: "alternate";
  readonly name: string;
  readonly of: readonly SchemaType[];
  readonly phantom?: T;
}

export interface Member {
  readonly type: SchemaType;
  readonly isOptional: boolean;
}

export interface StructType<T> {
  readonly kind: "struct";
  readonly name: string;
  readonly members: Readonly<Record<string, Member>>;
  /** Of a union: the member whose value says which of the variants' members there are besides. */
  readonly tag?: string;
  readonly variants?: Readonly<Record<string, StructType<unknown>>>;
  readonly phantom?: T;
}

/** What a value of a schema type is in TypeScript. */
export type ValueOf<S> =
  S extends EnumType<infer T> ? T : S extends { readonly phantom?: infer T } ? Exclude<T, undefined> : never;

type Members = Readonly<Record<string, SchemaType | Optional<SchemaType>>>;

interface Optional<S extends SchemaType> {
  readonly optional: S;
}

type OptionalKeys<M> = { [K in keyof M]: M[K] extends Optional<SchemaType> ? K : never }[keyof M];

export type MembersOf<M> = {
  readonly [K in Exclude<keyof M, OptionalKeys<M>>]: ValueOf<M[K]>;
} & {
  readonly [K in OptionalKeys<M>]?: M[K] extends Optional<infer S> ? ValueOf<S> | undefined : never;
};

function builtin<T>(
  name: string,
  jsonType: BuiltinType<T>["jsonType"],
  expected: string,
  accepts: (value: JsonValue) => boolean,
): BuiltinType<T> {
  return { kind: "builtin", name, jsonType, expected, accepts };
}

const isInteger = (value: JsonValue): value is number | bigint =>
  typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value));

function range(bits: number, isSigned: boolean): (value: JsonValue) => boolean {
  const least = isSigned ? -(2n ** BigInt(bits - 1)) : 0n;
  const most = 2n ** BigInt(isSigned ? bits - 1 : bits) - 1n;
  return (value) => isInteger(value) && BigInt(value) >= least && BigInt(value) <= most;
}

function narrowed(name: string, bits: number): BuiltinType<number> {
  const wide: BuiltinType<number> = builtin(name, "int", "uint64", range(64, false));
  return { ...wide, narrow: { name: `${name}_t`, fits: range(bits, false) } };
}

export const bool: BuiltinType<boolean> = builtin("bool", "boolean", "boolean", (value) => typeof value === "boolean");
export const str: BuiltinType<string> = builtin("str", "string", "string", (value) => typeof value === "string");
export const number: BuiltinType<number> = builtin("number", "number", "number", (value) => typeof value === "number");
/** Exact to 64 bits: a bigint past 2^53. */
export const int: BuiltinType<number | bigint> = builtin("int", "int", "integer", range(64, true));
export const uint64: BuiltinType<number | bigint> = builtin("uint64", "int", "uint64", range(64, false));
export const uint32: BuiltinType<number> = narrowed("uint32", 32);
export const uint16: BuiltinType<number> = narrowed("uint16", 16);
export const uint8: BuiltinType<number> = narrowed("uint8", 8);
export const size: BuiltinType<number | bigint> = builtin("size", "int", "uint64", range(64, false));
export const any: BuiltinType<JsonValue> = builtin("any", "value", "any", () => true);

export function enumType<const V extends readonly string[]>(name: string, values: V): EnumType<V[number]> {
  return { kind: "enum", name, values };
}

export function arrayOf<S extends SchemaType>(element: S): ArrayType<readonly ValueOf<S>[]> {
  return { kind: "array", element };
}

export function optional<S extends SchemaType>(type: S): Optional<S> {
  return { optional: type };
}

export function struct<const M extends Members>(name: string, members: M): StructType<MembersOf<M>> {
  const described = Object.entries(members).map(([key, member]): [string, Member] =>
    "optional" in member
      ? [key, { type: member.optional, isOptional: true }]
      : [key, { type: member, isOptional: false }],
  );
  return { kind: "struct", name, members: Object.fromEntries(described) };
}

export function alternate<const S extends readonly SchemaType[]>(
  name: string,
  of: S,
): AlternateType<ValueOf<S[number]>> {
  return { kind: "alternate", name, of };
}

/** A struct with further members, by the value of its member `tag`; values without a variant have none. */
export function union<B, V extends Readonly<Record<string, StructType<unknown>>>>(
  base: StructType<B>,
  tag: keyof B & string,
  variants: V,
): StructType<B & Partial<ValueOf<V[keyof V]>>> {
  return { kind: "struct", name: base.name, members: base.members, tag, variants };
}

export const noMembers: StructType<object> = struct("q_empty", {});
