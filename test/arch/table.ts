// A table of an instruction's operands and results becomes a loop in assembly: the rows are data, the instruction stands once.

export interface Row {
  /** Values of a1, a2 and a3, or of fa1, fa2 and fa3 for a floating-point instruction. */
  readonly operands: readonly bigint[];
  /** What a0, or fa0, then holds. */
  readonly result: bigint;
  /** What fflags then holds; not looked at when absent. */
  readonly flags?: number;
}

export interface Table {
  /** As the assembler knows it, with its registers: `add a0, a1, a2`. */
  readonly code: string;
  readonly rows: readonly Row[];
  /** Operands and result are in f registers of this width. */
  readonly operandBits?: 16 | 32 | 64;
  readonly resultIsFloat?: boolean;
  /** The dynamic rounding mode. */
  readonly rounding?: number;
}

const mask64 = (1n << 64n) - 1n;
const hex = (value: bigint): string => `0x${(value & mask64).toString(16)}`;

/** Rows in memory: operands, result, flags, each of 8 bytes. */
function rowText(row: Row, withFlags: boolean): string {
  const values = [...row.operands, row.result, ...(withFlags ? [BigInt(row.flags ?? 0)] : [])];
  return `  .quad ${values.map(hex).join(", ")}`;
}

function loopText(table: Table, number: number): string {
  const { rows, code, operandBits, resultIsFloat = false, rounding } = table;
  const first = rows[0]!;
  const withFlags = first.flags !== undefined;
  const count = first.operands.length;
  const stride = 8 * (count + 1 + (withFlags ? 1 : 0));
  const load = operandBits === undefined ? ["ld a"] : [{ 16: "flh", 32: "flw", 64: "fld" }[operandBits] + " fa"];
  return [
    `  case ${number} // ${code}`,
    ...(rounding === undefined ? [] : [`  fsrmi ${rounding}`]),
    `  la s2, rows${number}`,
    `  li s3, ${rows.length}`,
    `.Lnext${number}:`,
    ...first.operands.map((_, i) => `  ${load[0]}${i + 1}, ${8 * i}(s2)`),
    ...(withFlags ? ["  fsflags zero"] : []),
    ...code.split(";").map((line) => `  ${line.trim()}`),
    ...(resultIsFloat ? ["  fmv.x.d a0, fa0"] : []),
    `  ld a4, ${8 * count}(s2)`,
    "  expect_same a0, a4",
    ...(withFlags ? [`  ld a4, ${8 * count + 8}(s2)`, "  frflags a0", "  expect_same a0, a4"] : []),
    `  addi s2, s2, ${stride}`,
    "  addi s11, s11, 1",
    `  bltu s11, s3, .Lnext${number}`,
    `  .pushsection .body.data, "aw"`,
    `  .balign 8`,
    `rows${number}:`,
    ...rows.map((row) => rowText(row, withFlags)),
    "  .popsection",
  ].join("\n");
}

/** A program of all these tables. */
export function programOf(tables: readonly Table[]): string {
  return [
    `#include "arch.h"`,
    `  .section .body, "ax"`,
    "  .option norvc",
    "  .globl main",
    "main:",
    ...tables.map((table, i) => loopText(table, i + 1)),
    "  j pass",
    "",
  ].join("\n");
}
