// APLIC: numbers and formats (RISC-V Advanced Interrupt Architecture 1.0, chapter 4).
import { bit, bits, type BitField } from "../../../base/index.ts";

/** Bytes of a domain's registers without its IDC structures, and of each of those. */
export const IDC_BASE = 0x4000;
export const IDC_BYTES = 32;
export const SETIPNUM_LE = 0x2000;
export const SETIPNUM_BE = 0x2004;

/** `fixed` is 0x80, which tells the byte order that the register is read in (§4.5.1). */
export const DOMAINCFG_FIXED = 0x8000_0000;
export const domaincfg: Readonly<Record<"bigEndian" | "msiDelivery" | "interruptEnable" | "fixed", BitField>> = {
  bigEndian: bit(0),
  msiDelivery: bit(2),
  interruptEnable: bit(8),
  fixed: bits(31, 24),
};

/** sourcecfg (§4.5.2). */
export const SOURCE_DELEGATED = 0x400;
export const SOURCE_CHILD_MASK = 0x3ff;
export const SOURCE_MODE_MASK = 7;
export const SourceMode = { inactive: 0, detached: 1, edgeRise: 4, edgeFall: 5, levelHigh: 6, levelLow: 7 } as const;

/** What becomes of a written mode: the reserved ones are inactive. */
export function legalMode(mode: number): number {
  return mode === 2 || mode === 3 ? SourceMode.inactive : mode;
}

export function isInverted(mode: number): boolean {
  return mode === SourceMode.edgeFall || mode === SourceMode.levelLow;
}

export function isLevel(mode: number): boolean {
  return mode >= SourceMode.levelHigh;
}

/** target (§4.5.16): the hart is in the same place in both delivery modes. */
export const TARGET_HART_SHIFT = 18;
export const TARGET_HART_MASK = 0xfffc_0000;
/** Three bits of priority (IPRIOLEN), as QEMU's virt board configures it. */
export const APLIC_PRIORITY_MASK = 7;
export const TARGET_IDENTITY_MASK = 0x7ff;

/** mmsiaddrcfgh (§4.5.3); smsiaddrcfgh has only `lowShift` and the page number. */
export const msiaddrcfgh: Readonly<
  Record<"basePage" | "lowWidth" | "highWidth" | "lowShift" | "highShift" | "lock", BitField>
> = {
  basePage: bits(11, 0),
  lowWidth: bits(15, 12),
  highWidth: bits(18, 16),
  lowShift: bits(22, 20),
  highShift: bits(28, 24),
  lock: bit(31),
};
export const smsiaddrcfgh: Readonly<Record<"basePage" | "lowShift", BitField>> = {
  basePage: msiaddrcfgh.basePage,
  lowShift: msiaddrcfgh.lowShift,
};

/** How hart indexes become addresses of interrupt files; widths and shifts in bits. */
export interface MsiAddressing {
  readonly basePage: bigint;
  readonly lowShift: number;
  readonly lowWidth: number;
  readonly highShift: number;
  readonly highWidth: number;
}

/** Where messages for the hart with this index go (§4.9.1). There are no guest interrupt files. */
export function msiAddress(how: MsiAddressing, hartIndex: number): bigint {
  const index = BigInt(hartIndex);
  const ones = (width: number): bigint => (1n << BigInt(width)) - 1n;
  const group = (index >> BigInt(how.lowWidth)) & ones(how.highWidth);
  const hart = index & ones(how.lowWidth);
  const page = how.basePage | (group << BigInt(how.highShift + 12)) | (hart << BigInt(how.lowShift));
  return page << 12n;
}
