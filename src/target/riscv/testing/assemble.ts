// Encodes instructions for tests, from the same table that decodes them.
import { assert } from "../../../base/index.ts";
import { instructions } from "../instruction-set.ts";
import type { ImmediateKind } from "../encoding.ts";

export interface Operand {
  rd?: number;
  rs1?: number;
  rs2?: number;
  rs3?: number;
  imm?: number;
  /** Rounding mode of a floating-point instruction. */
  rm?: number;
  /** CSR number and, for its immediate forms, the 5-bit value in rs1. */
  csr?: number;
}

function place(kind: ImmediateKind | undefined, imm: number): number {
  const bits = (value: number, high: number, low: number, to: number): number =>
    ((value >>> low) & ((1 << (high - low + 1)) - 1)) << to;
  switch (kind) {
    case "i":
      return bits(imm, 11, 0, 20);
    case "s":
      return bits(imm, 11, 5, 25) | bits(imm, 4, 0, 7);
    case "b":
      return bits(imm, 12, 12, 31) | bits(imm, 10, 5, 25) | bits(imm, 4, 1, 8) | bits(imm, 11, 11, 7);
    case "u":
      return imm & ~0xfff;
    case "j":
      return bits(imm, 20, 20, 31) | bits(imm, 10, 1, 21) | bits(imm, 11, 11, 20) | bits(imm, 19, 12, 12);
    case "shamt6":
    case "shamt5":
    case "rnum":
      return imm << 20;
    case "bs":
      return imm << 30;
    default:
      return 0;
  }
}

/** The word of one instruction. */
export function assemble(name: string, o: Operand = {}): number {
  const found = instructions.find((i) => i.name === name);
  assert(found !== undefined, "a test names an instruction of the table", name);
  const csr = o.csr === undefined ? 0 : o.csr << 20;
  const rm = o.rm === undefined ? 0 : o.rm << 12;
  const fields =
    ((o.rd ?? 0) << 7) |
    ((o.rs1 ?? 0) << 15) |
    ((o.rs2 ?? 0) << 20) |
    ((o.rs3 ?? 0) << 27) |
    place(found.operands.imm, o.imm ?? 0) |
    csr |
    rm;
  // An operand that the instruction does not have stays out of its fixed bits.
  return found.match | (fields & ~found.mask);
}
