// The tree of objects that a machine consists of: `/machine/peripheral/disk0`, each with live properties.
import { assert } from "../base/index.ts";
import { about, OptionError } from "./errors.ts";
import { convert, type PropertySpec, type PropertyTable, type PropertyType } from "./properties.ts";
import { propertyInfo, type PropertyInfo } from "./types.ts";

/** A property of one object, read when it is asked for. */
export interface LiveProperty<T> {
  readonly type: PropertyType<T>;
  readonly description?: string;
  get(): T | undefined;
  /** Absent: read-only. */
  set?(value: T): void;
}

export class ObjectNode {
  readonly typeName: string;
  readonly #children = new Map<string, ObjectNode>();
  // A live property is invariant in its value's type, and an object has properties of every type.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly #properties = new Map<string, LiveProperty<any>>();
  #parent: ObjectNode | undefined;
  #name = "";

  constructor(typeName: string) {
    this.typeName = typeName;
  }

  /** The last part of the path; empty for the root and for an object that is in no tree. */
  get name(): string {
    return this.#name;
  }

  get parent(): ObjectNode | undefined {
    return this.#parent;
  }

  /** `/` for the root. */
  get path(): string {
    if (this.#parent === undefined) return "/";
    return this.#parent.#parent === undefined ? `/${this.#name}` : `${this.#parent.path}/${this.#name}`;
  }

  get children(): ReadonlyMap<string, ObjectNode> {
    return this.#children;
  }

  /** Throws OptionError `duplicate` when the name is taken: ids come from operators. */
  addChild<N extends ObjectNode>(name: string, child: N, subject?: string): N {
    assert(name !== "" && !name.includes("/"), "an object's name is one part of a path", name);
    const node: ObjectNode = child;
    assert(node.#parent === undefined && node !== this, "an object is in one place", name);
    if (this.#children.has(name) || this.#properties.has(name)) {
      throw new OptionError("duplicate", `Duplicate ID '${name}' in ${this.path}`, about(subject));
    }
    node.#parent = this;
    node.#name = name;
    this.#children.set(name, node);
    return child;
  }

  /** The child of that name, made as a container when it is not there. */
  container(name: string): ObjectNode {
    return this.#children.get(name) ?? this.addChild(name, new ObjectNode("container"));
  }

  /** Takes the object with its children out of the tree. */
  remove(): void {
    if (this.#parent !== undefined) this.#parent.#children.delete(this.#name);
    this.#parent = undefined;
    this.#name = "";
  }

  define<T>(name: string, property: LiveProperty<T>): this {
    assert(!this.#properties.has(name) && !this.#children.has(name), "a property is defined once", this.typeName, name);
    this.#properties.set(name, property);
    return this;
  }

  /** Read-only properties with the values that an object was made with. */
  defineValues(table: PropertyTable, values: Readonly<Record<string, unknown>>): this {
    for (const [name, spec] of Object.entries(table)) {
      this.define(name, { type: spec.type, description: spec.description, get: () => values[name] });
    }
    return this;
  }

  /** The value as option text; undefined when it is not set. A child's value is its path. Throws `unknownProperty`. */
  getText(name: string): string | undefined {
    const child = this.#children.get(name);
    if (child !== undefined) return child.path;
    const property = this.#property(name);
    const value: unknown = property.get();
    return value === undefined ? undefined : property.type.format(value);
  }

  /** The value itself. Throws OptionError `unknownProperty`. */
  get(name: string): unknown {
    return this.#children.get(name)?.path ?? this.#property(name).get();
  }

  /** Sets from option text or data. Throws OptionError `unknownProperty`, `readOnly` or `badValue`. */
  set(name: string, value: unknown, subject?: string): void {
    const property = this.#children.has(name) ? undefined : this.#property(name, subject);
    if (property?.set === undefined) {
      throw new OptionError("readOnly", `Property '${this.typeName}.${name}' is read-only`, about(subject));
    }
    property.set(convert(property.type, name, value, subject));
  }

  /** Properties and children, as `qom-list` shows them; in the order in which they were made. */
  list(): PropertyInfo[] {
    const properties = [...this.#properties].map(([name, { type, description = "" }]) => {
      const spec: PropertySpec<unknown> = { type, description, default: undefined };
      return propertyInfo(name, spec);
    });
    const children = [...this.#children].map(([name, child]) => ({ name, type: `child<${child.typeName}>` }));
    return [{ name: "type", type: "string" }, ...properties, ...children];
  }

  /** This object and all below it, parents first. */
  *walk(): Generator<ObjectNode> {
    yield this;
    for (const child of this.#children.values()) yield* child.walk();
  }

  // oxlint-disable-next-line typescript/no-explicit-any
  #property(name: string, subject?: string): LiveProperty<any> {
    if (name === "type") return { type: TYPE_NAME, get: () => this.typeName };
    const property = this.#properties.get(name);
    if (property !== undefined) return property;
    throw new OptionError("unknownProperty", `Property '${this.typeName}.${name}' not found`, about(subject));
  }
}

const TYPE_NAME: PropertyType<string> = {
  name: "string",
  parse: (text) => text,
  accept: String,
  format: (value) => value,
};

/**
 * The object at `path`: absolute (`/machine/soc`), or the end of a path that only one object has (`disk0`).
 * Throws OptionError `unknownObject`, with all candidates when the end is ambiguous.
 */
export function resolvePath(root: ObjectNode, path: string, subject?: string): ObjectNode {
  const parts = path.split("/").filter((part) => part !== "");
  if (path.startsWith("/")) {
    const found = descend(root, parts);
    if (found !== undefined) return found;
    throw new OptionError("unknownObject", `Object '${path}' not found`, about(subject));
  }
  const candidates = parts.length === 0 ? [] : [...root.walk()].map((node) => descend(node, parts));
  const found = candidates.filter((node) => node !== undefined);
  if (found.length === 1) return found[0]!;
  const message =
    found.length === 0
      ? `Object '${path}' not found`
      : `Path '${path}' is ambiguous: ${found.map((node) => node.path).join(", ")}`;
  throw new OptionError("unknownObject", message, about(subject));
}

function descend(from: ObjectNode, parts: readonly string[]): ObjectNode | undefined {
  let node: ObjectNode | undefined = from;
  for (const part of parts) node = node?.children.get(part);
  return node;
}
