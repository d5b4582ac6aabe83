// Linux `Image` headers (kernel Documentation/arch/riscv/boot-image-header.rst and Documentation/arch/arm64/booting.rst)
// and the wrappings a kernel file comes in: EFI-stub PE, EFI zboot, gzip, zstd, xz.
import { bytes, layout, u16le, u32le, u64le } from "../base/index.ts";
import { isElf } from "./elf.ts";
import { FormatError, decodeAt, sliceAt } from "./errors.ts";
import type { DecompressPort } from "./port.ts";
import { hasMagic, textToNul } from "./text.ts";

const RiscvHeader = layout("riscv Image header", 64, {
  code: bytes(8),
  textOffset: u64le,
  imageLengthBytes: u64le,
  flags: u64le,
  versionMinor: u16le,
  versionMajor: u16le,
  reserved1: u32le,
  reserved2: u64le,
  magic: bytes(8),
  magic2: bytes(4),
  peOffset: u32le,
});

const Arm64Header = layout("arm64 Image header", 64, {
  code: bytes(8),
  textOffset: u64le,
  imageLengthBytes: u64le,
  flags: u64le,
  reserved: bytes(24),
  magic: bytes(4),
  peOffset: u32le,
});

/** EFI zboot: a PE file that carries a compressed kernel (kernel drivers/firmware/efi/libstub/zboot-header.S). */
const ZbootHeader = layout("EFI zboot header", 56, {
  mz: bytes(4),
  imageType: bytes(4),
  payloadOffset: u32le,
  payloadLengthBytes: u32le,
  reserved: bytes(8),
  compression: bytes(32),
});

/** Where the magics stand in both headers. */
const RISCV_MAGIC_AT = 48;
const RISCV_MAGIC2_AT = 56;
const ARM64_MAGIC_AT = 56;

/** The largest kernel that is decompressed, in bytes. */
export const MAX_KERNEL_BYTES: number = 512 * 1024 * 1024;

/** A raw kernel image with its header decoded. */
export interface KernelImage {
  readonly architecture: "riscv" | "arm64";
  /** Where the image wants to be, from the start of RAM rounded to 2 MiB (riscv64: 0x200000). */
  readonly textOffsetBytes: number;
  /** What the kernel occupies in memory, BSS included; 0 when the header does not say. */
  readonly imageLengthBytes: number;
  readonly flags: bigint;
  readonly isBigEndian: boolean;
  /** Header version (riscv); 0.0 for arm64, which has none. */
  readonly version: { readonly major: number; readonly minor: number };
  /** True when the image is also a PE file that EFI can start ("MZ"). */
  readonly isEfiStub: boolean;
}

/** How the kernel in a file is wrapped. */
export type KernelWrapping =
  | { readonly form: "image" }
  | { readonly form: "elf" }
  | { readonly form: "compressed"; readonly compression: KernelCompression; readonly payload: Uint8Array }
  /** `efi`: a PE file without an Image header, such as a unified kernel image. */
  | { readonly form: "efi" }
  | { readonly form: "unknown" };
export type KernelCompression = "gzip" | "zstd" | "xz";

/** Reads the header of a raw riscv or arm64 `Image`. Throws `FormatError`. */
export function parseKernelImage(file: Uint8Array): KernelImage {
  if (isRiscv(file)) {
    const header = decodeAt(RiscvHeader, file, 0, "kernel image");
    return {
      architecture: "riscv",
      ...placement(header.textOffset, header.imageLengthBytes),
      flags: header.flags,
      isBigEndian: (header.flags & 1n) !== 0n,
      version: { major: header.versionMajor, minor: header.versionMinor },
      isEfiStub: hasMagic(file, 0, "MZ"),
    };
  }
  if (hasMagic(file, ARM64_MAGIC_AT, "ARM\x64")) {
    const header = decodeAt(Arm64Header, file, 0, "kernel image");
    return {
      architecture: "arm64",
      ...placement(header.textOffset, header.imageLengthBytes),
      flags: header.flags,
      isBigEndian: (header.flags & 1n) !== 0n,
      version: { major: 0, minor: 0 },
      isEfiStub: hasMagic(file, 0, "MZ"),
    };
  }
  throw new FormatError("notThisFormat", `The kernel has no Image header; it looks like ${describe(file)}`);
}

/** Says what a kernel file is, from its first bytes. */
export function identifyKernel(file: Uint8Array): KernelWrapping {
  if (isRiscv(file) || hasMagic(file, ARM64_MAGIC_AT, "ARM\x64")) return { form: "image" };
  if (isElf(file)) return { form: "elf" };
  const compression = compressionOf(file);
  if (compression !== undefined) return { form: "compressed", compression, payload: file };
  if (!hasMagic(file, 0, "MZ")) return { form: "unknown" };
  if (!hasMagic(file, 4, "zimg")) return { form: "efi" };
  const header = decodeAt(ZbootHeader, file, 0, "kernel");
  const payload = sliceAt(file, header.payloadOffset, header.payloadLengthBytes, "EFI zboot kernel", "payload");
  const inner = compressionOf(payload);
  if (inner === undefined) {
    const name = textToNul(header.compression);
    throw new FormatError(
      "unsupported",
      `The EFI zboot kernel is compressed with "${name}"; gzip, zstd or xz would do`,
    );
  }
  return { form: "compressed", compression: inner, payload };
}

/** The kernel itself, an Image or an ELF file: unwrapped when the file is compressed, else the file. */
export async function unpackKernel(file: Uint8Array, decompress: DecompressPort): Promise<Uint8Array> {
  const wrapping = identifyKernel(file);
  if (wrapping.form === "compressed") {
    const limit = { maxBytes: MAX_KERNEL_BYTES };
    if (wrapping.compression === "gzip") return decompress.gunzip(wrapping.payload, limit);
    if (wrapping.compression === "zstd") return decompress.unzstd(wrapping.payload, limit);
    return decompress.unxz(wrapping.payload, limit);
  }
  if (wrapping.form === "image" || wrapping.form === "elf") return file;
  throw new FormatError(
    "notThisFormat",
    `The kernel is neither an Image nor an ELF file; it looks like ${describe(file)}`,
  );
}

/** The compression whose magic begins `file`. */
export function compressionOf(file: Uint8Array): KernelCompression | undefined {
  if (hasMagic(file, 0, "\x1f\x8b")) return "gzip";
  if (hasMagic(file, 0, "\x28\xb5\x2f\xfd")) return "zstd";
  if (hasMagic(file, 0, "\xfd7zXZ\0")) return "xz";
  return undefined;
}

function isRiscv(file: Uint8Array): boolean {
  // Headers before version 0.2 have only the first magic, later ones may have only the second.
  return hasMagic(file, RISCV_MAGIC_AT, "RISCV\0\0\0") || hasMagic(file, RISCV_MAGIC2_AT, "RSC\x05");
}

function placement(textOffset: bigint, imageLength: bigint): { textOffsetBytes: number; imageLengthBytes: number } {
  for (const value of [textOffset, imageLength]) {
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new FormatError("corrupt", `The kernel's header holds 0x${value.toString(16)} as an offset or length`);
    }
  }
  return { textOffsetBytes: Number(textOffset), imageLengthBytes: Number(imageLength) };
}

function describe(file: Uint8Array): string {
  if (file.length === 0) return "an empty file";
  if (isElf(file)) return "an ELF file";
  const compression = compressionOf(file);
  if (compression !== undefined) return `${compression} data`;
  if (hasMagic(file, 4, "zimg")) return "an EFI zboot kernel";
  if (hasMagic(file, 0, "MZ")) return "an EFI program of another kind";
  if (hasMagic(file, 514, "HdrS")) return "an x86 bzImage";
  if (hasMagic(file, 0, "070701")) return "a cpio archive (an initrd)";
  const first = Array.from(file.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return `a file of another format (it begins with ${first})`;
}
