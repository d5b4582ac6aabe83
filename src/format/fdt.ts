// Flattened device trees, version 17 (Devicetree Specification v0.4, chapter 5): a tree in memory, flatten and parse.
import { assert, alignUp, concatBytes, layout, u32be, u64be, viewOf } from "../base/index.ts";
import { FormatError, decodeAt, sliceAt } from "./errors.ts";
import { DeviceTreeNode } from "./fdt-node.ts";
import { encodeText } from "./text.ts";

const FDT_MAGIC = 0xd00dfeed;
const FDT_VERSION = 17;
const FDT_LAST_COMPATIBLE_VERSION = 16;

const Token = { beginNode: 1, endNode: 2, property: 3, nop: 4, end: 9 } as const;

const Header = layout("header", 40, {
  magic: u32be,
  totalLengthBytes: u32be,
  structureOffset: u32be,
  stringsOffset: u32be,
  reservationsOffset: u32be,
  version: u32be,
  lastCompatibleVersion: u32be,
  bootCpuId: u32be,
  stringsLengthBytes: u32be,
  structureLengthBytes: u32be,
});
const Reservation = layout("memory reservation", 16, { address: u64be, lengthBytes: u64be });

/** Deeper trees are refused; real ones have fewer than ten levels. */
const MAX_DEPTH = 64;
/** Longer names are refused; the specification allows 31 characters, real trees go a little beyond. */
const MAX_NAME_BYTES = 255;

/** Physical memory that the operating system must leave alone. */
export interface MemoryReservation {
  readonly address: bigint;
  readonly lengthBytes: bigint;
}

export interface DeviceTree {
  readonly root: DeviceTreeNode;
  readonly reservations: readonly MemoryReservation[];
  /** Physical id of the boot CPU. */
  readonly bootCpuId: number;
}

export interface FlattenOptions {
  readonly reservations?: readonly MemoryReservation[];
  readonly bootCpuId?: number;
  /** Free room at the blob's end, so that software can edit it in place. */
  readonly spareBytes?: number;
}

/** The tree as a version 17 blob. */
export function flattenTree(root: DeviceTreeNode, options: FlattenOptions = {}): Uint8Array<ArrayBuffer> {
  const strings = new StringsBlock();
  const structure: Uint8Array[] = [];
  writeNode(root, structure, strings);
  structure.push(word(Token.end));

  const reservations = [...(options.reservations ?? []), { address: 0n, lengthBytes: 0n }];
  const structureBytes = concatBytes(structure);
  const stringsBytes = concatBytes(strings.parts);
  const reservationsOffset = alignUp(Header.lengthBytes, 8);
  const structureOffset = reservationsOffset + reservations.length * Reservation.lengthBytes;
  const stringsOffset = structureOffset + structureBytes.length;
  const usedBytes = alignUp(stringsOffset + stringsBytes.length, 8);

  const blob = new Uint8Array(usedBytes + (options.spareBytes ?? 0));
  Header.encode(
    {
      magic: FDT_MAGIC,
      totalLengthBytes: blob.length,
      structureOffset,
      stringsOffset,
      reservationsOffset,
      version: FDT_VERSION,
      lastCompatibleVersion: FDT_LAST_COMPATIBLE_VERSION,
      bootCpuId: options.bootCpuId ?? 0,
      stringsLengthBytes: stringsBytes.length,
      structureLengthBytes: structureBytes.length,
    },
    blob,
  );
  reservations.forEach((r, i) => Reservation.encode(r, blob, reservationsOffset + i * Reservation.lengthBytes));
  blob.set(structureBytes, structureOffset);
  blob.set(stringsBytes, stringsOffset);
  return blob;
}

/** Reads a blob of version 16 or 17 (or a later one that says it is compatible). Throws `FormatError`. */
export function parseTree(blob: Uint8Array): DeviceTree {
  if (blob.length < 4 || viewOf(blob).getUint32(0) !== FDT_MAGIC) {
    throw new FormatError("notThisFormat", "The file does not begin with the device tree magic d0 0d fe ed");
  }
  const header = decodeAt(Header, blob, 0, "device tree");
  if (header.lastCompatibleVersion > FDT_VERSION || header.version < FDT_LAST_COMPATIBLE_VERSION) {
    throw new FormatError("unsupported", `The device tree has version ${header.version}; 16 and 17 are understood`);
  }
  const whole = sliceAt(blob, 0, header.totalLengthBytes, "device tree", "tree");
  const structureLengthBytes =
    header.version >= 17 ? header.structureLengthBytes : Math.max(0, whole.length - header.structureOffset);
  const structure = sliceAt(whole, header.structureOffset, structureLengthBytes, "device tree", "structure");
  const strings = sliceAt(whole, header.stringsOffset, header.stringsLengthBytes, "device tree", "strings");
  return {
    root: new StructureReader(structure, strings).read(),
    reservations: readReservations(whole, header.reservationsOffset),
    bootCpuId: header.bootCpuId,
  };
}

/** Property names, each stored once. */
class StringsBlock {
  readonly parts: Uint8Array[] = [];
  readonly #offsets = new Map<string, number>();
  #length = 0;

  offsetOf(name: string): number {
    const known = this.#offsets.get(name);
    if (known !== undefined) return known;
    const offset = this.#length;
    const bytes = encodeText(`${name}\0`);
    this.#offsets.set(name, offset);
    this.parts.push(bytes);
    this.#length += bytes.length;
    return offset;
  }
}

function writeNode(node: DeviceTreeNode, out: Uint8Array[], strings: StringsBlock): void {
  out.push(word(Token.beginNode), padded(encodeText(`${node.name}\0`)));
  for (const [name, value] of node.properties) {
    out.push(word(Token.property), word(value.length), word(strings.offsetOf(name)), padded(value));
  }
  for (const child of node.children) {
    assert(child.name.length > 0, "only the root of a device tree has no name");
    writeNode(child, out, strings);
  }
  out.push(word(Token.endNode));
}

function word(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value);
  return bytes;
}

function padded(bytes: Uint8Array): Uint8Array {
  if (bytes.length % 4 === 0) return bytes;
  const out = new Uint8Array(alignUp(bytes.length, 4));
  out.set(bytes);
  return out;
}

function readReservations(blob: Uint8Array, offset: number): MemoryReservation[] {
  const found: MemoryReservation[] = [];
  for (let at = offset; ; at += Reservation.lengthBytes) {
    const entry = decodeAt(Reservation, blob, at, "device tree");
    if (entry.address === 0n && entry.lengthBytes === 0n) return found;
    found.push(entry);
  }
}

/** Walks the structure block with an explicit stack, so that depth is bounded by a check and not by the engine. */
class StructureReader {
  readonly #structure: Uint8Array;
  readonly #view: DataView;
  readonly #strings: Uint8Array;
  readonly #names = new Map<number, string>();
  #at = 0;

  constructor(structure: Uint8Array, strings: Uint8Array) {
    this.#structure = structure;
    this.#view = viewOf(structure);
    this.#strings = strings;
  }

  read(): DeviceTreeNode {
    const open: DeviceTreeNode[] = [];
    let root: DeviceTreeNode | undefined;
    for (;;) {
      const token = this.#word();
      const current = open.at(-1);
      if (token === Token.nop) continue;
      if (token === Token.end) {
        if (root === undefined || current !== undefined) throw corrupt("ends inside a node");
        return root;
      }
      if (token === Token.beginNode) {
        const node = this.#begin(current, open.length, root !== undefined);
        root ??= node;
        open.push(node);
      } else if (token === Token.endNode && current !== undefined) {
        open.pop();
      } else if (token === Token.property && current !== undefined) {
        this.#property(current);
      } else {
        throw corrupt(`has token ${token} where none of that kind may stand`);
      }
    }
  }

  #begin(parent: DeviceTreeNode | undefined, depth: number, hasRoot: boolean): DeviceTreeNode {
    if (parent === undefined && hasRoot) throw corrupt("has a second root");
    if (depth >= MAX_DEPTH) throw new FormatError("tooLarge", `The device tree is deeper than ${MAX_DEPTH} levels`);
    const name = nameAt(this.#structure, this.#at, "node");
    this.#at = alignUp(this.#at + name.length + 1, 4);
    if ((name === "") !== (parent === undefined)) throw corrupt("has a root with a name, or a node without one");
    const node = new DeviceTreeNode(name);
    parent?.children.push(node);
    return node;
  }

  #property(node: DeviceTreeNode): void {
    const lengthBytes = this.#word();
    const nameOffset = this.#word();
    let name = this.#names.get(nameOffset);
    if (name === undefined) {
      name = nameAt(this.#strings, nameOffset, "property");
      this.#names.set(nameOffset, name);
    }
    if (name === "") throw corrupt("has a property without a name");
    if (node.properties.has(name)) throw corrupt(`has property "${name}" of node "${node.name}" twice`);
    node.properties.set(name, sliceAt(this.#structure, this.#at, lengthBytes, "device tree", "property").slice());
    this.#at = alignUp(this.#at + lengthBytes, 4);
  }

  #word(): number {
    if (this.#at + 4 > this.#structure.length) {
      throw new FormatError("truncated", "The device tree's structure block ends without its end token");
    }
    const value = this.#view.getUint32(this.#at);
    this.#at += 4;
    return value;
  }
}

function nameAt(bytes: Uint8Array, offset: number, what: "node" | "property"): string {
  let name = "";
  for (let at = offset; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === 0) return name;
    if (byte <= 0x20 || byte >= 0x7f || (byte === 0x2f && what === "node"))
      throw corrupt(`has byte 0x${byte.toString(16)} in a ${what} name`);
    if (name.length >= MAX_NAME_BYTES) {
      throw new FormatError("tooLarge", `The device tree has a ${what} name longer than ${MAX_NAME_BYTES} characters`);
    }
    name += String.fromCharCode(byte);
  }
  throw new FormatError("truncated", `The device tree has a ${what} name that does not end`);
}

function corrupt(what: string): FormatError {
  return new FormatError("corrupt", `The device tree ${what}`);
}
