// table: RV64F and RV64D (unprivileged spec §20, §21), one row for both formats.
// Each instruction tries the engine's own operation and keeps its result where that cannot differ from the exact one in
// value or flags (`FpFast`); everything else goes to `fp/execute.ts`.
import {
  call,
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

type Float = "f32" | "f64";

interface Format {
  readonly suffix: "s" | "d";
  readonly extension: "f" | "d";
  readonly code: number;
  readonly type: Float;
}
const single: Format = { suffix: "s", extension: "f", code: 0, type: "f32" };
const double: Format = { suffix: "d", extension: "d", code: 1, type: "f64" };

const opFp = 0x53;
const boxed = -1n << 32n;

const fast = field("i32", "fpFast");
const has = (bits: number): Expr<"i32"> => i32.eq(i32.and(fast, i32.const(bits)), i32.const(bits));
/** The bits that this instruction's rounding mode asks for. */
const ready: Expr<"i32"> = i32.eq(i32.and(fast, i32.and(imm32, i32.const(31))), i32.and(imm32, i32.const(31)));
const all = (...conditions: readonly Expr<"i32">[]): Expr<"i32"> => conditions.reduce((a, b) => i32.and(a, b));

function slow(c: Code, name: FpOperationName): void {
  c.setField("fpOp", i32.const(fpOperation(name)));
  c.helper("fp", imm32);
}

/** A register operand: its bits, its value, and for singles whether it is properly boxed. */
interface Operand {
  readonly bits: Temp<"i64">;
  readonly value: Temp<Float>;
  readonly isBoxed: Expr<"i32">;
}

function read(c: Code, f: Format, slot: Slot): Operand {
  const bits = c.let(reg("i64", slot));
  if (f.type === "f64") return { bits, value: c.let(op<"f64">("f64.reinterpret_i64", bits)), isBoxed: i32.const(1) };
  return {
    bits,
    value: c.let(op<"f32">("f32.reinterpret_i32", wrap(bits))),
    isBoxed: i64.eq(i64.shrS(bits, i64.const(32)), i64.const(-1)),
  };
}

/** The bits of a computed value as i64: singles are not boxed yet. */
function bitsOf(c: Code, f: Format, value: Expr): Temp<"i64"> {
  return c.let(
    f.type === "f64" ? op<"i64">("i64.reinterpret_f64", value) : extendU(op<"i32">("i32.reinterpret_f32", value)),
  );
}

const magnitudeMask = (f: Format): bigint => (f.type === "f64" ? (1n << 63n) - 1n : (1n << 31n) - 1n);
const magnitude = (f: Format, bits: Expr<"i64">): Expr<"i64"> => i64.and(bits, i64.big(magnitudeMask(f)));
const isZero = (f: Format, bits: Expr<"i64">): Expr<"i32"> => i64.eqz(magnitude(f, bits));
const infinity = (f: Format): bigint => (f.type === "f64" ? 0x7ffn << 52n : 0xffn << 23n);
const isFinite = (f: Format, bits: Expr<"i64">): Expr<"i32"> => i64.ltU(magnitude(f, bits), i64.big(infinity(f)));

/** Finite and greater in magnitude than the smallest normal, so neither tiny before rounding nor overflowed. */
function isPlain(f: Format, bits: Expr<"i64">): Expr<"i32"> {
  const aboveSmallest = (f.type === "f64" ? 1n << 52n : 1n << 23n) + 1n;
  return i64.ltU(i64.sub(magnitude(f, bits), i64.big(aboveSmallest)), i64.big(infinity(f) - aboveSmallest));
}

function write(c: Code, f: Format, bits: Expr<"i64">): void {
  c.setReg("dst", f.type === "f64" ? bits : i64.or(bits, i64.big(boxed)));
}

/**
 * Keeps `bits` when the operation was ready for it and the result is plain, or `exactZero` says that a zero is exact.
 */
function keepOrSlow(
  c: Code,
  f: Format,
  bits: Temp<"i64">,
  options: { usable: Expr<"i32">; exactZero: Expr<"i32">; name: FpOperationName },
): void {
  c.if(
    all(options.usable, i32.or(isPlain(f, bits), i32.and(isZero(f, bits), options.exactZero))),
    () => write(c, f, bits),
    () => slow(c, options.name),
    true,
  );
}

function encode(
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

const binaryOperands: Operands = { dst: "f", src1: "f", src2: "f", imm: "fp" };

type Zero = (f: Format, a: Operand, b: Operand) => Expr<"i32">;

function arithmetic(name: "fadd" | "fsub" | "fmul" | "fdiv", f: Format, funct5: number, exactZero: Zero): Instruction {
  const full = `${name}.${f.suffix}` as FpOperationName;
  return {
    name: full,
    extensions: [f.extension],
    ...encode(funct5, f),
    operands: binaryOperands,
    assembly: "fd, fs1, fs2, rm",
    semantics: (c) => {
      const a = read(c, f, "src1");
      const b = read(c, f, "src2");
      const native = `${f.type}.${name.slice(1) as "add" | "sub" | "mul" | "div"}` as const;
      const bits = bitsOf(c, f, op(native, a.value, b.value));
      keepOrSlow(c, f, bits, { usable: all(ready, a.isBoxed, b.isBoxed), exactZero: exactZero(f, a, b), name: full });
    },
  };
}

/** A sum is zero only exactly, as long as nothing infinite took part. */
const sumZero: Zero = (f, a) => isFinite(f, a.bits);
const productZero: Zero = (f, a, b) => i32.or(isZero(f, a.bits), isZero(f, b.bits));
const quotientZero: Zero = (f, a) => isZero(f, a.bits);

function squareRoot(f: Format): Instruction {
  const name = `fsqrt.${f.suffix}` as const;
  return {
    name,
    extensions: [f.extension],
    ...encode(0x0b, f, { rs2: 0 }),
    operands: { dst: "f", src1: "f", imm: "fp" },
    assembly: "fd, fs1, rm",
    semantics: (c) => {
      const a = read(c, f, "src1");
      const bits = bitsOf(c, f, op(`${f.type}.sqrt`, a.value));
      keepOrSlow(c, f, bits, { usable: all(ready, a.isBoxed), exactZero: i32.const(1), name });
    },
  };
}

/** ±(a × b) ± c with one rounding; negating an operand is exact. */
function multiplyAdd(
  name: "fmadd" | "fmsub" | "fnmsub" | "fnmadd",
  f: Format,
  opcode: number,
  negate: { product: boolean; addend: boolean },
): Instruction {
  const full = `${name}.${f.suffix}` as FpOperationName;
  const signed = (value: Expr, negative: boolean): Expr => (negative ? op(`${f.type}.neg`, value) : value);
  return {
    name: full,
    extensions: [f.extension],
    match: opcode | (f.code << 25),
    mask: 0x7f | (3 << 25),
    operands: { dst: "f", src1: "f", src2: "f", src3: "f", imm: "fp" },
    assembly: "fd, fs1, fs2, fs3, rm",
    semantics: (c) => {
      const a = read(c, f, "src1");
      const b = read(c, f, "src2");
      const addend = read(c, f, "src3");
      const fused = call<Float>(
        f.type,
        f.type === "f64" ? "fma64" : "fma32",
        signed(a.value, negate.product),
        b.value,
        signed(addend.value, negate.addend),
      );
      const bits = bitsOf(c, f, fused);
      keepOrSlow(c, f, bits, {
        usable: all(ready, a.isBoxed, b.isBoxed, addend.isBoxed),
        exactZero: productZero(f, a, b),
        name: full,
      });
    },
  };
}

const canonicalSingle = 0x7fc00000n;
/** The bits of a single, or the canonical NaN when it is not boxed (§20.2). */
const unboxed = (a: Operand): Expr<"i64"> =>
  select(a.isBoxed, i64.and(a.bits, i64.big(0xffff_ffffn)), i64.big(canonicalSingle));

function needDirty(c: Code): void {
  c.if(i32.eqz(has(FpFast.dirty)), () => c.helper("fpDirty", imm32), undefined, false);
}
function needOn(c: Code): void {
  c.if(i32.eqz(has(FpFast.on)), () => c.helper("fpOn", imm32), undefined, false);
}

function signInjection(
  name: string,
  f: Format,
  funct3: number,
  sign: (a: Expr<"i64">, b: Expr<"i64">) => Expr<"i64">,
): Instruction {
  return {
    name: `${name}.${f.suffix}`,
    extensions: [f.extension],
    ...encode(0x04, f, { funct3 }),
    operands: binaryOperands,
    assembly: "fd, fs1, fs2",
    semantics: (c) => {
      needDirty(c);
      const one = read(c, f, "src1");
      const two = read(c, f, "src2");
      const a = c.let(f.type === "f64" ? one.bits : unboxed(one));
      const b = c.let(f.type === "f64" ? two.bits : unboxed(two));
      const signBit = i64.big(magnitudeMask(f) + 1n);
      write(c, f, i64.or(magnitude(f, a), i64.and(sign(a, b), signBit)));
    },
  };
}

function minMax(name: "fmin" | "fmax", f: Format, funct3: number): Instruction {
  const full = `${name}.${f.suffix}` as FpOperationName;
  const first = name === "fmin" ? "lt" : "gt";
  const second = name === "fmin" ? "gt" : "lt";
  return {
    name: full,
    extensions: [f.extension],
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
const sameAndOrdered = (f: Format, a: Operand, b: Operand): Expr<"i32"> =>
  i32.and(i64.eq(a.bits, b.bits), op<"i32">(`${f.type}.eq`, a.value, b.value));

function compare(name: "feq" | "flt" | "fle", f: Format, funct3: number): Instruction {
  const full = `${name}.${f.suffix}` as FpOperationName;
  return {
    name: full,
    extensions: [f.extension],
    ...encode(0x14, f, { funct3 }),
    operands: { dst: "x", src1: "f", src2: "f", imm: "fp" },
    assembly: "rd, fs1, fs2",
    semantics: (c) => {
      const a = read(c, f, "src1");
      const b = read(c, f, "src2");
      const ordered = i32.and(op<"i32">(`${f.type}.eq`, a.value, a.value), op<"i32">(`${f.type}.eq`, b.value, b.value));
      c.if(
        all(has(FpFast.on), a.isBoxed, b.isBoxed, ordered),
        () => setRd(c, extendU(op(`${f.type}.${name.slice(1) as "eq" | "lt" | "le"}`, a.value, b.value))),
        () => slow(c, full),
        true,
      );
    },
  };
}

interface IntegerFormat {
  readonly suffix: "w" | "wu" | "l" | "lu";
  readonly rs2: number;
  readonly native: `${"i32" | "i64"}_${"s" | "u"}`;
  /** What truncated values must lie in: [least, past). */
  readonly least: number;
  readonly past: number;
}
const integers: readonly IntegerFormat[] = [
  { suffix: "w", rs2: 0, native: "i32_s", least: -(2 ** 31), past: 2 ** 31 },
  { suffix: "wu", rs2: 1, native: "i32_u", least: 0, past: 2 ** 32 },
  { suffix: "l", rs2: 2, native: "i64_s", least: -(2 ** 63), past: 2 ** 63 },
  { suffix: "lu", rs2: 3, native: "i64_u", least: 0, past: 2 ** 64 },
];

/** From integers: only the rounding can matter, and 32 bits always fit into a double. */
function fromInteger(f: Format, from: IntegerFormat): Instruction {
  const name = `fcvt.${f.suffix}.${from.suffix}` as const;
  const word = from.native.startsWith("i32");
  const exact = word && f.type === "f64";
  return {
    name,
    extensions: [f.extension],
    ...encode(0x1a, f, { rs2: from.rs2 }),
    operands: { dst: "f", src1: "x", imm: "fp" },
    assembly: "fd, rs1, rm",
    semantics: (c) => {
      const value = op<Float>(`${f.type}.convert_${from.native}`, word ? wrap(rs1) : rs1);
      const bits = bitsOf(c, f, value);
      c.if(
        exact ? i32.and(has(FpFast.dirty), knownRounding) : ready,
        () => write(c, f, bits),
        () => slow(c, name),
        true,
      );
    },
  };
}

/** rm is static and valid, or dynamic with the mode that is known to be valid. */
const roundingMode: Expr<"i32"> = i32.and(i32.shrU(imm32, i32.const(12)), i32.const(7));
const knownRounding: Expr<"i32"> = i32.or(
  i32.ltU(roundingMode, i32.const(5)),
  i32.and(i32.eq(roundingMode, i32.const(7)), has(FpFast.nearest)),
);

/** To integers, towards zero as C casts do; other modes are for the slow path. */
function toInteger(f: Format, to: IntegerFormat): Instruction {
  const name = `fcvt.${to.suffix}.${f.suffix}` as const;
  return {
    name,
    extensions: [f.extension],
    ...encode(0x18, f, { rs2: to.rs2 }),
    operands: { dst: "x", src1: "f", imm: "fp" },
    assembly: "rd, fs1, rm",
    semantics: (c) => {
      const a = read(c, f, "src1");
      const whole = c.let(op<Float>(`${f.type}.trunc`, a.value));
      const constant = (value: number): Expr<Float> => ({ kind: "const", type: f.type, value });
      const quiet = i32.or(op<"i32">(`${f.type}.eq`, whole, a.value), has(FpFast.inexact));
      const inRange = i32.and(
        op<"i32">(`${f.type}.ge`, whole, constant(to.least)),
        op<"i32">(`${f.type}.lt`, whole, constant(to.past)),
      );
      const [type, sign] = to.native.split("_") as ["i32" | "i64", "s" | "u"];
      const result = op(`${type}.trunc_sat_${f.type}_${sign}`, whole);
      c.if(
        all(i32.eq(roundingMode, i32.const(1)), has(FpFast.on), a.isBoxed, inRange, quiet),
        () => setRd(c, type === "i32" ? op("i64.extend_i32_s", result) : (result as Expr<"i64">)),
        () => slow(c, name),
        true,
      );
    },
  };
}

function classify(f: Format): Instruction {
  const name = `fclass.${f.suffix}` as const;
  return {
    name,
    extensions: [f.extension],
    ...encode(0x1c, f, { rs2: 0, funct3: 1 }),
    operands: { dst: "x", src1: "f", imm: "fp" },
    assembly: "rd, fs1",
    semantics: (c) => slow(c, name),
  };
}

function transfer(f: Format): readonly Instruction[] {
  const width = f.type === "f64" ? 8 : 4;
  const letter = f.type === "f64" ? "d" : "w";
  const f3 = f.type === "f64" ? 3 : 2;
  const mask = 0x7f | (7 << 12);
  const address = i64.add(rs1, imm);
  const keep = (bits: Expr<"i64">): Expr<"i64"> => (f.type === "f64" ? bits : i64.or(bits, i64.big(boxed)));
  return [
    {
      name: `fl${letter}`,
      extensions: [f.extension],
      match: 0x07 | (f3 << 12),
      mask,
      operands: { dst: "f", src1: "x", imm: "i" },
      assembly: "fd, mem",
      semantics: (c) => {
        needOn(c);
        const value = c.load(address, width, false);
        needDirty(c);
        c.setReg("dst", keep(value));
      },
    },
    {
      name: `fs${letter}`,
      extensions: [f.extension],
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
      extensions: [f.extension],
      ...encode(0x1c, f, { rs2: 0, funct3: 0 }),
      operands: { dst: "x", src1: "f", imm: "fp" },
      assembly: "rd, fs1",
      semantics: (c) => {
        needOn(c);
        const bits = reg("i64", "src1");
        setRd(c, f.type === "f64" ? bits : op("i64.extend32_s", bits));
      },
    },
    {
      name: `fmv.${letter}.x`,
      extensions: [f.extension],
      ...encode(0x1e, f, { rs2: 0, funct3: 0 }),
      operands: { dst: "f", src1: "x", imm: "fp" },
      assembly: "fd, rs1",
      semantics: (c) => {
        needDirty(c);
        c.setReg("dst", keep(rs1));
      },
    },
  ];
}

function ofFormat(f: Format): readonly Instruction[] {
  return [
    ...transfer(f),
    multiplyAdd("fmadd", f, 0x43, { product: false, addend: false }),
    multiplyAdd("fmsub", f, 0x47, { product: false, addend: true }),
    multiplyAdd("fnmsub", f, 0x4b, { product: true, addend: false }),
    multiplyAdd("fnmadd", f, 0x4f, { product: true, addend: true }),
    arithmetic("fadd", f, 0x00, sumZero),
    arithmetic("fsub", f, 0x01, sumZero),
    arithmetic("fmul", f, 0x02, productZero),
    arithmetic("fdiv", f, 0x03, quotientZero),
    squareRoot(f),
    signInjection("fsgnj", f, 0, (_a, b) => b),
    signInjection("fsgnjn", f, 1, (_a, b) => i64.xor(b, i64.const(-1))),
    signInjection("fsgnjx", f, 2, (a, b) => i64.xor(a, b)),
    minMax("fmin", f, 0),
    minMax("fmax", f, 1),
    compare("feq", f, 2),
    compare("flt", f, 1),
    compare("fle", f, 0),
    ...integers.map((from) => fromInteger(f, from)),
    ...integers.map((to) => toInteger(f, to)),
    classify(f),
  ];
}

/** Between the formats: widening is exact, narrowing rounds. */
const conversions: readonly Instruction[] = [
  {
    name: "fcvt.s.d",
    extensions: ["d"],
    ...encode(0x08, single, { rs2: 1 }),
    operands: { dst: "f", src1: "f", imm: "fp" },
    assembly: "fd, fs1, rm",
    semantics: (c) => {
      const a = read(c, double, "src1");
      const bits = bitsOf(c, single, op("f32.demote_f64", a.value));
      keepOrSlow(c, single, bits, { usable: ready, exactZero: isZero(double, a.bits), name: "fcvt.s.d" });
    },
  },
  {
    name: "fcvt.d.s",
    extensions: ["d"],
    ...encode(0x08, double, { rs2: 0 }),
    operands: { dst: "f", src1: "f", imm: "fp" },
    assembly: "fd, fs1, rm",
    semantics: (c) => {
      const a = read(c, single, "src1");
      const bits = bitsOf(c, double, op("f64.promote_f32", a.value));
      const isNumber = op<"i32">("f32.eq", a.value, a.value);
      c.if(
        all(has(FpFast.dirty), knownRounding, a.isBoxed, isNumber),
        () => write(c, double, bits),
        () => slow(c, "fcvt.d.s"),
        true,
      );
    },
  },
];

export const rv64fd: readonly Instruction[] = [...ofFormat(single), ...ofFormat(double), ...conversions];
