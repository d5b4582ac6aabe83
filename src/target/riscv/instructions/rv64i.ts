// table: RV64I (unprivileged spec §2, §4), with Zifencei and the hint that Zihintpause names.
import { extendU, i32, i64, imm, imm32, nextPc, pc, type Code, type Expr, type Width } from "../../../accel/index.ts";
import { exactly, pattern, type Instruction } from "../encoding.ts";
import { rs1, rs2, setRd } from "../operands.ts";
import { integerForms } from "./integer-forms.ts";

const I = ["i"];
const { register, registerWord, immediate, immediateWord, shift, shiftWord } = integerForms(I);

const address: Expr<"i64"> = i64.add(rs1, imm);
const flag = (condition: Expr<"i32">): Expr<"i64"> => extendU(condition);

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

/** WebAssembly takes shift amounts modulo the width, as these instructions do. */
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
  immediate("addi", 0, i64.add),
  immediate("slti", 2, (a, b) => flag(i64.ltS(a, b))),
  immediate("sltiu", 3, (a, b) => flag(i64.ltU(a, b))),
  immediate("xori", 4, i64.xor),
  immediate("ori", 6, i64.or),
  immediate("andi", 7, i64.and),
  shift("slli", 1, 0x00, i64.shl),
  shift("srli", 5, 0x00, i64.shrU),
  shift("srai", 5, 0x10, i64.shrS),
  immediateWord("addiw", 0, i32.add),
  shiftWord("slliw", 1, 0x00, i32.shl),
  shiftWord("srliw", 5, 0x00, i32.shrU),
  shiftWord("sraiw", 5, 0x20, i32.shrS),
  register("add", 0, 0, i64.add),
  register("sub", 0, 0x20, i64.sub),
  register("sll", 1, 0, i64.shl),
  register("slt", 2, 0, (a, b) => flag(i64.ltS(a, b))),
  register("sltu", 3, 0, (a, b) => flag(i64.ltU(a, b))),
  register("xor", 4, 0, i64.xor),
  register("srl", 5, 0, i64.shrU),
  register("sra", 5, 0x20, i64.shrS),
  register("or", 6, 0, i64.or),
  register("and", 7, 0, i64.and),
  registerWord("addw", 0, 0, i32.add),
  registerWord("subw", 0, 0x20, i32.sub),
  registerWord("sllw", 1, 0, i32.shl),
  registerWord("srlw", 5, 0, i32.shrU),
  registerWord("sraw", 5, 0x20, i32.shrS),
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
