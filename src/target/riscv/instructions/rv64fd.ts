// table: RV64F and RV64D (unprivileged spec §20, §21), one row for both formats.
// Each instruction tries the engine's own operation and keeps its result where that cannot differ from the exact one in
// value or flags (`FpFast`); everything else goes to `fp/execute.ts`.
import { call, i32, i64, op, wrap, type Expr, type Temp, type Code } from "../../../accel/index.ts";
import type { Instruction } from "../encoding.ts";
import type { FpOperationName } from "../fp/operations.ts";
import { rs1, setRd } from "../operands.ts";
import { FpFast } from "../state.ts";
import {
  all,
  binaryOperands,
  bitsOf,
  compare,
  double,
  encode,
  has,
  knownRounding,
  magnitude,
  minMax,
  read,
  ready,
  roundingMode,
  signInjections,
  single,
  slow,
  transfer,
  write,
  type Float,
  type NativeFormat,
  type Operand,
} from "./float-forms.ts";

const isZero = (f: NativeFormat, bits: Expr<"i64">): Expr<"i32"> => i64.eqz(magnitude(f, bits));
const infinity = (f: NativeFormat): bigint => (f.type === "f64" ? 0x7ffn << 52n : 0xffn << 23n);
const isFinite = (f: NativeFormat, bits: Expr<"i64">): Expr<"i32"> => i64.ltU(magnitude(f, bits), i64.big(infinity(f)));

/** Finite and greater in magnitude than the smallest normal, so neither tiny before rounding nor overflowed. */
function isPlain(f: NativeFormat, bits: Expr<"i64">): Expr<"i32"> {
  const aboveSmallest = (f.type === "f64" ? 1n << 52n : 1n << 23n) + 1n;
  return i64.ltU(i64.sub(magnitude(f, bits), i64.big(aboveSmallest)), i64.big(infinity(f) - aboveSmallest));
}

/**
 * Keeps `bits` when the operation was ready for it and the result is plain, or `exactZero` says that a zero is exact.
 */
function keepOrSlow(
  c: Code,
  f: NativeFormat,
  bits: Temp<"i64">,
  options: { usable: Expr<"i32">; exactZero: Expr<"i32">; name: FpOperationName },
): void {
  const leave = (): void => slow(c, options.name);
  const keep = (): void => write(c, f, bits);
  // One test after the other: the first one is the same for a whole run of instructions.
  c.if(
    options.usable,
    () => c.if(isPlain(f, bits), keep, () => c.if(i32.and(isZero(f, bits), options.exactZero), keep, leave), true),
    leave,
    true,
  );
}

type Zero = (f: NativeFormat, a: Operand, b: Operand) => Expr<"i32">;

function arithmetic(
  name: "fadd" | "fsub" | "fmul" | "fdiv",
  f: NativeFormat,
  funct5: number,
  exactZero: Zero,
): Instruction {
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

function squareRoot(f: NativeFormat): Instruction {
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
  f: NativeFormat,
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
function fromInteger(f: NativeFormat, from: IntegerFormat): Instruction {
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

/** To integers, towards zero as C casts do; other modes are for the slow path. */
function toInteger(f: NativeFormat, to: IntegerFormat): Instruction {
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

function classify(f: NativeFormat): Instruction {
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

function ofFormat(f: NativeFormat): readonly Instruction[] {
  const own = [f.extension];
  return [
    ...transfer(f, own),
    multiplyAdd("fmadd", f, 0x43, { product: false, addend: false }),
    multiplyAdd("fmsub", f, 0x47, { product: false, addend: true }),
    multiplyAdd("fnmsub", f, 0x4b, { product: true, addend: false }),
    multiplyAdd("fnmadd", f, 0x4f, { product: true, addend: true }),
    arithmetic("fadd", f, 0x00, sumZero),
    arithmetic("fsub", f, 0x01, sumZero),
    arithmetic("fmul", f, 0x02, productZero),
    arithmetic("fdiv", f, 0x03, quotientZero),
    squareRoot(f),
    ...signInjections(f, own),
    minMax("fmin", f, own, 0),
    minMax("fmax", f, own, 1),
    compare("feq", f, own, 2),
    compare("flt", f, own, 1),
    compare("fle", f, own, 0),
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
