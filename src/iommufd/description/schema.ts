// Values of a description, each declared once: what it may be, how it is read, and what is said of it in errors, in the
// JSON Schema and in the documentation.
import type { JsonNode, JsonPlace } from "../../format/index.ts";
import { nearestName } from "../../base/index.ts";

/** Collects what is wrong while a description is read. */
export interface Problems {
  add(place: JsonPlace, message: string): void;
}

export interface Schema<T> {
  /** What would do, as the end of a sentence: `a size in bytes, such as 4096 or "2M"`. */
  readonly wanted: string;
  /** The value, or undefined after a problem was reported. */
  read(node: JsonNode, problems: Problems): T | undefined;
  /** In the words of JSON Schema, draft 2020-12. */
  readonly json: object;
}

export interface Field<T> {
  readonly schema: Schema<T>;
  readonly required: boolean;
  /** A sentence for the documentation. */
  readonly about: string;
}

/** Fields of a record; the compiler holds them to the interface that they are read into. */
export type FieldsOf<T> = { readonly [K in keyof T]-?: Field<Exclude<T[K], undefined>> };

export interface RecordSchema<T> extends Schema<T> {
  readonly fields: FieldsOf<T>;
  /** Where each field of a value that was read stands; the record's own place for what is absent. */
  placeOf(value: T, field: keyof T): JsonPlace;
}

export function needed<T>(schema: Schema<T>, about: string): Field<T> {
  return { schema, required: true, about };
}

export function optional<T>(schema: Schema<T>, about: string): Field<T> {
  return { schema, required: false, about };
}

/** How a value of the wrong kind is called. */
function found(node: JsonNode): string {
  switch (node.kind) {
    case "object":
      return "an object";
    case "array":
      return "a list";
    case "null":
      return "null";
    case "string":
      return JSON.stringify(node.value.length > 40 ? `${node.value.slice(0, 40)}…` : node.value);
    default:
      return String(node.value);
  }
}

function scalar<T>(wanted: string, json: object, take: (value: unknown) => T | undefined): Schema<T> {
  return {
    wanted,
    json,
    read(node, problems) {
      const value = "value" in node ? take(node.value) : undefined;
      if (value === undefined) problems.add(node.place, `Found ${found(node)}; ${wanted} would do`);
      return value;
    },
  };
}

export const yesOrNo: Schema<boolean> = scalar("true or false", { type: "boolean" }, (value) =>
  typeof value === "boolean" ? value : undefined,
);

export function text(wanted: string, pattern: RegExp): Schema<string> {
  return scalar(wanted, { type: "string", pattern: pattern.source }, (value) =>
    typeof value === "string" && pattern.test(value) ? value : undefined,
  );
}

export function integer(from: number, to: number): Schema<number> {
  const wanted = `a whole number from ${from} to ${to}`;
  return scalar(wanted, { type: "integer", minimum: from, maximum: to }, (value) =>
    typeof value === "number" && Number.isInteger(value) && value >= from && value <= to ? value : undefined,
  );
}

/** 64 bits: a number, or a text for what JSON's numbers cannot say exactly. */
export const address: Schema<bigint> = scalar(
  'an address, such as "0xfee00000" or 4096',
  {
    anyOf: [
      { type: "integer", minimum: 0 },
      { type: "string", pattern: "^0x[0-9a-fA-F]{1,16}$" },
    ],
  },
  (value) => {
    if (typeof value === "number") return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined;
    return typeof value === "string" && /^0x[0-9a-f]{1,16}$/i.test(value) ? BigInt(value) : undefined;
  },
);

const SUFFIXES: Readonly<Record<string, number>> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

export const sizeBytes: Schema<number> = scalar(
  'a size in bytes, such as 4096 or "2M"',
  {
    anyOf: [
      { type: "integer", minimum: 0 },
      { type: "string", pattern: "^[0-9]{1,6}[KMG]$" },
    ],
  },
  (value) => {
    if (typeof value === "number") return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
    const match = typeof value === "string" ? /^(\d{1,6})([KMG])$/i.exec(value) : null;
    return match === null ? undefined : Number(match[1]) * SUFFIXES[match[2]!.toUpperCase()]!;
  },
);

/** One of these words. */
export function oneOf<const W extends string>(words: readonly W[]): Schema<W> {
  const wanted = words.length === 1 ? `"${words[0]}"` : `one of ${words.map((w) => `"${w}"`).join(", ")}`;
  return {
    wanted,
    json: { enum: words },
    read(node, problems) {
      const word = node.kind === "string" ? words.find((w) => w === node.value) : undefined;
      if (word === undefined) {
        const near = node.kind === "string" ? nearestName(node.value, words) : undefined;
        const guess = near === undefined ? "" : `; did you mean "${near}"?`;
        problems.add(node.place, `Found ${found(node)}${guess === "" ? `; ${wanted} would do` : guess}`);
      }
      return word;
    },
  };
}

export function listOf<T>(item: Schema<T>): Schema<readonly T[]> {
  const wanted = `a list, each of its items ${item.wanted}`;
  return {
    wanted,
    json: { type: "array", items: item.json },
    read(node, problems) {
      if (node.kind !== "array") {
        problems.add(node.place, `Found ${found(node)}; ${wanted} would do`);
        return undefined;
      }
      const values = node.items.map((n) => item.read(n, problems));
      return values.every((v) => v !== undefined) ? values : undefined;
    },
  };
}

/** An object with these fields and no others. */
export function record<T extends object>(what: string, fields: FieldsOf<T>): RecordSchema<T> {
  const names = Object.keys(fields) as (keyof T & string)[];
  const places = new WeakMap<object, ReadonlyMap<string, JsonPlace>>();
  const wanted = `${what}: an object with ${names.filter((n) => fields[n].required).join(", ") || "any of its fields"}`;
  return {
    wanted,
    fields,
    json: {
      type: "object",
      additionalProperties: false,
      required: names.filter((n) => fields[n].required),
      properties: Object.fromEntries(
        names.map((n) => [n, { ...fields[n].schema.json, description: fields[n].about }] as const),
      ),
    },
    placeOf: (value, field) => places.get(value)?.get(String(field)) ?? places.get(value)!.get("")!,
    read(node, problems) {
      if (node.kind !== "object") {
        problems.add(node.place, `Found ${found(node)}; ${wanted} would do`);
        return undefined;
      }
      let whole = true;
      const guessed = new Set<string>();
      const value: Record<string, unknown> = {};
      const where = new Map<string, JsonPlace>([["", node.place]]);
      for (const member of node.members) {
        const field = Object.hasOwn(fields, member.key) ? fields[member.key as keyof T] : undefined;
        if (field === undefined) {
          const near = nearestName(member.key, names);
          if (near !== undefined) guessed.add(near);
          const would = near === undefined ? `${names.join(", ")} are known` : `did you mean "${near}"?`;
          problems.add(member.keyPlace, `${what} has no field "${member.key}"; ${would}`);
          whole = false;
          continue;
        }
        const read = field.schema.read(member.value, problems);
        if (read === undefined) whole = false;
        value[member.key] = read;
        where.set(member.key, member.value.place);
      }
      for (const name of names) {
        if (!fields[name].required || node.members.some((m) => m.key === name)) continue;
        whole = false;
        // A name that is only misspelt was told already.
        if (guessed.has(name)) continue;
        problems.add(node.place, `${what} lacks "${name}"; ${fields[name].schema.wanted} would do`);
      }
      if (!whole) return undefined;
      places.set(value, where);
      return value as T;
    },
  };
}
