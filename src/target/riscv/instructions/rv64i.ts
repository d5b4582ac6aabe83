// table: RV64I (unprivileged spec §2, §4), with Zifencei and the hint that Zihintpause names.
import {
  extendU,
  i32,
  i64,
  imm,
  imm32,
  nextPc,
  op,
  pc,
  type Code,
  type Expr,
  type Width,
} from "../../../accel/index.ts";
import { exactly, pattern, type Instruction, type Pattern } from "../encoding.ts";
import { rs1, rs2, setRd, setRdWord } from "../operands.ts";

const I = ["i"];
type Binary = (a: Expr<"i64">, b: Expr<"i64">) => Expr<"i64">;

const address: Expr<"i64"> = i64.add(rs1, imm);
const shamt63 = (by: Expr<"i64">): Expr<"i64"> => i64.and(by, i64.const(63));
const flag = (condition: Expr<"i32">): Expr<"i64"> => extendU(condition);

function registerOp(name: string, p: Pattern, f: Binary, word = false): Instruction {
  return {
    name,
    extensions: I,
    ...p,
    operands: { dst: "x", src1: "x", src2: "x" },
    assembly: "rd, rs1, rs2",
    semantics: (c) => (word ? setRdWord : setRd)(c, f(rs1, rs2)),
  };
}

function immediateOp(name: string, p: Pattern, f: Binary, word = false): Instruction {
  return {
    name,
    extensions: I,
    ...p,
    operands: { dst: "x", src1: "x", imm: "i" },
    assembly: "rd, rs1, imm",
    semantics: (c) => (word ? setRdWord : setRd)(c, f(rs1, imm)),
  };
}

/** Shifts by an immediate: 6 bits of amount, or 5 for words. */
function shiftOp(name: string, opcode: number, f3: number, top: number, word: boolean, f: Binary): Instruction {
  const p = pattern(opcode, f3);
  return {
    name,
    extensions: I,
    match: p.match | (top << 25),
    mask: p.mask | (word ? 0x7f << 25 : 0x3f << 26),
    operands: { dst: "x", src1: "x", imm: word ? "shamt5" : "shamt6" },
    assembly: "rd, rs1, imm",
    semantics: (c) => (word ? setRdWord : setRd)(c, f(rs1, imm)),
  };
}

function load(name: string, f3: number, width: Width, signed: boolean): Instruction {
  return {
    name,
    extensions: I,
    ...pattern(0x03, f3),
    operands: { dst: "x", src1: "x", imm: "i" },
    assembly: "rd, mem",
    semantics: (c) => setRd(c, c.load(address, width, signed)),
  };
}

function store(name: string, f3: number, width: Width): Instruction {
  return {
    name,
    extensions: I,
    ...pattern(0x23, f3),
    operands: { src1: "x", src2: "x", imm: "s" },
    assembly: "rs2, mem",
    semantics: (c) => c.store(address, width, rs2),
  };
}

function branch(name: string, f3: number, f: (a: Expr<"i64">, b: Expr<"i64">) => Expr<"i32">): Instruction {
  return {
    name,
    extensions: I,
    ...pattern(0x63, f3),
    operands: { src1: "x", src2: "x", imm: "b" },
    assembly: "rs1, rs2, target",
    semantics: (c) => c.branch(f(rs1, rs2)),
  };
}

function jalr(c: Code): void {
  const target = c.let(i64.and(address, i64.const(-2)));
  setRd(c, nextPc);
  c.jump(target);
}

const low32 = (a: Expr<"i64">): Expr<"i64"> => i64.and(a, i64.big(0xffff_ffffn));
const sllw: Binary = (a, b) => i64.shl(a, i64.and(b, i64.const(31)));
const srlw: Binary = (a, b) => i64.shrU(low32(a), i64.and(b, i64.const(31)));
const sraw: Binary = (a, b) => i64.shrS(op("i64.extend32_s", a), i64.and(b, i64.const(31)));
const sll: Binary = (a, b) => i64.shl(a, shamt63(b));
const srl: Binary = (a, b) => i64.shrU(a, shamt63(b));
const sra: Binary = (a, b) => i64.shrS(a, shamt63(b));

export const rv64i: readonly Instruction[] = [
  {
    name: "lui",
    extensions: I,
    ...pattern(0x37),
    operands: { dst: "x", imm: "u" },
    assembly: "rd, imm",
    semantics: (c) => setRd(c, imm),
  },
  {
    name: "auipc",
    extensions: I,
    ...pattern(0x17),
    operands: { dst: "x", imm: "u" },
    assembly: "rd, imm",
    semantics: (c) => setRd(c, i64.add(pc, imm)),
  },
  {
    name: "jal",
    extensions: I,
    ...pattern(0x6f),
    operands: { dst: "x", imm: "j" },
    assembly: "rd, target",
    semantics: (c) => {
      setRd(c, nextPc);
      c.branch();
    },
  },
  {
    name: "jalr",
    extensions: I,
    ...pattern(0x67, 0),
    operands: { dst: "x", src1: "x", imm: "i" },
    assembly: "rd, mem",
    semantics: jalr,
  },
  branch("beq", 0, i64.eq),
  branch("bne", 1, i64.ne),
  branch("blt", 4, i64.ltS),
  branch("bge", 5, i64.geS),
  branch("bltu", 6, i64.ltU),
  branch("bgeu", 7, i64.geU),
  load("lb", 0, 1, true),
  load("lh", 1, 2, true),
  load("lw", 2, 4, true),
  load("ld", 3, 8, true),
  load("lbu", 4, 1, false),
  load("lhu", 5, 2, false),
  load("lwu", 6, 4, false),
  store("sb", 0, 1),
  store("sh", 1, 2),
  store("sw", 2, 4),
  store("sd", 3, 8),
  immediateOp("addi", pattern(0x13, 0), i64.add),
  immediateOp("slti", pattern(0x13, 2), (a, b) => flag(i64.ltS(a, b))),
  immediateOp("sltiu", pattern(0x13, 3), (a, b) => flag(i64.ltU(a, b))),
  immediateOp("xori", pattern(0x13, 4), i64.xor),
  immediateOp("ori", pattern(0x13, 6), i64.or),
  immediateOp("andi", pattern(0x13, 7), i64.and),
  shiftOp("slli", 0x13, 1, 0x00, false, i64.shl),
  shiftOp("srli", 0x13, 5, 0x00, false, i64.shrU),
  shiftOp("srai", 0x13, 5, 0x20, false, i64.shrS),
  immediateOp("addiw", pattern(0x1b, 0), i64.add, true),
  shiftOp("slliw", 0x1b, 1, 0x00, true, i64.shl),
  shiftOp("srliw", 0x1b, 5, 0x00, true, (a, b) => i64.shrU(low32(a), b)),
  shiftOp("sraiw", 0x1b, 5, 0x20, true, (a, b) => i64.shrS(op("i64.extend32_s", a), b)),
  registerOp("add", pattern(0x33, 0, 0), i64.add),
  registerOp("sub", pattern(0x33, 0, 0x20), i64.sub),
  registerOp("sll", pattern(0x33, 1, 0), sll),
  registerOp("slt", pattern(0x33, 2, 0), (a, b) => flag(i64.ltS(a, b))),
  registerOp("sltu", pattern(0x33, 3, 0), (a, b) => flag(i64.ltU(a, b))),
  registerOp("xor", pattern(0x33, 4, 0), i64.xor),
  registerOp("srl", pattern(0x33, 5, 0), srl),
  registerOp("sra", pattern(0x33, 5, 0x20), sra),
  registerOp("or", pattern(0x33, 6, 0), i64.or),
  registerOp("and", pattern(0x33, 7, 0), i64.and),
  registerOp("addw", pattern(0x3b, 0, 0), i64.add, true),
  registerOp("subw", pattern(0x3b, 0, 0x20), i64.sub, true),
  registerOp("sllw", pattern(0x3b, 1, 0), sllw, true),
  registerOp("srlw", pattern(0x3b, 5, 0), srlw, true),
  registerOp("sraw", pattern(0x3b, 5, 0x20), sraw, true),
  {
    // FENCE is a FENCE with predecessor W and successor none; harts run in turn, so only PAUSE has an effect.
    name: "pause",
    extensions: ["zihintpause"],
    ...exactly(0x0100000f),
    operands: {},
    assembly: "",
    semantics: (c) => c.helper("pause", i32.const(0)),
  },
  {
    name: "fence",
    extensions: I,
    ...pattern(0x0f, 0),
    operands: { imm: "raw" },
    assembly: "fence",
    semantics: () => {},
  },
  {
    name: "fence.i",
    extensions: ["zifencei"],
    ...pattern(0x0f, 1),
    operands: {},
    assembly: "",
    // Stores to decoded code take effect at once, so nothing is stale here.
    semantics: () => {},
  },
  {
    name: "ecall",
    extensions: I,
    ...exactly(0x00000073),
    operands: {},
    assembly: "",
    semantics: (c) => c.helper("ecall", i32.const(0)),
  },
  {
    name: "ebreak",
    extensions: I,
    ...exactly(0x00100073),
    operands: {},
    assembly: "",
    semantics: (c) => c.helper("ebreak", imm32),
  },
];
