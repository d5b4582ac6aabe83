// Operands of RISC-V instructions in IR terms.
import { extend32, i64, reg, type Code, type Expr } from "../../accel/index.ts";

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
export const low32 = (a: Expr<"i64">): Expr<"i64"> => i64.and(a, i64.big(0xffff_ffffn));
/** A shift amount: the low 6 bits. */
export const shamt63 = (by: Expr<"i64">): Expr<"i64"> => i64.and(by, i64.const(63));
