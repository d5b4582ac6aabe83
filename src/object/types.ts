// Object types by name: what exists, what it descends from, which properties it takes.
import { assert } from "../base/index.ts";
import { about, OptionError } from "./errors.ts";
import { readProperties, type PropertySpec, type PropertyTable } from "./properties.ts";

export interface ObjectType {
  /** As an operator writes it: `virtio-blk-device`. */
  readonly typeName: string;
  readonly description: string;
  /** The type that it is a kind of; its properties are inherited. */
  readonly parent?: string;
  /** Only its descendants can be made. */
  readonly isAbstract?: boolean;
  readonly properties: PropertyTable;
}

/** A property of a type as `qom-list-properties` and `device-list-properties` show it. */
export interface PropertyInfo {
  readonly name: string;
  readonly type: string;
  readonly description?: string;
  /** As JSON data. */
  readonly default?: unknown;
}

export class TypeRegistry {
  readonly #types = new Map<string, ObjectType>();

  constructor(types: Iterable<ObjectType> = []) {
    for (const type of types) this.register(type);
  }

  /** Parents first. */
  register(type: ObjectType): void {
    assert(!this.#types.has(type.typeName), "a type is registered once", type.typeName);
    assert(type.parent === undefined || this.#types.has(type.parent), "a type's parent is registered", type.typeName);
    this.#types.set(type.typeName, type);
  }

  /** Throws OptionError `unknownType`, with the names that come nearest. */
  get(typeName: string, subject?: string): ObjectType {
    const type = this.#types.get(typeName);
    if (type !== undefined) return type;
    const near = nearest(typeName, this.names());
    const would = near.length === 0 ? "" : `; did you mean ${near.join(" or ")}?`;
    throw new OptionError("unknownType", `'${typeName}' is not a known type${would}`, about(subject));
  }

  has(typeName: string): boolean {
    return this.#types.has(typeName);
  }

  isKindOf(typeName: string, ancestor: string): boolean {
    for (let type = this.#types.get(typeName); type !== undefined; type = this.#parentOf(type)) {
      if (type.typeName === ancestor) return true;
    }
    return false;
  }

  /** Names of the types that can be made, by name; those that are an `ancestor` when it is given. */
  names(ancestor?: string): string[] {
    return [...this.#types.values()]
      .filter((type) => type.isAbstract !== true && (ancestor === undefined || this.isKindOf(type.typeName, ancestor)))
      .map((type) => type.typeName)
      .sort();
  }

  /** The type's own and inherited properties. */
  propertiesOf(typeName: string): PropertyTable {
    const type = this.get(typeName);
    const parent = this.#parentOf(type);
    return parent === undefined ? type.properties : { ...this.propertiesOf(parent.typeName), ...type.properties };
  }

  /** Values for a new object; see `readProperties`. Throws OptionError, also for an abstract type. */
  readProperties(
    typeName: string,
    given: Readonly<Record<string, unknown>>,
    subject?: string,
  ): Readonly<Record<string, unknown>> {
    const type = this.get(typeName, subject);
    if (type.isAbstract === true) {
      const kinds = this.names(typeName).join(", ");
      throw new OptionError("unknownType", `'${typeName}' is abstract; its kinds are ${kinds}`, about(subject));
    }
    return readProperties(typeName, this.propertiesOf(typeName), given, subject);
  }

  /** Sorted by name. */
  listProperties(typeName: string): PropertyInfo[] {
    return Object.entries(this.propertiesOf(typeName))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, spec]) => propertyInfo(name, spec));
  }

  #parentOf(type: ObjectType): ObjectType | undefined {
    return type.parent === undefined ? undefined : this.#types.get(type.parent);
  }
}

export function propertyInfo(name: string, spec: PropertySpec<unknown>): PropertyInfo {
  return {
    name,
    type: spec.type.name,
    ...(spec.description === "" ? {} : { description: spec.description }),
    ...(spec.default === undefined ? {} : { default: asJson(spec.default) }),
  };
}

function asJson(value: unknown): unknown {
  if (typeof value !== "bigint") return value;
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value);
}

const DESCRIPTION_COLUMN = 24;

/** `virtio-rng-device options:` and a line for each property, in QEMU's form. */
export function propertyHelp(title: string, table: PropertyTable): string {
  const lines = Object.entries(table)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, spec]) => propertyLine(name, spec));
  return `${title} options:\n${lines.join("")}`;
}

function propertyLine(name: string, spec: PropertySpec<unknown>): string {
  const left = `  ${name}=<${spec.type.name}>`;
  const fallback = spec.default === undefined ? "" : `(default: ${spec.type.format(spec.default)})`;
  const right = [spec.description, fallback].filter((text) => text !== "").join(" ");
  return right === "" ? `${left}\n` : `${left.padEnd(DESCRIPTION_COLUMN)} - ${right}\n`;
}

/** Up to three of `names` that differ from `word` by little: for "did you mean". */
export function nearest(word: string, names: readonly string[]): string[] {
  const limit = Math.max(1, Math.floor(word.length / 4));
  return names
    .map((name) => ({ name, distance: name.startsWith(word) && word !== "" ? 1 : editDistance(word, name) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ name }) => name);
}

/** Levenshtein's distance, one row at a time; words from a command line are cut at 64 characters. */
function editDistance(a: string, b: string): number {
  const from = a.slice(0, 64);
  const to = b.slice(0, 64);
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const change = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
}
