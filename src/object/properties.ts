// Types of properties and option parameters: how text and JSON become values, and how values are shown.
import { about, OptionError } from "./errors.ts";
import { formatSize, parseInteger, parseSize } from "./numbers.ts";
import { Refusal } from "./refusal.ts";

export interface PropertyType<T> {
  /** QEMU's name of the type: `bool`, `uint32`, `size`, `str`, `OnOffAuto`, `link<iothread>`. */
  readonly name: string;
  /** From option text. */
  parse(text: string): T | Refusal;
  /** From JSON or the npm API; strings go through `parse`. */
  accept(value: unknown): T | Refusal;
  /** As option text; `parse` reads it back. */
  format(value: T): string;
  /** For enumerations: every value. */
  readonly choices?: readonly string[];
}

const ON_OFF = new Refusal("expects 'on' or 'off'");

export const bool: PropertyType<boolean> = {
  name: "bool",
  parse(text) {
    if (/^(?:on|yes|true|y)$/.test(text)) return true;
    return /^(?:off|no|false|n)$/.test(text) ? false : ON_OFF;
  },
  accept: (value) => (typeof value === "boolean" ? value : typeof value === "string" ? bool.parse(value) : ON_OFF),
  format: (value) => (value ? "on" : "off"),
};

export const str: PropertyType<string> = {
  name: "str",
  parse: (text) => text,
  accept: (value) => (typeof value === "string" ? value : new Refusal("expects a string")),
  format: (value) => value,
};

/** An integer from `low` to `high`, both included. */
export function intRange(name: string, low: number, high: number): PropertyType<number> {
  const refusal = new Refusal(`expects an integer from ${low} to ${high}`);
  const check = (value: bigint | number | undefined): number | Refusal =>
    value !== undefined && value >= low && value <= high ? Number(value) : refusal;
  const type: PropertyType<number> = {
    name,
    parse: (text) => check(parseInteger(text)),
    accept(value) {
      if (typeof value === "string") return type.parse(value);
      return typeof value === "number" && Number.isInteger(value) ? check(value) : refusal;
    },
    format: String,
  };
  return type;
}

export const uint8: PropertyType<number> = intRange("uint8", 0, 0xff);
export const uint16: PropertyType<number> = intRange("uint16", 0, 0xffff);
export const uint32: PropertyType<number> = intRange("uint32", 0, 0xffff_ffff);
export const int32: PropertyType<number> = intRange("int32", -0x8000_0000, 0x7fff_ffff);

export const uint64: PropertyType<bigint> = {
  name: "uint64",
  parse: (text) => check64(parseInteger(text)),
  accept(value) {
    if (typeof value === "string") return uint64.parse(value);
    if (typeof value === "bigint") return check64(value);
    return check64(typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : undefined);
  },
  format: String,
};

function check64(value: bigint | undefined): bigint | Refusal {
  return value !== undefined && value >= 0n && value < 1n << 64n
    ? value
    : new Refusal("expects an integer from 0 to 2^64 - 1");
}

/** A length in bytes below 2^53, with QEMU's suffixes. */
export const size: PropertyType<number> = sizeIn("B");
/** As `size`; a number without suffix counts in MiB, as in `-m 512`. */
export const sizeInMebibytes: PropertyType<number> = sizeIn("M");

function sizeIn(defaultSuffix: "B" | "M"): PropertyType<number> {
  const refusal = new Refusal("expects a size below 2^53 bytes (suffixes k, M, G, T, P or E)");
  const type: PropertyType<number> = {
    name: "size",
    parse(text) {
      const bytes = parseSize(text, defaultSuffix);
      return bytes instanceof Refusal || bytes > BigInt(Number.MAX_SAFE_INTEGER) ? refusal : Number(bytes);
    },
    accept(value) {
      if (typeof value === "string") return type.parse(value);
      return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : refusal;
    },
    format: (value) => (value === 0 ? "0" : formatSize(value).replace(/[0-9]$/, "$&B")),
  };
  return type;
}

/** One of a list of words. */
export function oneOf<const C extends readonly string[]>(name: string, choices: C): PropertyType<C[number]> {
  const parse = (text: string): C[number] | Refusal =>
    choices.includes(text) ? text : new Refusal(`does not accept this value; ${orList(choices)} would do`);
  return {
    name,
    choices,
    parse,
    accept: (value) => (typeof value === "string" ? parse(value) : new Refusal(`expects ${orList(choices)}`)),
    format: (value) => value,
  };
}

export const onOffAuto: PropertyType<"on" | "off" | "auto"> = oneOf("OnOffAuto", ["on", "off", "auto"]);

/** The id of another object: a node name, a chardev, a bus. Who resolves it says when there is none. */
export function link(target: string): PropertyType<string> {
  return { ...str, name: `link<${target}>` };
}

/** Converts one value; throws OptionError `badValue` that names the parameter and what was given. */
export function convert<T>(type: PropertyType<T>, parameter: string, value: unknown, subject?: string): T {
  const result = typeof value === "string" ? type.parse(value) : type.accept(value);
  if (!(result instanceof Refusal)) return result;
  const given = typeof value === "string" ? `'${value}'` : describeDatum(value);
  throw new OptionError("badValue", `Parameter '${parameter}' ${result.phrase}; given was ${given}`, about(subject));
}

function describeDatum(value: unknown): string {
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "bigint") return `${value}`;
  return Array.isArray(value) ? "a list" : typeof value === "object" ? "an object" : `a value of type ${typeof value}`;
}

function orList(choices: readonly string[]): string {
  const quoted = choices.map((choice) => `'${choice}'`);
  return quoted.length < 2 ? quoted.join("") : `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
}

/** A property of an object type: what `-device X,help` lists. */
export interface PropertySpec<T, D extends T | undefined = T | undefined> {
  readonly type: PropertyType<T>;
  /** Absent: the property may stay unset. */
  readonly default: D;
  readonly description: string;
}

/** `property(uint16, { default: 256, description: "queue length" })` */
export function property<T>(
  type: PropertyType<T>,
  options: { readonly default: T; readonly description?: string },
): PropertySpec<T, T>;
export function property<T>(
  type: PropertyType<T>,
  options?: { readonly description?: string },
): PropertySpec<T, undefined>;
export function property<T>(
  type: PropertyType<T>,
  options: { readonly default?: T; readonly description?: string } = {},
): PropertySpec<T> {
  return { type, default: options.default, description: options.description ?? "" };
}

// `any` because a spec is invariant in T, and a table holds specs of every type.
// oxlint-disable-next-line typescript/no-explicit-any
export type PropertyTable = Readonly<Record<string, PropertySpec<any, any>>>;
export type PropertyValues<P extends PropertyTable> = {
  readonly [K in keyof P]: P[K] extends PropertySpec<infer T, infer D>
    ? undefined extends D
      ? T | undefined
      : T
    : never;
};

/**
 * For properties that QEMU's type of this name has and ours has not: throws OptionError `unsupported` with the reason when
 * one of them is given.
 */
export function refuseProperties(
  typeName: string,
  refused: Readonly<Record<string, string>>,
  given: Readonly<Record<string, unknown>>,
  subject?: string,
): void {
  const name = Object.keys(given).find((key) => Object.hasOwn(refused, key));
  if (name === undefined) return;
  const message = `Property '${typeName}.${name}' is not supported: ${refused[name]}`;
  throw new OptionError("unsupported", message, about(subject));
}

/**
 * Takes given properties into typed values with defaults. Throws OptionError `unknownProperty` or `badValue`.
 *
 * @param typeName appears in errors as QEMU writes it: `Property 'virtio-blk-device.foo' not found`
 */
export function readProperties<P extends PropertyTable>(
  typeName: string,
  table: P,
  given: Readonly<Record<string, unknown>>,
  subject?: string,
): PropertyValues<P> {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(table, name)) {
      throw new OptionError("unknownProperty", `Property '${typeName}.${name}' not found`, about(subject));
    }
  }
  const values: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(table)) {
    values[name] = Object.hasOwn(given, name) ? convert(spec.type, name, given[name], subject) : spec.default;
  }
  return values as PropertyValues<P>;
}
