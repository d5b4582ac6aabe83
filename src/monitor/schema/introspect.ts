// `query-qmp-schema`: every command and event, and the types they use, with names of types masked as QEMU masks them.
import type { JsonObject } from "../json/value.ts";
import type { Command, EventType } from "./command.ts";
import type { SchemaType } from "./types.ts";

class Masks {
  readonly entries: JsonObject[] = [];
  readonly #names = new Map<SchemaType, string>();
  readonly #builtins = new Set<string>();
  #next = 0;

  /** The name by which entries refer to a type; describes it on first use. */
  nameOf(type: SchemaType): string {
    if (type.kind === "builtin")
      return this.#builtin(type.name === "uint64" || type.jsonType === "int" ? "int" : type.name, type.jsonType);
    const known = this.#names.get(type);
    if (known !== undefined) return known;
    if (type.kind === "array") {
      const element = this.nameOf(type.element);
      const name = `[${element}]`;
      this.#names.set(type, name);
      if (!this.#builtins.has(name)) {
        this.#builtins.add(name);
        this.entries.push({ name, "element-type": element, "meta-type": "array" });
      }
      return name;
    }
    const name = String(this.#next++);
    this.#names.set(type, name);
    // The entry stands before those of its members, as a reader would want it.
    const at = this.entries.push({}) - 1;
    this.entries[at] =
      type.kind === "enum"
        ? { name, members: type.values.map((value) => ({ name: value })), "meta-type": "enum", values: type.values }
        : {
            name,
            members: Object.entries(type.members).map(([member, { type: of, isOptional }]) => ({
              name: member,
              ...(isOptional && { default: null }),
              type: this.nameOf(of),
            })),
            "meta-type": "object",
          };
    return name;
  }

  #builtin(name: string, jsonType: string): string {
    if (!this.#builtins.has(name)) {
      this.#builtins.add(name);
      this.entries.push({ name, "json-type": jsonType, "meta-type": "builtin" });
    }
    return name;
  }
}

export function introspect(
  commands: readonly Command[],
  events: readonly EventType<unknown>[],
  empty: SchemaType,
): readonly JsonObject[] {
  const masks = new Masks();
  masks.nameOf(empty);
  const described = [
    ...commands.map(({ name, args, returns }): JsonObject => ({
      name,
      "ret-type": masks.nameOf(returns ?? empty),
      "meta-type": "command",
      "arg-type": masks.nameOf(args),
    })),
    ...events.map(({ name, data }): JsonObject => ({
      name,
      "meta-type": "event",
      "arg-type": masks.nameOf(data),
    })),
  ];
  return [...described, ...masks.entries];
}
