// table: Zfa, additional floating-point instructions (unprivileged spec, Zfa).
import { i32, i64, imm, op, select, type Code, type Expr } from "../../../accel/index.ts";
import type { Instruction } from "../encoding.ts";
import { FpFast } from "../state.ts";
import {
  all,
  binaryOperands,
  bitsOf,
  compare,
  double,
  encode,
  half,
  has,
  knownRounding,
  minMax,
  needDirty,
  read,
  roundingMode,
  single,
  slow,
  write,
  type Format,
  type NativeFormat,
} from "./float-forms.ts";

const halfPrecision = ["zfa+zfh"];

/** fli: the constant is known when the instruction is decoded. */
function loadConstant(f: Format, extensions: readonly string[]): Instruction {
  return {
    name: `fli.${f.suffix}`,
    extensions,
    ...encode(0x1e, f, { rs2: 1, funct3: 0 }),
    operands: { dst: "f", imm: `fli.${f.suffix}` },
    assembly: "fd, constant",
    semantics: (c) => {
      needDirty(c);
      write(c, f, f.widthBits === 64 ? i64.shl(imm, i64.const(32)) : imm);
    },
  };
}

/** A value rounded to a whole one by the engine: to nearest even unless rm says otherwise. */
function rounded(f: NativeFormat, value: Expr): Expr {
  const by = (rm: number, name: "trunc" | "floor" | "ceil", otherwise: Expr): Expr =>
    select(i32.eq(roundingMode, i32.const(rm)), op(`${f.type}.${name}`, value), otherwise);
  return by(1, "trunc", by(2, "floor", by(3, "ceil", op(`${f.type}.nearest`, value))));
}

function round(name: "fround" | "froundnx", f: Format, rs2: number, semantics: (c: Code) => void): Instruction {
  return {
    name: `${name}.${f.suffix}`,
    extensions: f === half ? halfPrecision : f === double ? ["zfa+d"] : ["zfa"],
    ...encode(0x08, f, { rs2 }),
    operands: { dst: "f", src1: "f", imm: "fp" },
    assembly: "fd, fs1, rm",
    semantics,
  };
}

function roundNative(name: "fround" | "froundnx", f: NativeFormat, rs2: number): Instruction {
  const nearestMaxMagnitude = i32.eq(roundingMode, i32.const(4));
  return round(name, f, rs2, (c) => {
    const a = read(c, f, "src1");
    const bits = bitsOf(c, f, rounded(f, a.value));
    const isNumber = op<"i32">(`${f.type}.eq`, a.value, a.value);
    const quiet = name === "fround" ? i32.const(1) : has(FpFast.inexact);
    c.if(
      all(has(FpFast.dirty), knownRounding, i32.eqz(nearestMaxMagnitude), a.isBoxed, isNumber, quiet),
      () => write(c, f, bits),
      () => slow(c, `${name}.${f.suffix}`),
      true,
    );
  });
}

const ofFormat = (f: NativeFormat, extensions: readonly string[]): readonly Instruction[] => [
  loadConstant(f, extensions),
  minMax("fminm", f, extensions, 2),
  minMax("fmaxm", f, extensions, 3),
  roundNative("fround", f, 4),
  roundNative("froundnx", f, 5),
  compare("fleq", f, extensions, 4),
  compare("fltq", f, extensions, 5),
];

/** The same in half precision, where nothing has a fast path. */
const ofHalf: readonly Instruction[] = [
  loadConstant(half, halfPrecision),
  ...(["fminm", "fmaxm"] as const).map((name, i): Instruction => ({
    name: `${name}.h`,
    extensions: halfPrecision,
    ...encode(0x05, half, { funct3: 2 + i }),
    operands: binaryOperands,
    assembly: "fd, fs1, fs2",
    semantics: (c) => slow(c, `${name}.h`),
  })),
  round("fround", half, 4, (c) => slow(c, "fround.h")),
  round("froundnx", half, 5, (c) => slow(c, "froundnx.h")),
  ...(["fleq", "fltq"] as const).map((name, i): Instruction => ({
    name: `${name}.h`,
    extensions: halfPrecision,
    ...encode(0x14, half, { funct3: 4 + i }),
    operands: { ...binaryOperands, dst: "x" },
    assembly: "rd, fs1, fs2",
    semantics: (c) => slow(c, `${name}.h`),
  })),
];

export const zfa: readonly Instruction[] = [
  ...ofFormat(single, ["zfa"]),
  ...ofFormat(double, ["zfa+d"]),
  ...ofHalf,
  {
    // As JavaScript converts numbers; the rounding mode is fixed to "towards zero".
    name: "fcvtmod.w.d",
    extensions: ["zfa+d"],
    ...encode(0x18, double, { rs2: 8, funct3: 1 }),
    operands: { dst: "x", src1: "f", imm: "fp" },
    assembly: "rd, fs1",
    semantics: (c) => slow(c, "fcvtmod.w.d"),
  },
];
