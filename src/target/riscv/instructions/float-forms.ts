// The shapes that floating-point instructions come in (unprivileged spec §20 to §22), for the tables of every extension.
// Values are tried in the engine's own operations, for formats that it has; the rest goes to `fp/execute.ts`.
import {
  extendU,
  field,
  i32,
  i64,
  imm,
  imm32,
  op,
  reg,
  select,
  wrap,
  type Code,
  type Expr,
  type Slot,
  type Temp,
} from "../../../accel/index.ts";
import type { Instruction, Operands } from "../encoding.ts";
import { fpOperation, type FpOperationName } from "../fp/operations.ts";
import { rs1, setRd } from "../operands.ts";
import { FpFast } from "../state.ts";

export type Float = "f32" | "f64";

export interface Format {
  readonly suffix: "h" | "s" | "d";
  /** The field fmt of an encoding. */
  readonly code: number;
  readonly widthBits: 16 | 32 | 64;
  readonly canonicalNaN: bigint;
}

/** A format that WebAssembly computes in. */
export interface NativeFormat extends Format {
  readonly suffix: "s" | "d";
  readonly extension: "f" | "d";
  readonly type: Float;
}

export const half: Format = { suffix: "h", code: 2, widthBits: 16, canonicalNaN: 0x7e00n };
export const single: NativeFormat = {
  suffix: "s",
  extension: "f",
  code: 0,
  widthBits: 32,
  type: "f32",
  canonicalNaN: 0x7fc0_0000n,
};
export const double: NativeFormat = {
  suffix: "d",
  extension: "d",
  code: 1,
  widthBits: 64,
  type: "f64",
  canonicalNaN: 0x7ff8_0000_0000_0000n,
};

const opFp = 0x53;

/** An instruction of OP-FP, by funct5 and what else is fixed. */
export function encode(
  funct5: number,
  f: Format,
  fixed: { rs2?: number; funct3?: number } = {},
): { match: number; mask: number } {
  let match = opFp | (f.code << 25) | (funct5 << 27);
  let mask = 0x7f | (3 << 25) | (0x1f << 27);
  if (fixed.rs2 !== undefined) {
    match |= fixed.rs2 << 20;
    mask |= 0x1f << 20;
  }
  if (fixed.funct3 !== undefined) {
    match |= fixed.funct3 << 12;
    mask |= 7 << 12;
  }
  return { match, mask };
}

// What is known of the state.

const fast = field("i32", "fpFast");
export const has = (bits: number): Expr<"i32"> => i32.eq(i32.and(fast, i32.const(bits)), i32.const(bits));
/** The bits that this instruction's rounding mode asks for. */
export const ready: Expr<"i32"> = i32.eq(i32.and(fast, i32.and(imm32, i32.const(31))), i32.and(imm32, i32.const(31)));
/** rm is static and valid, or dynamic with the mode that is known to be valid. */
export const roundingMode: Expr<"i32"> = i32.and(i32.shrU(imm32, i32.const(12)), i32.const(7));
export const knownRounding: Expr<"i32"> = i32.or(
  i32.ltU(roundingMode, i32.const(5)),
  i32.and(i32.eq(roundingMode, i32.const(7)), has(FpFast.nearest)),
);
export const all = (...conditions: readonly Expr<"i32">[]): Expr<"i32"> => conditions.reduce((a, b) => i32.and(a, b));

export function slow(c: Code, name: FpOperationName): void {
  c.setField("fpOp", i32.const(fpOperation(name)));
  c.helper("fp", imm32);
}

export function needDirty(c: Code): void {
  c.if(i32.eqz(has(FpFast.dirty)), () => c.helper("fpDirty", imm32), undefined, false);
}
export function needOn(c: Code): void {
  c.if(i32.eqz(has(FpFast.on)), () => c.helper("fpOn", imm32), undefined, false);
}

// Registers.

/** Narrow values have ones above them in a register. */
const boxBits = (f: Format): bigint => -1n << BigInt(f.widthBits);
const box = (f: Format, bits: Expr<"i64">): Expr<"i64"> =>
  f.widthBits === 64 ? bits : i64.or(bits, i64.big(boxBits(f)));
const isBoxed = (f: Format, bits: Expr<"i64">): Expr<"i32"> =>
  i64.eq(i64.shrS(bits, i64.const(f.widthBits)), i64.const(-1));

/** A register operand: its bits, its value, and for singles whether it is properly boxed. */
export interface Operand {
  readonly bits: Temp<"i64">;
  readonly value: Temp<Float>;
  readonly isBoxed: Expr<"i32">;
}

export function read(c: Code, f: NativeFormat, slot: Slot): Operand {
  const bits = c.let(reg("i64", slot));
  if (f.type === "f64") return { bits, value: c.let(op<"f64">("f64.reinterpret_i64", bits)), isBoxed: i32.const(1) };
  return { bits, value: c.let(op<"f32">("f32.reinterpret_i32", wrap(bits))), isBoxed: isBoxed(f, bits) };
}

/** The bits of a computed value as i64: singles are not boxed yet. */
export function bitsOf(c: Code, f: NativeFormat, value: Expr): Temp<"i64"> {
  return c.let(
    f.type === "f64" ? op<"i64">("i64.reinterpret_f64", value) : extendU(op<"i32">("i32.reinterpret_f32", value)),
  );
}

export function write(c: Code, f: Format, bits: Expr<"i64">): void {
  c.setReg("dst", box(f, bits));
}

export const magnitude = (f: Format, bits: Expr<"i64">): Expr<"i64"> =>
  i64.and(bits, i64.big((1n << BigInt(f.widthBits - 1)) - 1n));

/** The bits of a register's value: the canonical NaN when it is not boxed (§20.2). */
function unboxed(c: Code, f: Format, slot: Slot): Temp<"i64"> {
  const bits = c.let(reg("i64", slot));
  if (f.widthBits === 64) return bits;
  const value = i64.and(bits, i64.big((1n << BigInt(f.widthBits)) - 1n));
  return c.let(select(isBoxed(f, bits), value, i64.big(f.canonicalNaN)));
}

// Makers of instructions.

export const binaryOperands: Operands = { dst: "f", src1: "f", src2: "f", imm: "fp" };

/** fd = f(fs1, fs2) without rounding, for any format. */
type SignOf = (a: Expr<"i64">, b: Expr<"i64">) => Expr<"i64">;

function signInjection(
  name: string,
  f: Format,
  extensions: readonly string[],
  funct3: number,
  sign: SignOf,
): Instruction {
  return {
    name: `${name}.${f.suffix}`,
    extensions,
    ...encode(0x04, f, { funct3 }),
    operands: binaryOperands,
    assembly: "fd, fs1, fs2",
    semantics: (c) => {
      needDirty(c);
      const a = unboxed(c, f, "src1");
      const b = unboxed(c, f, "src2");
      const signBit = i64.big(1n << BigInt(f.widthBits - 1));
      write(c, f, i64.or(magnitude(f, a), i64.and(sign(a, b), signBit)));
    },
  };
}

/** fsgnj, fsgnjn and fsgnjx. */
export function signInjections(f: Format, extensions: readonly string[]): readonly Instruction[] {
  return [
    signInjection("fsgnj", f, extensions, 0, (_a, b) => b),
    signInjection("fsgnjn", f, extensions, 1, (_a, b) => i64.xor(b, i64.const(-1))),
    signInjection("fsgnjx", f, extensions, 2, (a, b) => i64.xor(a, b)),
  ];
}

/** The smaller or greater operand; whatever involves a NaN or two zeros is for the slow path. */
export function minMax(
  name: "fmin" | "fmax" | "fminm" | "fmaxm",
  f: NativeFormat,
  extensions: readonly string[],
  funct3: number,
): Instruction {
  const full = `${name}.${f.suffix}` as const;
  const isMinimum = name.startsWith("fmin");
  const first = isMinimum ? "lt" : "gt";
  const second = isMinimum ? "gt" : "lt";
  return {
    name: full,
    extensions,
    ...encode(0x05, f, { funct3 }),
    operands: binaryOperands,
    assembly: "fd, fs1, fs2",
    semantics: (c) => {
      const a = read(c, f, "src1");
      const b = read(c, f, "src2");
      const takeA = c.let(i32.or(op<"i32">(`${f.type}.${first}`, a.value, b.value), sameAndOrdered(f, a, b)));
      const takeB = op<"i32">(`${f.type}.${second}`, a.value, b.value);
      c.if(
        all(has(FpFast.dirty), a.isBoxed, b.isBoxed, i32.or(takeA, takeB)),
        () => c.setReg("dst", select(takeA, a.bits, b.bits)),
        () => slow(c, full),
        true,
      );
    },
  };
}

/** Equal bits and no NaN: either will do. */
const sameAndOrdered = (f: NativeFormat, a: Operand, b: Operand): Expr<"i32"> =>
  i32.and(i64.eq(a.bits, b.bits), op<"i32">(`${f.type}.eq`, a.value, b.value));

/** rd = fs1 ? fs2; NaNs are for the slow path. */
export function compare(
  name: "feq" | "flt" | "fle" | "fltq" | "fleq",
  f: NativeFormat,
  extensions: readonly string[],
  funct3: number,
): Instruction {
  const full = `${name}.${f.suffix}` as const;
  const relation = name.slice(1, 3) as "eq" | "lt" | "le";
  // Numbers are one or the other; of two NaNs neither holds.
  const [one, other] = relation === "le" ? (["le", "gt"] as const) : (["lt", "ge"] as const);
  return {
    name: full,
    extensions,
    ...encode(0x14, f, { funct3 }),
    operands: { dst: "x", src1: "f", src2: "f", imm: "fp" },
    assembly: "rd, fs1, fs2",
    semantics: (c) => {
      const a = read(c, f, "src1");
      const b = read(c, f, "src2");
      const ordered = i32.or(
        op<"i32">(`${f.type}.${one}`, a.value, b.value),
        op<"i32">(`${f.type}.${other}`, a.value, b.value),
      );
      c.if(
        all(has(FpFast.on), a.isBoxed, b.isBoxed, ordered),
        () => setRd(c, extendU(op(`${f.type}.${relation}`, a.value, b.value))),
        () => slow(c, full),
        true,
      );
    },
  };
}

/** Loads, stores and moves between the register files. */
export function transfer(f: Format, extensions: readonly string[]): readonly Instruction[] {
  const width = (f.widthBits / 8) as 2 | 4 | 8;
  const letter = f.suffix === "s" ? "w" : f.suffix;
  const f3 = f.suffix === "h" ? 1 : f.suffix === "s" ? 2 : 3;
  const mask = 0x7f | (7 << 12);
  const address = i64.add(rs1, imm);
  return [
    {
      name: `fl${letter}`,
      extensions,
      match: 0x07 | (f3 << 12),
      mask,
      operands: { dst: "f", src1: "x", imm: "i" },
      assembly: "fd, mem",
      semantics: (c) => {
        needOn(c);
        const value = c.load(address, width, false);
        needDirty(c);
        write(c, f, value);
      },
    },
    {
      name: `fs${letter}`,
      extensions,
      match: 0x27 | (f3 << 12),
      mask,
      operands: { src1: "x", src2: "f", imm: "s" },
      assembly: "fs2, mem",
      semantics: (c) => {
        needOn(c);
        c.store(address, width, reg("i64", "src2"));
      },
    },
    {
      name: `fmv.x.${letter}`,
      extensions,
      ...encode(0x1c, f, { rs2: 0, funct3: 0 }),
      operands: { dst: "x", src1: "f", imm: "fp" },
      assembly: "rd, fs1",
      semantics: (c) => {
        needOn(c);
        const bits = reg("i64", "src1");
        setRd(c, f.widthBits === 64 ? bits : op(`i64.extend${f.widthBits}_s`, bits));
      },
    },
    {
      name: `fmv.${letter}.x`,
      extensions,
      ...encode(0x1e, f, { rs2: 0, funct3: 0 }),
      operands: { dst: "f", src1: "x", imm: "fp" },
      assembly: "fd, rs1",
      semantics: (c) => {
        needDirty(c);
        write(c, f, rs1);
      },
    },
  ];
}
