// A node of a device tree and the value types of its properties (Devicetree Specification v0.4, §2.2.4).
import { assert, viewOf } from "../base/index.ts";
import { FormatError } from "./errors.ts";
import { decodeText, encodeText } from "./text.ts";

/**
 * A node by name ("uart@10000000"; the root's is empty), with properties as bytes, in order.
 * `set…` return the node, so that a tree reads as nested statements. `get…` return undefined when the property is
 * absent and throw `FormatError` when its bytes are not of that type, because trees also come from files.
 */
export class DeviceTreeNode {
  readonly name: string;
  readonly properties: Map<string, Uint8Array> = new Map();
  readonly children: DeviceTreeNode[] = [];

  constructor(name = "") {
    assert(/^[\x21-\x2e\x30-\x7e]*$/.test(name), "a device tree node's name is printable and has no slash", name);
    this.name = name;
  }

  /** Adds a child and returns it. */
  add(name: string): DeviceTreeNode {
    assert(this.child(name) === undefined, "a device tree node is added once", name);
    const node = new DeviceTreeNode(name);
    this.children.push(node);
    return node;
  }

  /** The child of exactly that name. */
  child(name: string): DeviceTreeNode | undefined {
    return this.children.find((node) => node.name === name);
  }

  /** The descendant at a path such as "/soc/serial@10000000", from this node. A unit address may be left out when the rest is unique. */
  find(path: string): DeviceTreeNode | undefined {
    let node: DeviceTreeNode | undefined = this;
    for (const part of path.split("/")) {
      if (part === "") continue;
      const exact: DeviceTreeNode | undefined = node.child(part);
      const loose: DeviceTreeNode[] =
        exact === undefined ? node.children.filter((c) => c.name.split("@")[0] === part) : [];
      node = exact ?? (loose.length === 1 ? loose[0] : undefined);
      if (node === undefined) return undefined;
    }
    return node;
  }

  /** Removes the child of exactly that name; true when it was there. */
  remove(name: string): boolean {
    const index = this.children.findIndex((node) => node.name === name);
    if (index >= 0) this.children.splice(index, 1);
    return index >= 0;
  }

  /** This node and all below it, parents first, with their paths ("/" for this one). */
  *walk(path = ""): Generator<{ readonly path: string; readonly node: DeviceTreeNode }> {
    yield { path: path === "" ? "/" : path, node: this };
    for (const child of this.children) yield* child.walk(`${path}/${child.name}`);
  }

  /** A property without a value, true by being there. */
  setEmpty(name: string): this {
    return this.setBytes(name, new Uint8Array(0));
  }

  setBytes(name: string, value: Uint8Array): this {
    assert(/^[\x21-\x7e]+$/.test(name), "a device tree property's name is printable", name);
    this.properties.set(name, value);
    return this;
  }

  /** One or more 32-bit cells. */
  setU32(name: string, ...values: number[]): this {
    const bytes = new Uint8Array(values.length * 4);
    values.forEach((value, i) => viewOf(bytes).setUint32(i * 4, value));
    return this.setBytes(name, bytes);
  }

  /** One or more 64-bit values, each two cells. */
  setU64(name: string, ...values: (bigint | number)[]): this {
    const bytes = new Uint8Array(values.length * 8);
    values.forEach((value, i) => viewOf(bytes).setBigUint64(i * 8, BigInt(value)));
    return this.setBytes(name, bytes);
  }

  setString(name: string, value: string): this {
    return this.setStrings(name, value);
  }

  /** A stringlist, each string NUL-terminated. */
  setStrings(name: string, ...values: string[]): this {
    assert(!values.some((value) => value.includes("\0")), "a device tree string has no NUL", name);
    return this.setBytes(name, encodeText(values.map((value) => `${value}\0`).join("")));
  }

  /** True when the property is there, with or without a value. */
  has(name: string): boolean {
    return this.properties.has(name);
  }

  getU32(name: string): number | undefined {
    const values = this.getU32s(name);
    if (values !== undefined && values.length !== 1) throw this.#mistyped(name, "one 32-bit cell");
    return values?.[0];
  }

  getU32s(name: string): number[] | undefined {
    const bytes = this.properties.get(name);
    if (bytes === undefined) return undefined;
    if (bytes.length % 4 !== 0) throw this.#mistyped(name, "32-bit cells");
    return Array.from({ length: bytes.length / 4 }, (_, i) => viewOf(bytes).getUint32(i * 4));
  }

  /** One value of one or two cells; trees are free to use either for such properties as linux,initrd-start. */
  getU64(name: string): bigint | undefined {
    const bytes = this.properties.get(name);
    if (bytes?.length === 4) return BigInt(viewOf(bytes).getUint32(0));
    const values = this.getU64s(name);
    if (values !== undefined && values.length !== 1) throw this.#mistyped(name, "one 64-bit value");
    return values?.[0];
  }

  getU64s(name: string): bigint[] | undefined {
    const bytes = this.properties.get(name);
    if (bytes === undefined) return undefined;
    if (bytes.length % 8 !== 0) throw this.#mistyped(name, "64-bit values");
    return Array.from({ length: bytes.length / 8 }, (_, i) => viewOf(bytes).getBigUint64(i * 8));
  }

  getString(name: string): string | undefined {
    const values = this.getStrings(name);
    if (values !== undefined && values.length !== 1) throw this.#mistyped(name, "one string");
    return values?.[0];
  }

  getStrings(name: string): string[] | undefined {
    const bytes = this.properties.get(name);
    if (bytes === undefined) return undefined;
    if (bytes.length === 0) return [];
    if (bytes.at(-1) !== 0) throw this.#mistyped(name, "strings that end with NUL");
    return decodeText(bytes.subarray(0, -1)).split("\0");
  }

  /** The number by which other nodes refer to this one. */
  get phandle(): number | undefined {
    return this.getU32("phandle");
  }

  set phandle(value: number) {
    this.setU32("phandle", value);
  }

  #mistyped(name: string, wanted: string): FormatError {
    const lengthBytes = this.properties.get(name)!.length;
    return new FormatError(
      "corrupt",
      `Device tree property "${name}" of node "${this.name}" has ${lengthBytes} bytes that are not ${wanted}`,
    );
  }
}

/**
 * What differs between two trees, as sentences, empty when they mean the same. The order of nodes and properties means
 * nothing in a device tree. `ignores(path, property)` leaves out what is known to differ (a seed, a phandle).
 */
export function compareTrees(
  left: DeviceTreeNode,
  right: DeviceTreeNode,
  ignores: (path: string, property: string) => boolean = () => false,
): string[] {
  const differences: string[] = [];
  const lefts = new Map([...left.walk()].map(({ path, node }) => [path, node]));
  const rights = new Map([...right.walk()].map(({ path, node }) => [path, node]));
  for (const path of new Set([...lefts.keys(), ...rights.keys()])) {
    const a = lefts.get(path);
    const b = rights.get(path);
    if (a === undefined || b === undefined) {
      differences.push(`${path} is only in the ${a === undefined ? "right" : "left"} tree`);
      continue;
    }
    for (const name of new Set([...a.properties.keys(), ...b.properties.keys()])) {
      if (ignores(path, name)) continue;
      const [x, y] = [a.properties.get(name), b.properties.get(name)];
      if (x === undefined || y === undefined) {
        differences.push(`${path}:${name} is only in the ${x === undefined ? "right" : "left"} tree`);
      } else if (!sameBytes(x, y)) {
        differences.push(`${path}:${name} is ${showValue(x)} in the left tree and ${showValue(y)} in the right`);
      }
    }
  }
  return differences;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function showValue(bytes: Uint8Array): string {
  const text = decodeText(bytes);
  if (/^(?:[\x20-\x7e]+\0)+$/.test(text)) return JSON.stringify(text.slice(0, -1).split("\0").join(", "));
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `<${hex.length > 64 ? `${hex.slice(0, 64)}…` : hex}>`;
}
