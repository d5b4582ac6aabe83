// The exact slow path of floating-point instructions: operands from the instruction's bits, results and flags to the hart.
import { F, Mstatus, W, type HartCore } from "../hart-core.ts";
import { funct3, rd, rs1, rs2, rs3 } from "../encoding.ts";
import { add, divide, multiply, multiplyAdd, squareRoot, subtract } from "./arithmetic.ts";
import {
  classify,
  equal,
  less,
  lessOrEqual,
  maximum,
  maximumOrNaN,
  minimum,
  minimumOrNaN,
  quietLess,
  quietLessOrEqual,
} from "./comparisons.ts";
import {
  convert,
  fromInteger,
  integerRanges,
  roundWithin,
  toInteger,
  toWordModulo,
  type IntegerRange,
} from "./conversions.ts";
import { bfloat16, binary16, binary32, binary64, type FloatFormat } from "./float-format.ts";
import { fpConversionNames, fpOperationNames, type FpConversionName, type FpOperationName } from "./operations.ts";
import type { FpStatus, Rounding } from "./rounding.ts";

/** An operation on a hart: where its result goes, whether its encoding has a rounding mode, what it computes. */
interface Operation {
  readonly destination: "x" | "f";
  readonly rounds: boolean;
  readonly compute: (core: HartCore, word: number, status: FpStatus) => bigint;
}

const low32 = 0xffff_ffffn;
const mask64 = (1n << 64n) - 1n;

/** Ones above a value that is narrower than a register. */
const boxBits = (f: FloatFormat): bigint => mask64 ^ (2n * f.signBit - 1n);

/** Value of f register `n`: what is narrower and not boxed counts as the canonical NaN (unprivileged spec §21.2). */
function read(core: HartCore, format: FloatFormat, n: number): bigint {
  const bits = core.get(F.f + n);
  const ones = boxBits(format);
  return bits >= ones ? bits ^ ones : format.canonicalNaN;
}

const box = (format: FloatFormat, bits: bigint): bigint => bits | boxBits(format);
const register64 = (value: bigint): bigint => BigInt.asUintN(64, value);

type Unary<R> = (f: FloatFormat, a: bigint, status: FpStatus) => R;
type Binary<R> = (f: FloatFormat, a: bigint, b: bigint, status: FpStatus) => R;

const binary = (format: FloatFormat, rounds: boolean, of: Binary<bigint>): Operation => ({
  destination: "f",
  rounds,
  compute: (core, word, status) =>
    box(format, of(format, read(core, format, rs1(word)), read(core, format, rs2(word)), status)),
});

const unary = (format: FloatFormat, of: Unary<bigint>): Operation => ({
  destination: "f",
  rounds: true,
  compute: (core, word, status) => box(format, of(format, read(core, format, rs1(word)), status)),
});

const fused = (format: FloatFormat, negate: { product: boolean; addend: boolean }): Operation => {
  const productSign = negate.product ? format.signBit : 0n;
  const addendSign = negate.addend ? format.signBit : 0n;
  return {
    destination: "f",
    rounds: true,
    compute: (core, word, status) => {
      const a = read(core, format, rs1(word)) ^ productSign;
      const b = read(core, format, rs2(word));
      const c = read(core, format, rs3(word)) ^ addendSign;
      return box(format, multiplyAdd(format, a, b, c, status));
    },
  };
};

const comparison = (format: FloatFormat, of: Binary<boolean>): Operation => ({
  destination: "x",
  rounds: false,
  compute: (core, word, status) =>
    of(format, read(core, format, rs1(word)), read(core, format, rs2(word)), status) ? 1n : 0n,
});

const classification = (format: FloatFormat): Operation => ({
  destination: "x",
  rounds: false,
  compute: (core, word) => 1n << BigInt(classify(format, read(core, format, rs1(word)))),
});

/** Results of 32 bits, unsigned ones too, are sign-extended in the register (§20.7). */
const floatToInteger = (format: FloatFormat, range: IntegerRange): Operation => ({
  destination: "x",
  rounds: true,
  compute: (core, word, status) => {
    const value = toInteger(format, read(core, format, rs1(word)), range, status);
    return range.greatest <= low32 ? BigInt.asIntN(32, value) : value;
  },
});

const integerToFloat = (format: FloatFormat, range: IntegerRange): Operation => {
  const width = range.greatest <= low32 ? 32 : 64;
  const value = range.least < 0n ? BigInt.asIntN : BigInt.asUintN;
  return {
    destination: "f",
    rounds: true,
    compute: (core, word, status) => box(format, fromInteger(format, value(width, core.x(rs1(word))), status)),
  };
};

function ofFormat(suffix: "h" | "s" | "d", format: FloatFormat): Partial<Record<FpOperationName, Operation>> {
  return {
    [`fadd.${suffix}`]: binary(format, true, add),
    [`fsub.${suffix}`]: binary(format, true, subtract),
    [`fmul.${suffix}`]: binary(format, true, multiply),
    [`fdiv.${suffix}`]: binary(format, true, divide),
    [`fsqrt.${suffix}`]: unary(format, squareRoot),
    [`fmadd.${suffix}`]: fused(format, { product: false, addend: false }),
    [`fmsub.${suffix}`]: fused(format, { product: false, addend: true }),
    [`fnmsub.${suffix}`]: fused(format, { product: true, addend: false }),
    [`fnmadd.${suffix}`]: fused(format, { product: true, addend: true }),
    [`fmin.${suffix}`]: binary(format, false, minimum),
    [`fmax.${suffix}`]: binary(format, false, maximum),
    [`feq.${suffix}`]: comparison(format, equal),
    [`flt.${suffix}`]: comparison(format, less),
    [`fle.${suffix}`]: comparison(format, lessOrEqual),
    [`fclass.${suffix}`]: classification(format),
    [`fminm.${suffix}`]: binary(format, false, minimumOrNaN),
    [`fmaxm.${suffix}`]: binary(format, false, maximumOrNaN),
    [`fltq.${suffix}`]: comparison(format, quietLess),
    [`fleq.${suffix}`]: comparison(format, quietLessOrEqual),
    [`fround.${suffix}`]: unary(format, (f, a, status) => roundWithin(f, a, status, false)),
    [`froundnx.${suffix}`]: unary(format, (f, a, status) => roundWithin(f, a, status, true)),
    ...Object.fromEntries(
      (["w", "wu", "l", "lu"] as const).flatMap((integer) => [
        [`fcvt.${suffix}.${integer}`, integerToFloat(format, integerRanges[integer])],
        [`fcvt.${integer}.${suffix}`, floatToInteger(format, integerRanges[integer])],
      ]),
    ),
  };
}

const formats: Readonly<Record<string, FloatFormat>> = { h: binary16, s: binary32, d: binary64, bf16: bfloat16 };

function conversion(name: FpConversionName): Operation {
  const [, toName, fromName] = name.split(".");
  const [from, to] = [formats[fromName!]!, formats[toName!]!];
  return {
    destination: "f",
    rounds: true,
    compute: (core, word, status) => box(to, convert(from, to, read(core, from, rs1(word)), status)),
  };
}

const byName: Partial<Record<FpOperationName, Operation>> = {
  ...ofFormat("h", binary16),
  ...ofFormat("s", binary32),
  ...ofFormat("d", binary64),
  ...Object.fromEntries(fpConversionNames.map((name) => [name, conversion(name)])),
  "fcvtmod.w.d": {
    destination: "x",
    rounds: true,
    compute: (core, word, status) => toWordModulo(binary64, read(core, binary64, rs1(word)), status),
  },
};
const operations: readonly Operation[] = fpOperationNames.map((name) => byName[name]!);

const dynamic = 7;
const greatestRounding = 4;

/** Executes the instruction whose identity is in `fpOp`; false when it is illegal in this state. */
export function executeFp(core: HartCore, word: number): boolean {
  const mstatus = core.word(W.mstatus);
  if ((mstatus & Mstatus.fs) === 0) return false;
  const operation = operations[core.word(W.fpOp)]!;
  const fcsr = core.word(W.fcsr);
  const status: FpStatus = { rounding: 0, flags: 0 };
  if (operation.rounds) {
    const rm = funct3(word);
    const rounding = rm === dynamic ? (fcsr >>> 5) & 7 : rm;
    if (rounding > greatestRounding) return false;
    status.rounding = rounding as Rounding;
  }
  const result = register64(operation.compute(core, word, status));
  if (operation.destination === "x") core.setX(rd(word), result);
  else core.set(F.f + rd(word), result);
  const flags = fcsr | status.flags;
  if (operation.destination === "f" || flags !== fcsr) {
    core.setWord(W.fcsr, flags);
    core.setWord(W.mstatus, mstatus | Mstatus.fs);
    core.refreshFpFast();
  }
  return true;
}
