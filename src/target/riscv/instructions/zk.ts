// table: scalar cryptography: Zknd and Zkne (AES), Zknh (SHA-2), Zksh (SM3), Zksed (SM4) (unprivileged spec, Scalar
// Cryptography; FIPS 197, FIPS 180-4, GB/T 32905-2016, GB/T 32907-2016).
import { call, extendU, i32, i64, imm, imm32, op, select, wrap, type Code, type Expr } from "../../../accel/index.ts";
import { immediate, type Instruction } from "../encoding.ts";
import { rs1, rs2, setRd, setRdWord } from "../operands.ts";
import { integerForms, type Unary } from "./integer-forms.ts";

type Value = Expr<"i64">;

const xor = (...values: readonly Value[]): Value => values.reduce((a, b) => i64.xor(a, b));
const shifted = (value: Value, by: number): Value => i64.shl(value, i64.const(by));
const highHalf = (value: Value): Value => i64.shrU(value, i64.const(32));
const onWord = (word: Expr<"i32">): Value => extendU(word);
const rotateWord = (value: Expr<"i32">, by: number): Expr<"i32"> => op("i32.rotl", value, i32.const(by));
const rotate = (value: Value, by: number): Value => op("i64.rotr", value, i64.const(by));

// SHA-2 and SM3: sums of rotations, the last of them a shift where it is given.

const wordSum =
  (rotations: readonly number[], shift?: number): Unary =>
  (a, c) => {
    const x = c.let(wrap(a));
    const parts = rotations.map((by) => op<"i32">("i32.rotr", x, i32.const(by)));
    const all = shift === undefined ? parts : [...parts, i32.shrU(x, i32.const(shift))];
    return onWord(all.reduce((one, two) => i32.xor(one, two)));
  };
const doubleSum =
  (rotations: readonly number[], shift?: number): Unary =>
  (a, c) => {
    const x = c.let(a);
    const parts = rotations.map((by) => rotate(x, by));
    return xor(...parts, ...(shift === undefined ? [] : [i64.shrU(x, i64.const(shift))]));
  };
const permutation =
  (first: number, second: number): Unary =>
  (a, c) => {
    const x = c.let(wrap(a));
    return onWord(i32.xor(x, i32.xor(rotateWord(x, first), rotateWord(x, second))));
  };

const sha2 = integerForms(["zknh"]);
const sm3 = integerForms(["zksh"]);

const hashes: readonly Instruction[] = [
  ...[
    sha2.unaryWord("sha256sum0", 1, 0x100, wordSum([2, 13, 22])),
    sha2.unaryWord("sha256sum1", 1, 0x101, wordSum([6, 11, 25])),
    sha2.unaryWord("sha256sig0", 1, 0x102, wordSum([7, 18], 3)),
    sha2.unaryWord("sha256sig1", 1, 0x103, wordSum([17, 19], 10)),
    sm3.unaryWord("sm3p0", 1, 0x108, permutation(9, 17)),
    sm3.unaryWord("sm3p1", 1, 0x109, permutation(15, 23)),
  ].map(inOpImm),
  sha2.unary("sha512sum0", 1, 0x104, doubleSum([28, 34, 39])),
  sha2.unary("sha512sum1", 1, 0x105, doubleSum([14, 18, 41])),
  sha2.unary("sha512sig0", 1, 0x106, doubleSum([1, 8], 7)),
  sha2.unary("sha512sig1", 1, 0x107, doubleSum([19, 61], 6)),
];

/** These have 32-bit results under OP-IMM and OP, and not under the opcodes for words. */
function inOpImm(instruction: Instruction): Instruction {
  return { ...instruction, match: instruction.match & ~8 };
}

// AES: a state is two registers of two columns each.

/** Bytes 7 to 0 of the upper or lower half after ShiftRows: which register has it, and which of its bytes. */
type Bytes = readonly (readonly ["low" | "high", number])[];
const shiftRows: Bytes = [
  ...([
    ["low", 0],
    ["low", 5],
    ["high", 2],
    ["high", 7],
  ] as const),
  ...([
    ["low", 4],
    ["high", 1],
    ["high", 6],
    ["low", 3],
  ] as const),
];
const shiftRowsBack: Bytes = [
  ...([
    ["low", 0],
    ["high", 5],
    ["high", 2],
    ["low", 7],
  ] as const),
  ...([
    ["low", 4],
    ["low", 1],
    ["high", 6],
    ["high", 3],
  ] as const),
];

/** Bytes from both registers: those that move by the same distance move together. */
function gather(low: Value, high: Value, bytes: Bytes): Value {
  const masks = new Map<string, bigint>();
  bytes.forEach(([half, from], to) => {
    const key = `${half} ${(to - from) & 7}`;
    masks.set(key, (masks.get(key) ?? 0n) | (0xffn << BigInt(8 * to)));
  });
  const parts = [...masks].map(([key, mask]) => {
    const [half, by] = key.split(" ");
    const moved = op<"i64">("i64.rotl", half === "low" ? low : high, i64.const(8 * Number(by)));
    return i64.and(moved, i64.big(BigInt.asIntN(64, mask)));
  });
  return parts.reduce((a, b) => i64.or(a, b));
}

const bytes = (byte: number): Value => i64.big(BigInt(byte) * 0x0101_0101_0101_0101n);
/** Each byte times x in the field of AES. */
const timesX = (value: Value): Value =>
  i64.xor(
    shifted(i64.and(value, bytes(0x7f)), 1),
    i64.mul(i64.and(i64.shrU(value, i64.const(7)), bytes(1)), i64.const(0x1b)),
  );
/** Each column turned down by `rows`, so that a byte comes to the place of the one that many rows above. */
function turnColumns(value: Value, rows: number): Value {
  const low = (1n << BigInt(32 - 8 * rows)) - 1n;
  const kept = low | (low << 32n);
  const all = (1n << 64n) - 1n;
  return i64.or(
    i64.and(i64.shrU(value, i64.const(8 * rows)), i64.big(BigInt.asIntN(64, kept))),
    i64.and(shifted(value, 32 - 8 * rows), i64.big(BigInt.asIntN(64, all ^ kept))),
  );
}

/** 2a + 3b + c + d for a byte a and those below it. */
function mixColumns(c: Code, value: Value): Value {
  const x = c.let(value);
  const doubled = c.let(timesX(x));
  const tripled = c.let(i64.xor(doubled, x));
  return xor(doubled, turnColumns(tripled, 1), turnColumns(x, 2), turnColumns(x, 3));
}

/** 14a + 11b + 13c + 9d: what MixColumns does to a column whose bytes have 4(a + c) and 4(b + d) added. */
function mixColumnsBack(c: Code, value: Value): Value {
  const x = c.let(value);
  const pairs = c.let(i64.xor(x, turnColumns(x, 2)));
  return mixColumns(c, i64.xor(x, timesX(c.let(timesX(pairs)))));
}

const encrypt = integerForms(["zkne"]);
const decrypt = integerForms(["zknd"]);
const both = integerForms(["zkne", "zknd"]);

const substitute = (value: Value): Value => call("i64", "aesSubstitute", value);
const substituteBack = (value: Value): Value => call("i64", "aesSubstituteInverse", value);

const roundConstants = [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36];
const lastRound = 0xa;

/** The constant of round `imm`, which the round after the last does not have. */
const roundConstant: Value = roundConstants.reduceRight<Value>(
  (otherwise, constant, round) => select(i32.eq(imm32, i32.const(round)), i64.const(constant), otherwise),
  i64.const(0),
);

const keySchedule: Instruction = {
  name: "aes64ks1i",
  extensions: ["zkne", "zknd"],
  match: 0x31001013,
  mask: 0xff00707f | 0,
  operands: { dst: "x", src1: "x", imm: "rnum" },
  assembly: "rd, rs1, imm",
  reserved: (word) => immediate("rnum", word) > lastRound,
  semantics: (c) => {
    const word = c.let(wrap(highHalf(rs1)));
    const turned = select(i32.eq(imm32, i32.const(lastRound)), word, op<"i32">("i32.rotr", word, i32.const(8)));
    const result = c.let(i64.xor(i64.and(substitute(extendU(turned)), i64.big(0xffff_ffffn)), roundConstant));
    setRd(c, i64.or(result, shifted(result, 32)));
  },
};

const aes: readonly Instruction[] = [
  encrypt.register("aes64es", 0, 0x19, (a, b) => substitute(gather(a, b, shiftRows))),
  encrypt.register("aes64esm", 0, 0x1b, (a, b, c) => mixColumns(c, substitute(gather(a, b, shiftRows)))),
  decrypt.register("aes64ds", 0, 0x1d, (a, b) => substituteBack(gather(a, b, shiftRowsBack))),
  decrypt.register("aes64dsm", 0, 0x1f, (a, b, c) => mixColumnsBack(c, substituteBack(gather(a, b, shiftRowsBack)))),
  decrypt.unary("aes64im", 1, 0x300, (a, c) => mixColumnsBack(c, a)),
  keySchedule,
  both.register("aes64ks2", 0, 0x3f, (a, b, c) => {
    const first = c.let(i64.and(i64.xor(highHalf(a), b), i64.big(0xffff_ffffn)));
    return i64.or(first, shifted(i64.xor(first, highHalf(b)), 32));
  }),
];

// SM4: one byte of rs2 is substituted, spread over a word, turned to its place and added to rs1.

/** Where bits of the substituted byte go: SM4's linear transformation, of words whose first byte is the lowest. */
type Spread = readonly (readonly [mask: number, left: number])[];
const encryption: Spread = [
  ...([
    [0xff, 0],
    [0xff, 8],
    [0xff, 2],
    [0xff, 18],
  ] as const),
  ...([
    [0x3f, 26],
    [0xc0, 10],
  ] as const),
];
const schedule: Spread = [
  ...([
    [0xff, 0],
    [0x07, 29],
    [0xfe, 7],
  ] as const),
  ...([
    [0x01, 23],
    [0xf8, 13],
  ] as const),
];

function sm4(name: string, operation: number, spread: Spread): Instruction {
  return {
    name,
    extensions: ["zksed"],
    match: 0x33 | (operation << 25),
    mask: 0x3e00707f,
    operands: { dst: "x", src1: "x", src2: "x", imm: "bs" },
    assembly: "rd, rs1, rs2, bs",
    semantics: (c) => {
      const x = c.let(i32.and(wrap(call("i64", "sm4Substitute", i64.shrU(rs2, imm))), i32.const(0xff)));
      const parts = spread.map(([mask, left]) => i32.shl(i32.and(x, i32.const(mask)), i32.const(left)));
      const word = parts.reduce((a, b) => i32.xor(a, b));
      setRdWord(c, i64.xor(rs1, extendU(op("i32.rotl", word, imm32))));
    },
  };
}

const sm4s: readonly Instruction[] = [sm4("sm4ed", 0x18, encryption), sm4("sm4ks", 0x1a, schedule)];

export const zk: readonly Instruction[] = [...hashes, ...aes, ...sm4s];
