// Sections of an ELF64 little-endian file, and two kinds of facts kept in them: a kernel module's description and the
// shared libraries a program needs (System V gABI, chapters 4 and 5).
import { layout, u32le, u64le, viewOf } from "../base/index.ts";
import { isElf } from "./elf.ts";
import { FormatError, decodeAt, sliceAt } from "./errors.ts";
import { decodeText, textToNul } from "./text.ts";

const SectionHeader = layout("section header", 64, {
  name: u32le,
  type: u32le,
  flags: u64le,
  address: u64le,
  offset: u64le,
  lengthBytes: u64le,
  link: u32le,
  info: u32le,
  alignment: u64le,
  entryLengthBytes: u64le,
});
const SHT_NOBITS = 8;
const DT_NEEDED = 1n;
/** A name that does not end within this is none. */
const MAX_NAME_BYTES = 4096;

/** The bytes of the first section called `name`, or undefined. Throws `FormatError` for a damaged file. */
export function elfSection(file: Uint8Array, name: string): Uint8Array | undefined {
  if (!isElf(file) || file.length < 64 || file[4] !== 2 || file[5] !== 1) {
    throw new FormatError("notThisFormat", "The file is no 64-bit little-endian ELF file");
  }
  const view = viewOf(file);
  const tableOffset = smallNumber(view.getBigUint64(40, true));
  const [stride, count, namesIndex] = [view.getUint16(58, true), view.getUint16(60, true), view.getUint16(62, true)];
  if (count === 0) return undefined;
  if (stride < SectionHeader.lengthBytes || namesIndex >= count) {
    throw new FormatError("corrupt", "The ELF file's section table contradicts itself");
  }
  const header = (index: number): ReturnType<typeof SectionHeader.decode> =>
    decodeAt(SectionHeader, file, tableOffset + index * stride, "ELF file");
  const names = sectionBytes(file, header(namesIndex));
  for (let i = 0; i < count; i++) {
    const candidate = header(i);
    if (nameAt(names, candidate.name) === name) return sectionBytes(file, candidate);
  }
  return undefined;
}

/** What a kernel module says of itself: "key=value" strings of `.modinfo`, a key's values in order. */
export function readModuleInfo(module: Uint8Array): Map<string, string[]> {
  const section = elfSection(module, ".modinfo");
  const info = new Map<string, string[]>();
  for (const line of section === undefined ? [] : decodeText(section).split("\0")) {
    const equals = line.indexOf("=");
    if (equals <= 0) continue;
    const key = line.slice(0, equals);
    const values = info.get(key) ?? [];
    values.push(line.slice(equals + 1));
    info.set(key, values);
  }
  return info;
}

/** Names of the shared libraries (DT_NEEDED) of a program or library, and none for a static one. */
export function readNeededLibraries(file: Uint8Array): string[] {
  const dynamic = elfSection(file, ".dynamic");
  const strings = elfSection(file, ".dynstr");
  if (dynamic === undefined || strings === undefined) return [];
  const view = viewOf(dynamic);
  const needed: string[] = [];
  for (let at = 0; at + 16 <= dynamic.length; at += 16) {
    if (view.getBigUint64(at, true) !== DT_NEEDED) continue;
    needed.push(nameAt(strings, smallNumber(view.getBigUint64(at + 8, true))));
  }
  return needed;
}

function sectionBytes(file: Uint8Array, header: ReturnType<typeof SectionHeader.decode>): Uint8Array {
  if (header.type === SHT_NOBITS) return new Uint8Array(0);
  return sliceAt(file, smallNumber(header.offset), smallNumber(header.lengthBytes), "ELF file", "section");
}

function nameAt(strings: Uint8Array, offset: number): string {
  return textToNul(strings.subarray(offset, offset + MAX_NAME_BYTES));
}

function smallNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new FormatError("corrupt", `The ELF file has a section offset or length of 0x${value.toString(16)}`);
  }
  return Number(value);
}
