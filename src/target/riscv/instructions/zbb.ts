// table: Zbb, basic bit manipulation, and what of it Zbkb has too (unprivileged spec §28.4.2, §28.4.5).
import { extendU, i32, i64, op, select, wrap, type Expr } from "../../../accel/index.ts";
import type { Instruction } from "../encoding.ts";
import { rs1, setRd } from "../operands.ts";
import { integerForms, type Binary, type Unary, type WordBinary } from "./integer-forms.ts";

const { register, unary, unaryWord } = integerForms(["zbb"]);
const shared = integerForms(["zbb", "zbkb"]);

const invert = (a: Expr<"i64">): Expr<"i64"> => i64.xor(a, i64.const(-1));
/** WebAssembly takes rotation amounts modulo the width, as these instructions do. */
const rotateLeft: Binary = (a, b) => op("i64.rotl", a, b);
const rotateRight: Binary = (a, b) => op("i64.rotr", a, b);
const rotateWordLeft: WordBinary = (a, b) => op("i32.rotl", a, b);
const rotateWordRight: WordBinary = (a, b) => op("i32.rotr", a, b);
const count =
  (name: "clz" | "ctz" | "popcnt"): Unary =>
  (a) =>
    op(`i64.${name}`, a);
const countWord =
  (name: "clz" | "ctz" | "popcnt"): Unary =>
  (a) =>
    extendU(op(`i32.${name}`, wrap(a)));

/** 0xff for each byte that is not zero: adding 0x7f to seven bits carries into the eighth unless all are zero. */
const orCombine: Unary = (a, c) => {
  const x = c.let(a);
  const low7 = i64.big(0x7f7f_7f7f_7f7f_7f7fn);
  const tops = i64.and(i64.or(i64.add(i64.and(x, low7), low7), x), i64.big(0x8080_8080_8080_8080n));
  return i64.mul(i64.shrU(tops, i64.const(7)), i64.const(0xff));
};

/** Swaps neighbouring groups of `bits` bits; `low` has the lower group of each pair. */
const swapNeighbours = (x: Expr<"i64">, bits: number, low: bigint): Expr<"i64"> =>
  i64.or(i64.and(i64.shrU(x, i64.const(bits)), i64.big(low)), i64.shl(i64.and(x, i64.big(low)), i64.const(bits)));

const reverseBytes: Unary = (a, c) => {
  const inPairs = c.let(swapNeighbours(c.let(a), 8, 0x00ff_00ff_00ff_00ffn));
  const inFours = c.let(swapNeighbours(inPairs, 16, 0x0000_ffff_0000_ffffn));
  return op("i64.rotl", inFours, i64.const(32));
};

const reverseBits: Unary = (a, c) => {
  const one = c.let(swapNeighbours(c.let(a), 1, 0x5555_5555_5555_5555n));
  const two = c.let(swapNeighbours(one, 2, 0x3333_3333_3333_3333n));
  return swapNeighbours(two, 4, 0x0f0f_0f0f_0f0f_0f0fn);
};

const half = (a: Expr<"i64">): Expr<"i64"> => i64.and(a, i64.const(0xffff));
const byte = (a: Expr<"i64">): Expr<"i64"> => i64.and(a, i64.const(0xff));
const low = (a: Expr<"i64">): Expr<"i64"> => extendU(wrap(a));

const zbkbOnly = integerForms(["zbkb"]);

export const zbb: readonly Instruction[] = [
  shared.register("andn", 7, 0x20, (a, b) => i64.and(a, invert(b))),
  shared.register("orn", 6, 0x20, (a, b) => i64.or(a, invert(b))),
  shared.register("xnor", 4, 0x20, (a, b) => invert(i64.xor(a, b))),
  unary("clz", 1, 0x600, count("clz")),
  unary("ctz", 1, 0x601, count("ctz")),
  unary("cpop", 1, 0x602, count("popcnt")),
  unary("sext.b", 1, 0x604, (a) => op("i64.extend8_s", a)),
  unary("sext.h", 1, 0x605, (a) => op("i64.extend16_s", a)),
  unaryWord("clzw", 1, 0x600, countWord("clz")),
  unaryWord("ctzw", 1, 0x601, countWord("ctz")),
  unaryWord("cpopw", 1, 0x602, countWord("popcnt")),
  register("max", 6, 0x05, (a, b) => select(i64.ltS(a, b), b, a)),
  register("maxu", 7, 0x05, (a, b) => select(i64.ltU(a, b), b, a)),
  register("min", 4, 0x05, (a, b) => select(i64.ltS(a, b), a, b)),
  register("minu", 5, 0x05, (a, b) => select(i64.ltU(a, b), a, b)),
  shared.register("rol", 1, 0x30, rotateLeft),
  shared.register("ror", 5, 0x30, rotateRight),
  shared.shift("rori", 5, 0x18, rotateRight),
  shared.registerWord("rolw", 1, 0x30, rotateWordLeft),
  shared.registerWord("rorw", 5, 0x30, rotateWordRight),
  shared.shiftWord("roriw", 5, 0x30, rotateWordRight),
  unary("orc.b", 5, 0x287, orCombine),
  shared.unary("rev8", 5, 0x6b8, reverseBytes),
  {
    name: "zext.h",
    extensions: ["zbb"],
    match: 0x0800403b,
    mask: 0xfff0707f | 0,
    operands: { dst: "x", src1: "x" },
    assembly: "rd, rs1",
    semantics: (c) => setRd(c, half(rs1)),
  },
  zbkbOnly.unary("brev8", 5, 0x687, reverseBits),
  zbkbOnly.register("pack", 4, 0x04, (a, b) => i64.or(low(a), i64.shl(b, i64.const(32)))),
  zbkbOnly.register("packh", 7, 0x04, (a, b) => i64.or(byte(a), i64.shl(byte(b), i64.const(8)))),
  zbkbOnly.registerWord("packw", 4, 0x04, (a, b) => i32.or(i32.and(a, i32.const(0xffff)), i32.shl(b, i32.const(16)))),
];
