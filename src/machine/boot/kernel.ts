// Kernels and firmware as segments: what kind of file it is, where it goes, where it starts.
import {
  ElfMachine,
  FormatError,
  identifyKernel,
  isElf,
  parseElf,
  parseKernelImage,
  type Elf,
  type ElfSegment,
} from "../../format/index.ts";
import { MachineError } from "../errors.ts";
import type { NamedBytes } from "../port.ts";
import type { LoadSegment, RamRange } from "./image.ts";
import { peFileLength } from "./pe-length.ts";

/** A program put into RAM. */
export interface LoadedProgram {
  readonly segments: readonly LoadSegment[];
  /** The lowest address that it occupies. */
  readonly low: number;
  readonly end: number;
  /** An ELF file's entry; for raw images, `low`. */
  readonly entry: number;
}

/** Loads `-kernel`: an ELF file where it says, an Image at `at`, and, when `raw` allows it, anything else at `at`. */
export function loadKernel(
  file: NamedBytes,
  at: number,
  options: { readonly raw: boolean; readonly ram: RamRange },
): LoadedProgram {
  const what = `Kernel "${file.name}"`;
  return reading(what, file, () => {
    const { form } = identifyKernel(file.bytes);
    if (form === "elf") return loadElf(what, parseElf(file.bytes, { machine: ElfMachine.RiscV }), options.ram);
    if (form === "compressed") {
      throw new MachineError("badImage", `${what} is compressed; the decompressed Image or ELF file would do`);
    }
    if (form === "unknown" && options.raw && file.bytes.length > 0) return loadRaw(what, file.bytes, at);
    const image = parseKernelImage(file.bytes);
    if (image.architecture !== "riscv" || image.isBigEndian) {
      throw new MachineError("badImage", `${what} is for ${image.architecture}; one for riscv64 would do`);
    }
    const wholeLength = image.isEfiStub ? peFileLength(file.bytes) : undefined;
    if (wholeLength !== undefined && wholeLength > file.bytes.length) {
      throw new MachineError(
        "badImage",
        `${what} is cut short: it has ${file.bytes.length} bytes of ${wholeLength}; fetching it again would do`,
      );
    }
    return loadRaw(what, file.bytes, at, image.imageLengthBytes);
  });
}

/** Loads `-bios FILE`: an ELF file where it says, anything else at the start of RAM. */
export function loadFirmware(file: NamedBytes, ram: RamRange): LoadedProgram {
  const what = `Firmware "${file.name}"`;
  return reading(what, file, () => {
    if (isElf(file.bytes)) return loadElf(what, parseElf(file.bytes, { machine: ElfMachine.RiscV }), ram);
    if (file.bytes.length === 0) throw new MachineError("badImage", `${what} is empty`);
    return loadRaw(what, file.bytes, ram.base);
  });
}

function loadRaw(what: string, bytes: Uint8Array, at: number, occupiedBytes = 0): LoadedProgram {
  const lengthBytes = Math.max(bytes.length, occupiedBytes);
  // What an Image occupies past its bytes is for the kernel to clear.
  return { segments: [{ what, at, bytes, lengthBytes, zeroRest: false }], low: at, end: at + bytes.length, entry: at };
}

/** PF_R and neither PF_W nor PF_X. */
const READ_ONLY = 4;

/**
 * Where the program of an ELF file is given an address by hand (`-Ttext=0x80000000`), linkers leave the file's headers and
 * notes at their usual low address, in a read-only segment that the program does not need: QEMU loads it into nothing.
 */
function isNeeded({ physicalAddress, memoryLengthBytes, flags }: ElfSegment, { base, lengthBytes }: RamRange): boolean {
  const outside =
    physicalAddress + BigInt(memoryLengthBytes) <= BigInt(base) || physicalAddress >= BigInt(base + lengthBytes);
  return flags !== READ_ONLY || !outside;
}

/** A short program shares a segment with the headers, which are then in the page before RAM: what is in RAM is loaded. */
function withoutHeadersBefore(segment: ElfSegment, { base }: RamRange): ElfSegment {
  const before = Number(BigInt(base) - segment.physicalAddress);
  if (before <= 0 || before >= segment.memoryLengthBytes || !isElf(segment.fileBytes)) return segment;
  return {
    ...segment,
    physicalAddress: BigInt(base),
    fileBytes: segment.fileBytes.subarray(before),
    memoryLengthBytes: segment.memoryLengthBytes - before,
  };
}

function loadElf(what: string, elf: Elf, ram: RamRange): LoadedProgram {
  if (elf.segments.length === 0) {
    throw new MachineError("badImage", `${what} is an ELF file without anything to load; an executable would do`);
  }
  const needed = elf.segments
    .filter((segment) => isNeeded(segment, ram))
    .map((segment) => withoutHeadersBefore(segment, ram));
  const segments = (needed.length === 0 ? elf.segments : needed).map((segment) => ({
    what,
    at: address(what, segment.physicalAddress),
    bytes: segment.fileBytes,
    lengthBytes: segment.memoryLengthBytes,
    zeroRest: true,
  }));
  return {
    segments,
    low: Math.min(...segments.map(({ at }) => at)),
    end: Math.max(...segments.map(({ at, lengthBytes }) => at + lengthBytes)),
    entry: address(what, elf.entry),
  };
}

function address(what: string, value: bigint): number {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw new MachineError(
    "doesNotFit",
    `${what} is linked at 0x${value.toString(16)}, where no board has RAM; one with physical addresses in RAM would do`,
  );
}

/** Says which file it was when its format is wrong. */
export function reading<T>(what: string, file: NamedBytes, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new MachineError("badImage", `${what} cannot be used: ${cause.message}`, { subject: file.name, cause });
  }
}
