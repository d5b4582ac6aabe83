// Floating point as IEEE 754 and the F, D and Zfh chapters define it: exact results of rational arithmetic, rounded by search.
import {
  binary16,
  binary32,
  binary64,
  exactly,
  isInfinite,
  isNaNBits,
  isNegative,
  isSignaling,
  isZeroBits,
  magnitudeOf,
  signed,
  type Exact,
  type FloatFormat,
} from "../../../src/target/riscv/fp/float-format.ts";
import { Flag, Rounding } from "../../../src/target/riscv/fp/rounding.ts";
import { one, ratio, rootOf, roundReal } from "../../../src/target/riscv/fp/testing/real-model.ts";
import type { Row, Table } from "../table.ts";

type Letter = "h" | "s" | "d";
const formats: Readonly<Record<Letter, FloatFormat>> = { h: binary16, s: binary32, d: binary64 };
const roundings = [0, 1, 2, 3, 4] as const;

interface Answer {
  readonly bits: bigint;
  readonly flags: number;
}

const nan = (f: FloatFormat, flags: number): Answer => ({ bits: f.canonicalNaN, flags });
const exactResult = (bits: bigint): Answer => ({ bits, flags: 0 });
const anySignaling = (f: FloatFormat, values: readonly bigint[]): number =>
  values.some((v) => isSignaling(f, v)) ? Flag.invalid : 0;
const negated = (f: FloatFormat, bits: bigint): bigint => bits ^ f.signBit;

const plus = (a: Exact, b: Exact): Exact => {
  const exponent = Math.min(a.exponent, b.exponent);
  const scaled = (v: Exact): bigint => v.significand << BigInt(v.exponent - exponent);
  return { significand: scaled(a) + scaled(b), exponent };
};
const times = (a: Exact, b: Exact): Exact => ({
  significand: a.significand * b.significand,
  exponent: a.exponent + b.exponent,
});

/** A sum that is exactly zero is positive, but when rounding down; two zeros of one sign keep it (§6.3). */
function roundSum(f: FloatFormat, sum: Exact, signs: readonly [boolean, boolean], rm: Rounding): Answer {
  if (sum.significand !== 0n) return roundReal(f, ratio(sum, one), rm);
  const negative = signs[0] === signs[1] ? signs[0] : rm === Rounding.down;
  return exactResult(signed(f, negative, 0n));
}

function add(f: FloatFormat, a: bigint, b: bigint, rm: Rounding): Answer {
  if (isNaNBits(f, a) || isNaNBits(f, b)) return nan(f, anySignaling(f, [a, b]));
  if (isInfinite(f, a)) return isInfinite(f, b) && a !== b ? nan(f, Flag.invalid) : exactResult(a);
  if (isInfinite(f, b)) return exactResult(b);
  return roundSum(f, plus(exactly(f, a), exactly(f, b)), [isNegative(f, a), isNegative(f, b)], rm);
}

function multiply(f: FloatFormat, a: bigint, b: bigint, rm: Rounding): Answer {
  if (isNaNBits(f, a) || isNaNBits(f, b)) return nan(f, anySignaling(f, [a, b]));
  const negative = isNegative(f, a) !== isNegative(f, b);
  if (isInfinite(f, a) || isInfinite(f, b)) {
    return isZeroBits(f, a) || isZeroBits(f, b) ? nan(f, Flag.invalid) : exactResult(signed(f, negative, f.infinity));
  }
  const product = times(exactly(f, a), exactly(f, b));
  return product.significand === 0n ? exactResult(signed(f, negative, 0n)) : roundReal(f, ratio(product, one), rm);
}

function divide(f: FloatFormat, a: bigint, b: bigint, rm: Rounding): Answer {
  if (isNaNBits(f, a) || isNaNBits(f, b)) return nan(f, anySignaling(f, [a, b]));
  const negative = isNegative(f, a) !== isNegative(f, b);
  if (isInfinite(f, a)) return isInfinite(f, b) ? nan(f, Flag.invalid) : exactResult(signed(f, negative, f.infinity));
  if (isInfinite(f, b)) return exactResult(signed(f, negative, 0n));
  if (isZeroBits(f, b)) {
    if (isZeroBits(f, a)) return nan(f, Flag.invalid);
    return { bits: signed(f, negative, f.infinity), flags: Flag.divideByZero };
  }
  if (isZeroBits(f, a)) return exactResult(signed(f, negative, 0n));
  return roundReal(f, ratio(exactly(f, a), exactly(f, b)), rm);
}

function squareRoot(f: FloatFormat, a: bigint, rm: Rounding): Answer {
  if (isNaNBits(f, a)) return nan(f, anySignaling(f, [a]));
  if (isZeroBits(f, a)) return exactResult(a);
  if (isNegative(f, a)) return nan(f, Flag.invalid);
  return isInfinite(f, a) ? exactResult(a) : roundReal(f, rootOf(exactly(f, a)), rm);
}

/** a × b + c with one rounding; infinity times zero is invalid whatever c is (RISC-V F chapter). */
function fused(f: FloatFormat, a: bigint, b: bigint, c: bigint, rm: Rounding): Answer {
  const meaningless = (isInfinite(f, a) && isZeroBits(f, b)) || (isZeroBits(f, a) && isInfinite(f, b));
  const invalid = anySignaling(f, [a, b, c]) | (meaningless ? Flag.invalid : 0);
  if (meaningless || [a, b, c].some((v) => isNaNBits(f, v))) return nan(f, invalid);
  const negative = isNegative(f, a) !== isNegative(f, b);
  if (isInfinite(f, a) || isInfinite(f, b)) {
    const product = signed(f, negative, f.infinity);
    return isInfinite(f, c) && c !== product ? nan(f, Flag.invalid) : exactResult(product);
  }
  if (isInfinite(f, c)) return exactResult(c);
  const sum = plus(times(exactly(f, a), exactly(f, b)), exactly(f, c));
  return roundSum(f, sum, [negative, isNegative(f, c)], rm);
}

/** The sign is part of the order here: zeros differ, and NaNs are handled by the caller. */
function order(f: FloatFormat, a: bigint, b: bigint): number {
  const key = (v: bigint): bigint => (isNegative(f, v) ? -magnitudeOf(f, v) - 1n : magnitudeOf(f, v));
  return key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0;
}
function extreme(f: FloatFormat, a: bigint, b: bigint, wanted: number): Answer {
  const flags = anySignaling(f, [a, b]);
  if (isNaNBits(f, a)) return { bits: isNaNBits(f, b) ? f.canonicalNaN : b, flags };
  if (isNaNBits(f, b)) return { bits: a, flags };
  return { bits: order(f, a, b) === wanted ? a : b, flags };
}
function compare(f: FloatFormat, a: bigint, b: bigint, quiet: boolean, holds: (order: number) => boolean): Answer {
  if (isNaNBits(f, a) || isNaNBits(f, b)) return { bits: 0n, flags: quiet ? anySignaling(f, [a, b]) : Flag.invalid };
  const equal = isZeroBits(f, a) && isZeroBits(f, b);
  return exactResult(holds(equal ? 0 : order(f, a, b)) ? 1n : 0n);
}
function classify(f: FloatFormat, a: bigint): bigint {
  if (isNaNBits(f, a)) return isSignaling(f, a) ? 1n << 8n : 1n << 9n;
  const subnormal = magnitudeOf(f, a) < 2n * f.quietBit;
  const kind = isInfinite(f, a) ? 0 : isZeroBits(f, a) ? 3 : subnormal ? 2 : 1;
  return 1n << BigInt(isNegative(f, a) ? kind : 7 - kind);
}

/** A real number rounded to an integer, by what is left over its floor. */
function roundToInteger({ significand, exponent }: Exact, rm: Rounding): { value: bigint; inexact: boolean } {
  if (exponent >= 0) return { value: significand << BigInt(exponent), inexact: false };
  const unit = 1n << BigInt(-exponent);
  const floor = significand >> BigInt(-exponent);
  const rest = significand - floor * unit;
  if (rest === 0n) return { value: floor, inexact: false };
  const half = 2n * rest - unit;
  const negative = significand < 0n;
  const up =
    rm === Rounding.up ||
    (rm === Rounding.towardsZero && negative) ||
    (rm === Rounding.nearestEven && (half > 0n || (half === 0n && floor % 2n !== 0n))) ||
    (rm === Rounding.nearestMaxMagnitude && (half > 0n || (half === 0n && !negative)));
  return { value: up ? floor + 1n : floor, inexact: true };
}

interface IntegerKind {
  readonly name: "w" | "wu" | "l" | "lu";
  readonly low: bigint;
  readonly high: bigint;
}
const integers: readonly IntegerKind[] = [
  { name: "w", low: -(1n << 31n), high: (1n << 31n) - 1n },
  { name: "wu", low: 0n, high: (1n << 32n) - 1n },
  { name: "l", low: -(1n << 63n), high: (1n << 63n) - 1n },
  { name: "lu", low: 0n, high: (1n << 64n) - 1n },
];
/** Results of 32 bits, signed or not, are sign-extended. */
const inRegister = ({ name }: IntegerKind, value: bigint): bigint =>
  BigInt.asUintN(64, name.startsWith("w") ? BigInt.asIntN(32, value) : value);

function toInteger(f: FloatFormat, a: bigint, kind: IntegerKind, rm: Rounding): Answer {
  const saturated = (high: boolean): Answer => ({
    bits: inRegister(kind, high ? kind.high : kind.low),
    flags: Flag.invalid,
  });
  if (isNaNBits(f, a)) return saturated(true);
  if (isInfinite(f, a)) return saturated(!isNegative(f, a));
  const { value, inexact } = roundToInteger(exactly(f, a), rm);
  if (value > kind.high || value < kind.low) return saturated(value > kind.high);
  return { bits: inRegister(kind, value), flags: inexact ? Flag.inexact : 0 };
}

function fromInteger(f: FloatFormat, value: bigint, rm: Rounding): Answer {
  return value === 0n ? exactResult(0n) : roundReal(f, ratio({ significand: value, exponent: 0 }, one), rm);
}

function convert(from: FloatFormat, to: FloatFormat, a: bigint, rm: Rounding): Answer {
  if (isNaNBits(from, a)) return nan(to, anySignaling(from, [a]));
  const negative = isNegative(from, a);
  if (isInfinite(from, a)) return exactResult(signed(to, negative, to.infinity));
  if (isZeroBits(from, a)) return exactResult(signed(to, negative, 0n));
  return roundReal(to, ratio(exactly(from, a), one), rm);
}

function numbersOf(f: FloatFormat): readonly bigint[] {
  const normal = 2n * f.quietBit;
  const bias = BigInt(1 - f.minExponent);
  const power = (n: bigint): bigint => (bias + n) * normal;
  const positive = [
    ...[0n, 1n, normal - 1n, normal, normal + 1n, power(0n), power(0n) + 1n, power(1n), power(0n) + f.quietBit],
    ...[power(-1n), power(2n) + f.quietBit + 1n, power(BigInt(f.precision)), power(BigInt(f.precision - 1)) + 1n],
    ...[f.infinity - 1n, f.infinity, f.canonicalNaN, f.infinity + 1n],
  ];
  return positive.flatMap((v) => [v, negated(f, v)]);
}

/** A value of the format as it stands in an f register: boxed in ones. */
const boxed = (f: FloatFormat, bits: bigint): bigint =>
  f.widthBits === 64 ? bits : BigInt.asUintN(64, (-1n << BigInt(f.widthBits)) | bits);

interface Shape {
  readonly code: string;
  readonly f: FloatFormat;
  readonly toX?: boolean;
  readonly to?: FloatFormat;
  readonly rm?: Rounding;
}
function table(
  { code, f, toX = false, to = f, rm }: Shape,
  inputs: readonly (readonly bigint[])[],
  answer: (v: readonly bigint[]) => Answer,
): Table {
  const rows = inputs.map((operands): Row => {
    const { bits, flags } = answer(operands);
    return { operands, result: toX ? bits : boxed(to, bits), flags };
  });
  return {
    code,
    rows,
    operandBits: f.widthBits as 16 | 32 | 64,
    resultIsFloat: !toX,
    ...(rm === undefined ? {} : { rounding: rm }),
  };
}

function arithmetic(letter: Letter): Table[] {
  const f = formats[letter];
  const numbers = numbersOf(f);
  const pairs = numbers.flatMap((a) => numbers.map((b) => [a, b]));
  const rounded = roundings.flatMap((rm) => [
    table({ code: `fadd.${letter} fa0, fa1, fa2`, f, rm }, pairs, ([a, b]) => add(f, a!, b!, rm)),
    table({ code: `fmul.${letter} fa0, fa1, fa2`, f, rm }, pairs, ([a, b]) => multiply(f, a!, b!, rm)),
    table({ code: `fdiv.${letter} fa0, fa1, fa2`, f, rm }, pairs, ([a, b]) => divide(f, a!, b!, rm)),
    table(
      { code: `fsqrt.${letter} fa0, fa1`, f, rm },
      numbers.map((a) => [a]),
      ([a]) => squareRoot(f, a!, rm),
    ),
  ]);
  const subtract = table({ code: `fsub.${letter} fa0, fa1, fa2`, f, rm: 0 }, pairs, ([a, b]) =>
    add(f, a!, isNaNBits(f, b!) ? b! : negated(f, b!), 0),
  );
  return [...rounded, subtract];
}

function fusedTables(letter: Letter): Table[] {
  const f = formats[letter];
  const numbers = numbersOf(f);
  // Every value in every place, with partners that differ from place to place.
  const triples = numbers.flatMap((a, i) =>
    [1, 5, 11, 20].map((step) => [
      a,
      numbers[(i * step + 3) % numbers.length]!,
      numbers[(i + 7 * step) % numbers.length]!,
    ]),
  );
  const minus = (v: bigint): bigint => (isNaNBits(f, v) ? v : negated(f, v));
  return roundings.flatMap((rm) => [
    table({ code: `fmadd.${letter} fa0, fa1, fa2, fa3`, f, rm }, triples, ([a, b, c]) => fused(f, a!, b!, c!, rm)),
    table({ code: `fmsub.${letter} fa0, fa1, fa2, fa3`, f, rm }, triples, ([a, b, c]) =>
      fused(f, a!, b!, minus(c!), rm),
    ),
    table({ code: `fnmsub.${letter} fa0, fa1, fa2, fa3`, f, rm }, triples, ([a, b, c]) =>
      fused(f, minus(a!), b!, c!, rm),
    ),
    table({ code: `fnmadd.${letter} fa0, fa1, fa2, fa3`, f, rm }, triples, ([a, b, c]) =>
      fused(f, minus(a!), b!, minus(c!), rm),
    ),
  ]);
}

function comparisons(letter: Letter): Table[] {
  const f = formats[letter];
  const numbers = numbersOf(f);
  const pairs = numbers.flatMap((a) => numbers.map((b) => [a, b]));
  const sign = (name: string, pick: (a: bigint, b: bigint) => bigint): Table =>
    table({ code: `${name}.${letter} fa0, fa1, fa2`, f }, pairs, ([a, b]) =>
      exactResult((a! & (f.signBit - 1n)) | (pick(a!, b!) & f.signBit)),
    );
  const test = (name: string, quiet: boolean, holds: (order: number) => boolean): Table =>
    table({ code: `${name}.${letter} a0, fa1, fa2`, f, toX: true }, pairs, ([a, b]) =>
      compare(f, a!, b!, quiet, holds),
    );
  return [
    table({ code: `fmin.${letter} fa0, fa1, fa2`, f }, pairs, ([a, b]) => extreme(f, a!, b!, -1)),
    table({ code: `fmax.${letter} fa0, fa1, fa2`, f }, pairs, ([a, b]) => extreme(f, a!, b!, 1)),
    test("feq", true, (o) => o === 0),
    test("flt", false, (o) => o < 0),
    test("fle", false, (o) => o <= 0),
    sign("fsgnj", (_a, b) => b),
    sign("fsgnjn", (_a, b) => ~b),
    sign("fsgnjx", (a, b) => a ^ b),
    table(
      { code: `fclass.${letter} a0, fa1`, f, toX: true },
      numbers.map((a) => [a]),
      ([a]) => exactResult(classify(f, a!)),
    ),
  ];
}

function conversions(letter: Letter): Table[] {
  const f = formats[letter];
  const numbers = numbersOf(f);
  const limits = integers.flatMap(({ low, high }) => [low, high].map((v) => fromInteger(f, v, 0).bits));
  const inputs = [...numbers, ...limits, ...limits.map((v) => v + 1n)].map((a) => [a]);
  const toIntegers = integers.flatMap((kind) =>
    roundings.map((rm) =>
      table({ code: `fcvt.${kind.name}.${letter} a0, fa1, dyn`, f, toX: true, rm }, inputs, ([a]) =>
        toInteger(f, a!, kind, rm),
      ),
    ),
  );
  const sources = [
    0n,
    1n,
    -1n,
    3n,
    0x7ffn,
    0x7fff_ffffn,
    -0x8000_0000n,
    0x100_0001n,
    (1n << 53n) + 1n,
    (1n << 63n) - 1n,
    -(1n << 63n),
    0x8000_0400n,
    65519n,
    65520n,
  ];
  const fromIntegers = integers.flatMap((kind) =>
    roundings.map((rm): Table => {
      const bits = kind.name.startsWith("w") ? 32 : 64;
      const value = kind.low < 0n ? BigInt.asIntN : BigInt.asUintN;
      const rows = sources.map((source): Row => {
        const answer = fromInteger(f, value(bits, source), rm);
        return { operands: [source], result: boxed(f, answer.bits), flags: answer.flags };
      });
      const rounds = letter === "d" && bits === 32 ? "" : ", dyn";
      return { code: `fcvt.${letter}.${kind.name} fa0, a1${rounds}`, rows, resultIsFloat: true, rounding: rm };
    }),
  );
  const others = (Object.keys(formats) as Letter[]).filter(
    (other) => other !== letter && (letter === "h" || other !== "h"),
  );
  const between = others.flatMap((other) =>
    roundings.flatMap((rm) => {
      const g = formats[other];
      const narrows = f.widthBits > g.widthBits;
      const name = (to: Letter, from: Letter, dyn: boolean): string =>
        `fcvt.${to}.${from} fa0, fa1${dyn ? ", dyn" : ""}`;
      return [
        table(
          { code: name(other, letter, narrows), f, to: g, rm },
          numbers.map((a) => [a]),
          ([a]) => convert(f, g, a!, rm),
        ),
        table(
          { code: name(letter, other, !narrows), f: g, to: f, rm },
          numbersOf(g).map((a) => [a]),
          ([a]) => convert(g, f, a!, rm),
        ),
      ];
    }),
  );
  return [...toIntegers, ...fromIntegers, ...(letter === "d" ? [] : between)];
}

/** A narrow number that is not boxed in ones counts as a NaN; moves copy bits. */
function boxing(letter: "h" | "s"): Table[] {
  const f = formats[letter];
  const move = letter === "s" ? "w" : "h";
  const half = BigInt(f.widthBits);
  return [
    {
      code: `fmv.d.x fa1, a1; fadd.${letter} fa0, fa1, fa1`,
      rows: [{ operands: [f.infinity - 1n], result: boxed(f, f.canonicalNaN), flags: 0 }],
      resultIsFloat: true,
    },
    {
      code: `fmv.${move}.x fa0, a1`,
      rows: [{ operands: [0x1234_5678_9abc_def0n], result: boxed(f, 0x9abc_def0n & ((1n << half) - 1n)) }],
      resultIsFloat: true,
    },
    {
      code: `fmv.d.x fa1, a1; fmv.x.${move} a0, fa1`,
      rows: [{ operands: [0x1234_5678_9abc_def0n], result: BigInt.asIntN(f.widthBits, 0x9abc_def0n) }],
    },
    {
      code: `fmv.d.x fa1, a1; fclass.${letter} a0, fa1`,
      rows: [{ operands: [0n], result: 1n << 9n }],
    },
  ];
}

/** The tables of each program, made when asked for: there are many rows. */
export const floatTables: Readonly<Record<string, () => readonly Table[]>> = Object.fromEntries(
  (["s", "d", "h"] as const).flatMap((letter): [string, () => readonly Table[]][] => {
    const extension = { s: "f", d: "d", h: "zfh" }[letter];
    return [
      [`${extension}-arithmetic`, () => arithmetic(letter)],
      [`${extension}-fused`, () => fusedTables(letter)],
      [`${extension}-comparisons`, () => [...comparisons(letter), ...(letter === "d" ? [] : boxing(letter))]],
      [`${extension}-conversions`, () => conversions(letter)],
    ];
  }),
);
