// `query-qmp-schema`: every command and event, and the types they use, with names of types masked as QEMU masks them.
import type { JsonObject } from "../json/value.ts";
import type { Command } from "./command.ts";
import type { EventType } from "./event.ts";
import { noMembers } from "./types.ts";
import type { SchemaType, StructType } from "./types.ts";

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
    this.entries[at] = { name, ...this.#described(type) };
    return name;
  }

  #described(type: Exclude<SchemaType, { kind: "builtin" | "array" }>): JsonObject {
    switch (type.kind) {
      case "enum":
        return { members: type.values.map((value) => ({ name: value })), "meta-type": "enum", values: type.values };
      case "alternate":
        return { members: type.of.map((of) => ({ type: this.nameOf(of) })), "meta-type": "alternate" };
      case "struct":
        return {
          ...this.#variants(type),
          members: Object.entries(type.members).map(([member, { type: of, isOptional }]) => ({
            name: member,
            ...(isOptional && { default: null }),
            type: this.nameOf(of),
          })),
          "meta-type": "object",
        };
    }
  }

  /** Each value of the tag has a case. */
  #variants({ tag, variants, members }: StructType<unknown>): JsonObject {
    const values = tag === undefined ? undefined : members[tag]!.type;
    if (tag === undefined || values?.kind !== "enum") return {};
    const cases = values.values.map((each) => ({ case: each, type: this.nameOf(variants![each] ?? noMembers) }));
    return { tag, variants: cases };
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
