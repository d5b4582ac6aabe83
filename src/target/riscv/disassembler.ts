// Assembly text of instructions, from the same table that decodes and executes them.
import { csrByNumber } from "./csr/table.ts";
import type { Decoded, Decoder } from "./decoder.ts";
import { csrNumber, funct3 } from "./encoding.ts";
import { floatConstantName } from "./fp/constants.ts";

const abi = [
  ...["zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"],
  ...["s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"],
];
const fabi = [
  ...["ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4"],
  ...["fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11"],
  ...["ft8", "ft9", "ft10", "ft11"],
];
const roundingModes = ["rne", "rtz", "rdn", "rup", "rmm", "rm5", "rm6", "dyn"];
const fenceBits = ["w", "r", "o", "i"];

const fenceSet = (bits: number): string =>
  fenceBits
    .filter((_, i) => (bits >>> i) & 1)
    .reverse()
    .join("") || "0";

/** One line for the instruction at `pc`; `word` holds its bits at the low end. */
export function disassemble(decoder: Decoder, word: number, pc: bigint): { text: string; lengthBytes: 2 | 4 } {
  const decoded = decoder.decode(word);
  const { instruction, lengthBytes } = decoded;
  if (instruction.name === "illegal") {
    const digits = (lengthBytes === 4 ? word >>> 0 : word & 0xffff).toString(16).padStart(lengthBytes * 2, "0");
    return { text: `.${lengthBytes === 4 ? "word" : "half"} 0x${digits}`, lengthBytes };
  }
  const operands = instruction.assembly
    .split(", ")
    .filter((name) => name !== "")
    .map((name) => operandText(name, decoded, word, pc));
  const name = instruction.mnemonic ?? instruction.name;
  return { text: `${name}${operands.length === 0 ? "" : ` ${operands.join(", ")}`}`, lengthBytes };
}

function operandText(name: string, d: Decoded, word: number, pc: bigint): string {
  const raw = d.instruction.operands.imm === "raw";
  switch (name) {
    case "rd":
      return abi[raw ? (word >>> 7) & 31 : d.rd]!;
    case "rs1":
      return abi[raw ? (word >>> 15) & 31 : d.rs1]!;
    case "rs2":
      return abi[raw ? (word >>> 20) & 31 : d.rs2]!;
    case "fd":
      return fabi[d.rd]!;
    case "fs1":
      return fabi[d.rs1]!;
    case "fs2":
      return fabi[d.rs2]!;
    case "fs3":
      return fabi[d.rs3]!;
    case "(rs1)":
      return `(${abi[d.rs1]!})`;
    case "mem":
      return `${d.imm}(${abi[d.rs1]!})`;
    case "target":
      return `0x${BigInt.asUintN(64, pc + BigInt(d.imm)).toString(16)}`;
    case "imm":
      return d.instruction.operands.imm === "u" ? `0x${(d.imm >>> 12).toString(16)}` : String(d.imm);
    case "bs":
      return String(word >>> 30);
    case "zimm":
      return String((word >>> 15) & 31);
    case "csr":
      return csrByNumber[csrNumber(word)]?.name ?? `0x${csrNumber(word).toString(16)}`;
    case "constant":
      return floatConstantName((word >>> 15) & 31);
    case "rm":
      return roundingModes[funct3(word)]!;
    case "fence":
      return `${fenceSet((word >>> 24) & 15)}, ${fenceSet((word >>> 20) & 15)}`;
    default:
      return name;
  }
}
