// ELF64 little-endian, as a loader sees it: header and PT_LOAD segments (System V gABI, chapters 4 and 5).
import { bytes, layout, openEnum, u16le, u32le, u64le, type OpenEnum } from "../base/index.ts";
import { FormatError, decodeAt, sliceAt } from "./errors.ts";
import { hasMagic } from "./text.ts";

/** e_machine: the values that somebody may hand to a riscv64 machine by mistake are named. */
export const ElfMachine: OpenEnum<{
  readonly I386: 3;
  readonly Ppc64: 21;
  readonly Arm: 40;
  readonly X86_64: 62;
  readonly AArch64: 183;
  readonly RiscV: 243;
  readonly LoongArch: 258;
}> = openEnum("ElfMachine", { I386: 3, Ppc64: 21, Arm: 40, X86_64: 62, AArch64: 183, RiscV: 243, LoongArch: 258 });

/** e_type: what kind of object file it is. */
export const ElfType: OpenEnum<{
  readonly None: 0;
  readonly Relocatable: 1;
  readonly Executable: 2;
  readonly Shared: 3;
  readonly Core: 4;
}> = openEnum("ElfType", { None: 0, Relocatable: 1, Executable: 2, Shared: 3, Core: 4 });

const Ident = layout("identification", 16, {
  magic: bytes(4),
  class: bytes(1),
  data: bytes(1),
  version: bytes(1),
  rest: bytes(9),
});

const Header = layout("file header", 64, {
  ident: bytes(Ident.lengthBytes),
  type: u16le,
  machine: u16le,
  version: u32le,
  entry: u64le,
  programHeaderOffset: u64le,
  sectionHeaderOffset: u64le,
  flags: u32le,
  headerLengthBytes: u16le,
  programHeaderLengthBytes: u16le,
  programHeaderCount: u16le,
  sectionHeaderLengthBytes: u16le,
  sectionHeaderCount: u16le,
  sectionNamesIndex: u16le,
});

const ProgramHeader = layout("program header", 56, {
  type: u32le,
  flags: u32le,
  offset: u64le,
  virtualAddress: u64le,
  physicalAddress: u64le,
  fileLengthBytes: u64le,
  memoryLengthBytes: u64le,
  alignment: u64le,
});

const PT_LOAD = 1;
/** e_phnum of files that keep the real count in section header 0 (gABI "PN_XNUM"). */
const PN_XNUM = 0xffff;
const SPACE_64 = 1n << 64n;

/** What must be in memory before the program starts. */
export interface ElfSegment {
  readonly virtualAddress: bigint;
  readonly physicalAddress: bigint;
  /** PF_X = 1, PF_W = 2, PF_R = 4. */
  readonly flags: number;
  /** A view of the file; the rest of `memoryLengthBytes` is zero. */
  readonly fileBytes: Uint8Array;
  readonly memoryLengthBytes: number;
  readonly alignment: bigint;
}

export interface Elf {
  /** One of `ElfType`, or another value. */
  readonly type: number;
  /** One of `ElfMachine`, or another value. */
  readonly machine: number;
  readonly entry: bigint;
  /** e_flags, whose meaning is the machine's. */
  readonly flags: number;
  /** PT_LOAD segments with a non-zero size in memory, in file order. */
  readonly segments: readonly ElfSegment[];
}

export function isElf(file: Uint8Array): boolean {
  return hasMagic(file, 0, "\x7fELF");
}

/**
 * Reads an ELF64 little-endian file for loading. `machine` refuses every other e_machine by name.
 * Segments are views of `file`. Throws `FormatError`.
 */
export function parseElf(file: Uint8Array, options: { readonly machine?: number } = {}): Elf {
  if (!isElf(file)) throw new FormatError("notThisFormat", "The file does not begin with the ELF magic 7f 45 4c 46");
  const ident = decodeAt(Ident, file, 0, "ELF file");
  checkIdent(ident.class[0]!, ident.data[0]!);
  const header = decodeAt(Header, file, 0, "ELF file");
  if (options.machine !== undefined && header.machine !== options.machine) {
    throw new FormatError(
      "unsupported",
      `The ELF file is for ${ElfMachine.name(header.machine)}; one for ${ElfMachine.name(options.machine)} would do`,
    );
  }
  if (header.programHeaderCount === PN_XNUM) {
    throw new FormatError("unsupported", "The ELF file has 65535 program headers or more, which no loader needs");
  }
  if (header.programHeaderCount > 0 && header.programHeaderLengthBytes < ProgramHeader.lengthBytes) {
    throw new FormatError(
      "corrupt",
      `The ELF file says a program header has ${header.programHeaderLengthBytes} bytes; ELF64 needs 56`,
    );
  }
  const segments: ElfSegment[] = [];
  for (let i = 0; i < header.programHeaderCount; i++) {
    const at = fileOffset(header.programHeaderOffset, "program headers") + i * header.programHeaderLengthBytes;
    const segment = readSegment(file, at);
    if (segment !== undefined) segments.push(segment);
  }
  return { type: header.type, machine: header.machine, entry: header.entry, flags: header.flags, segments };
}

function checkIdent(fileClass: number, data: number): void {
  if (fileClass === 1) {
    throw new FormatError("unsupported", "The ELF file is a 32-bit one (ELFCLASS32); a 64-bit one would do");
  }
  if (fileClass !== 2) throw new FormatError("corrupt", `The ELF file has class ${fileClass}; 2 (64-bit) would do`);
  if (data !== 1) {
    throw new FormatError(
      "unsupported",
      data === 2
        ? "The ELF file is big-endian; a little-endian one would do"
        : `The ELF file has data encoding ${data}; 1 (little-endian) would do`,
    );
  }
}

function readSegment(file: Uint8Array, at: number): ElfSegment | undefined {
  const header = decodeAt(ProgramHeader, file, at, "ELF file");
  if (header.type !== PT_LOAD || header.memoryLengthBytes === 0n) return undefined;
  if (header.fileLengthBytes > header.memoryLengthBytes) {
    throw new FormatError("corrupt", "The ELF file has a segment with more bytes in the file than in memory");
  }
  for (const address of [header.virtualAddress, header.physicalAddress]) {
    if (address + header.memoryLengthBytes > SPACE_64) {
      throw new FormatError("corrupt", `The ELF file has a segment at 0x${address.toString(16)} that passes 2^64`);
    }
  }
  return {
    virtualAddress: header.virtualAddress,
    physicalAddress: header.physicalAddress,
    flags: header.flags,
    fileBytes: sliceAt(
      file,
      fileOffset(header.offset, "segment"),
      fileOffset(header.fileLengthBytes, "segment"),
      "ELF file",
      "segment",
    ),
    memoryLengthBytes: fileOffset(header.memoryLengthBytes, "segment"),
    alignment: header.alignment,
  };
}

/** A 64-bit offset or length as a number; what exceeds 2^53 cannot be in any file or memory here. */
function fileOffset(value: bigint, part: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new FormatError("corrupt", `The ELF file has a ${part} offset or length of 0x${value.toString(16)}`);
  }
  return Number(value);
}
