// Encodings: how an instruction states its operands, and how they are read from its bits (unprivileged spec §2.2, §2.3).
import type { Code } from "../../accel/index.ts";
import { floatConstant } from "./fp/constants.ts";
import { FpFast } from "./state.ts";

/**
 * Where the immediate of a 32-bit instruction comes from. `raw` is the instruction itself, `fp` see `fpImmediate`, `fli.`
 * the upper 32 bits (of narrower formats: all) of the constant that the field rs1 names, `rnum` the four bits of a round, `bs` eight times the two bits of a byte's number.
 */
export type ImmediateKind =
  | ("i" | "s" | "b" | "u" | "j" | "shamt6" | "shamt5" | "raw" | "fp")
  | ("fli.h" | "fli.s" | "fli.d" | "rnum" | "bs");
export type RegisterClass = "x" | "f";

export interface Operands {
  readonly dst?: RegisterClass;
  readonly src1?: RegisterClass;
  readonly src2?: RegisterClass;
  /** `rd`: the integer destination, for instructions that read it too. */
  readonly src3?: RegisterClass | "rd";
  readonly imm?: ImmediateKind;
}

/** One 32-bit instruction: everything that decoder, interpreter, translator and disassembler know of it. */
export interface Instruction {
  readonly name: string;
  /** What assembly text calls it, where that is not its name: a special case of another. */
  readonly mnemonic?: string;
  /** The extension that has it, lower case as in the ISA string; several when any of them does. */
  readonly extensions: readonly string[];
  readonly match: number;
  readonly mask: number;
  readonly operands: Operands;
  /** Operand part of its assembly text: rd, rs1, rs2, rs3, fd, fs1, fs2, fs3, imm, target, mem, csr, zimm, rm, fence, constant, bs. */
  readonly assembly: string;
  /** Encodings within match and mask that are reserved. */
  readonly reserved?: (word: number) => boolean;
  readonly semantics: (code: Code) => void;
}

/** Operand values of a decoded instruction. */
export interface DecodedOperands {
  readonly rd: number;
  readonly rs1: number;
  readonly rs2: number;
  readonly rs3: number;
  readonly imm: number;
}

/** One 16-bit form: its operands in terms of the 32-bit instruction that it stands for. */
export interface CompressedForm {
  readonly name: string;
  readonly extensions: readonly string[];
  readonly match: number;
  readonly mask: number;
  readonly expandsTo: string;
  readonly expand: (half: number) => Partial<DecodedOperands>;
  /** Encodings within match and mask that are reserved. */
  readonly reserved?: (half: number) => boolean;
}

export const rd = (word: number): number => (word >>> 7) & 31;
export const rs1 = (word: number): number => (word >>> 15) & 31;
export const rs2 = (word: number): number => (word >>> 20) & 31;
export const rs3 = (word: number): number => (word >>> 27) & 31;
export const funct3 = (word: number): number => (word >>> 12) & 7;
export const csrNumber = (word: number): number => word >>> 20;

/** The immediate of `word`, sign-extended to 32 bits. */
export function immediate(kind: ImmediateKind | undefined, word: number): number {
  switch (kind) {
    case "i":
      return word >> 20;
    case "s":
      return ((word >> 25) << 5) | ((word >>> 7) & 31);
    case "b":
      return (
        ((word >> 31) << 12) | (((word >>> 7) & 1) << 11) | (((word >>> 25) & 63) << 5) | (((word >>> 8) & 15) << 1)
      );
    case "u":
      return word & ~0xfff;
    case "j":
      return ((word >> 31) << 20) | (word & 0xff000) | (((word >>> 20) & 1) << 11) | (((word >>> 21) & 0x3ff) << 1);
    case "shamt6":
      return (word >>> 20) & 63;
    case "shamt5":
      return (word >>> 20) & 31;
    case "raw":
      return word | 0;
    case "fp":
      return fpImmediate(word);
    case "fli.h":
    case "fli.s":
    case "fli.d":
      return floatConstant(kind, rs1(word));
    case "rnum":
      return (word >>> 20) & 15;
    case "bs":
      return (word >>> 30) * 8;
    case undefined:
      return 0;
  }
}

/**
 * Floating-point instructions carry what their fast path takes for granted in the low five bits (`FpFast`), which the
 * handler's own opcode makes redundant, under the rest of the instruction: the slow path reads its operands from there.
 */
function fpImmediate(word: number): number {
  const rounding = funct3(word);
  const wanted =
    rounding === 0
      ? FpFast.dirty | FpFast.inexact
      : rounding === 7
        ? FpFast.dirty | FpFast.inexact | FpFast.nearest
        : FpFast.never;
  return (word & ~0x1f) | wanted;
}

/** Bits of a format: opcode, and where given funct3 and funct7. */
export interface Pattern {
  readonly match: number;
  readonly mask: number;
}

export function pattern(opcode: number, f3?: number, f7?: number): Pattern {
  let match = opcode;
  let mask = 0x7f;
  if (f3 !== undefined) {
    match |= f3 << 12;
    mask |= 7 << 12;
  }
  if (f7 !== undefined) {
    match |= f7 << 25;
    mask |= 0x7f << 25;
  }
  return { match: match | 0, mask: mask | 0 };
}

/** One exact word. */
export function exactly(word: number): Pattern {
  return { match: word | 0, mask: -1 };
}
