// The shapes that integer instructions come in (unprivileged spec §2.4, §4.2), for the tables of every extension.
import { extendS, imm, imm32, wrap, type Code, type Expr } from "../../../accel/index.ts";
import { pattern, type Instruction, type Operands, type Pattern } from "../encoding.ts";
import { low32, rs1, rs2, setRd, setRdWord } from "../operands.ts";

/** The value of an instruction's operands; `c` takes statements, for values that are used more than once. */
export type Unary = (a: Expr<"i64">, c: Code) => Expr<"i64">;
export type Binary = (a: Expr<"i64">, b: Expr<"i64">, c: Code) => Expr<"i64">;
/** Of their low words: an engine extends those only where all 64 bits are asked for. */
export type WordBinary = (a: Expr<"i32">, b: Expr<"i32">) => Expr<"i32">;

/** Opcodes OP-IMM and OP, and those of their forms for words. */
const opImm = 0x13;
const opImm32 = 0x1b;
const op = 0x33;
const op32 = 0x3b;

/** Makers of one extension's instructions; the word forms write their low 32 bits, sign-extended. */
export interface IntegerForms {
  /** rd = f(rs1, rs2), by funct3 and funct7. */
  register(name: string, f3: number, f7: number, f: Binary): Instruction;
  registerWord(name: string, f3: number, f7: number, f: WordBinary): Instruction;
  /** rd = f(low word of rs1, rs2), all 64 bits of it. */
  registerFromWord(name: string, f3: number, f7: number, f: Binary): Instruction;
  /** rd = f(rs1, immediate of 12 bits). */
  immediate(name: string, f3: number, f: Binary): Instruction;
  immediateWord(name: string, f3: number, f: WordBinary): Instruction;
  /** rd = f(rs1, amount of 6 bits), by the six bits above the amount. */
  shift(name: string, f3: number, top: number, f: Binary): Instruction;
  /** rd = f(low word of rs1, amount of 6 bits), all 64 bits of it. */
  shiftFromWord(name: string, f3: number, top: number, f: Binary): Instruction;
  /** rd = f(rs1, amount of 5 bits), by the seven bits above the amount. */
  shiftWord(name: string, f3: number, top: number, f: WordBinary): Instruction;
  /** rd = f(rs1), by the twelve bits where an immediate would be. */
  unary(name: string, f3: number, top: number, f: Unary): Instruction;
  unaryWord(name: string, f3: number, top: number, f: Unary): Instruction;
}

interface Shape {
  readonly set: typeof setRd;
  readonly operands: Operands;
  readonly assembly: string;
}

const binary = { dst: "x", src1: "x", src2: "x" } as const;
const withImmediate = { dst: "x", src1: "x", imm: "i" } as const;
const registers: Shape = { set: setRd, operands: binary, assembly: "rd, rs1, rs2" };
const immediates: Shape = { set: setRd, operands: withImmediate, assembly: "rd, rs1, imm" };
const shifts: Shape = { ...immediates, operands: { ...withImmediate, imm: "shamt6" } };
const shiftsWord: Shape = { ...immediates, operands: { ...withImmediate, imm: "shamt5" } };
const unaries: Shape = { set: setRd, operands: { dst: "x", src1: "x" }, assembly: "rd, rs1" };
const word = (shape: Shape): Shape => ({ ...shape, set: setRdWord });

/** A format whose upper `bits` bits are fixed. */
function withTop(opcode: number, f3: number, top: number, bits: number): Pattern {
  const p = pattern(opcode, f3);
  return { match: p.match | (top << (32 - bits)), mask: p.mask | (-1 << (32 - bits)) };
}

export function integerForms(extensions: readonly string[]): IntegerForms {
  const make = (name: string, shape: Shape, p: Pattern, value: (c: Code) => Expr<"i64">): Instruction => ({
    name,
    extensions,
    ...p,
    operands: shape.operands,
    assembly: shape.assembly,
    semantics: (c) => shape.set(c, value(c)),
  });
  return {
    register: (name, f3, f7, f) => make(name, registers, pattern(op, f3, f7), (c) => f(rs1, rs2, c)),
    registerWord: (name, f3, f7, f) =>
      make(name, registers, pattern(op32, f3, f7), () => extendS(f(wrap(rs1), wrap(rs2)))),
    registerFromWord: (name, f3, f7, f) => make(name, registers, pattern(op32, f3, f7), (c) => f(low32(rs1), rs2, c)),
    immediate: (name, f3, f) => make(name, immediates, pattern(opImm, f3), (c) => f(rs1, imm, c)),
    immediateWord: (name, f3, f) => make(name, immediates, pattern(opImm32, f3), () => extendS(f(wrap(rs1), imm32))),
    shift: (name, f3, top, f) => make(name, shifts, withTop(opImm, f3, top, 6), (c) => f(rs1, imm, c)),
    shiftFromWord: (name, f3, top, f) => make(name, shifts, withTop(opImm32, f3, top, 6), (c) => f(low32(rs1), imm, c)),
    shiftWord: (name, f3, top, f) =>
      make(name, shiftsWord, withTop(opImm32, f3, top, 7), () => extendS(f(wrap(rs1), imm32))),
    unary: (name, f3, top, f) => make(name, unaries, withTop(opImm, f3, top, 12), (c) => f(rs1, c)),
    unaryWord: (name, f3, top, f) => make(name, word(unaries), withTop(opImm32, f3, top, 12), (c) => f(rs1, c)),
  };
}
