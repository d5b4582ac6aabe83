// Operands of RISC-V instructions in IR terms.
import { extend32, extendU, reg, wrap, type Code, type Expr } from "../../accel/index.ts";

export const rs1: Expr<"i64"> = reg("i64", "src1");
export const rs2: Expr<"i64"> = reg("i64", "src2");

export function setRd(code: Code, value: Expr<"i64">): void {
  code.setReg("dst", value);
}

/** Writes the low 32 bits of `value`, sign-extended. */
export function setRdWord(code: Code, value: Expr<"i64">): void {
  code.setReg("dst", extend32(value));
}

/** The low 32 bits, zero-extended. */
export const low32 = (a: Expr<"i64">): Expr<"i64"> => extendU(wrap(a));
