// What random code is made of.
import { csrs } from "../../src/target/riscv/csr/table.ts";
import { assemble } from "../../src/target/riscv/testing/assemble.ts";
import { csrNamed, loadImmediate } from "../../src/target/riscv/testing/assembler.ts";
import type { LockstepCpu } from "./cpu.ts";
import { blindBits, boundedCsrs, freeCsrs, untouchedCsrs } from "./exceptions.ts";
import * as map from "./memory-map.ts";
import type { Item, Mode, World } from "./program.ts";
import type { Random } from "./random.ts";
import { csrField, put, rdField, type RandomInstructions, type RegisterUse } from "./random-instruction.ts";

export interface BlockContext {
  readonly cpu: LockstepCpu;
  readonly random: Random;
  readonly instructions: RandomInstructions;
  readonly use: RegisterUse;
  /** Bits of mie that may be set. */
  readonly interrupts: bigint;
  /** The mode that the block begins in. */
  readonly mode: Mode;
  readonly world: World | undefined;
  /** Values of satp that mean something. */
  readonly satps: readonly bigint[];
}

type Maker = (context: BlockContext) => Item | undefined;

const MAX_SKIP = 5;

const plain: Maker = ({ instructions, use }) => ({ words: [instructions.plain(use)] });
const memory: Maker = ({ instructions, use }) => ({ words: [instructions.memory(use)] });
const pair: Maker = ({ instructions, use }) =>
  instructions.hasCompressed ? { words: [instructions.pair(use)] } : undefined;

const branch: Maker = ({ instructions, use, random }) => {
  const skip = random.below(MAX_SKIP);
  const compressed = random.chance(30) ? instructions.compressedBranch(use) : undefined;
  if (compressed !== undefined) {
    return { words: [compressed.word], reference: { at: 0, kind: "c", skip, form: compressed.form } };
  }
  const { word, kind } = instructions.branch(use);
  return { words: [word], reference: { at: 0, kind, skip } };
};

/** `jalr` to an item whose address was computed. */
const jump: Maker = ({ random, instructions, use, cpu }) => {
  const target = instructions.destination(use);
  if (target === 0) return undefined;
  const skip = random.below(MAX_SKIP);
  const address = [assemble("auipc", { rd: target }), assemble("addi", { rd: target, rs1: target })];
  if (cpu.has("zca") && random.chance(30)) {
    const half =
      0x8002 | (target << 7) | (random.chance(50) && use.counter !== 1 && !use.bases.includes(1) ? 0x1000 : 0);
    return { words: [...address, (1 << 16) | half], reference: { at: 1, kind: "add", skip } };
  }
  const less = (random.below(32) - 16) * 2;
  const rd = instructions.destination(use);
  // Bit 0 of the sum is cleared (unprivileged spec §2.5.1).
  const jalr = assemble("jalr", { rd, rs1: target, imm: less + random.below(2) });
  return { words: [...address, jalr], reference: { at: 1, kind: "add", skip, less } };
};

/** CSRs whose random values would take the program out of the keeper's hands. */
const guarded =
  /^([ms]status|[ms]tvec|satp|medeleg|mideleg|pmp.*|tdata[123]|tselect|mcontext|m?cycle|m?instret|mcountinhibit|mseccfg|mstateen.*)$/;
/** What they read differs from run to run, so that their value goes nowhere. */
const unstable = /^(m?cycle|m?instret|time|m?hpmcounter.*|seed)$/;
const isFree = (name: string): boolean => freeCsrs.some((each) => each.names.test(name));
const isBounded = (name: string): boolean => boundedCsrs.some((each) => each.name === name);
const ordinaryCsrs = csrs.filter(
  ({ name }) => !guarded.test(name) && !unstable.test(name) && !isFree(name) && !isBounded(name),
);
const isKept = (name: string): boolean =>
  !unstable.test(name) && !isFree(name) && !blindBits.some((each) => each.csr === name);
const ordinaryCsrsOfClean = ordinaryCsrs.filter(({ name }) => !/^(fflags|frm|fcsr)$/.test(name));
const CSR_READ = 0;

const csr: Maker = ({ random, instructions, use }) => {
  const word = instructions.system("csr", use);
  if (word === undefined) return undefined;
  const kind = random.below(10);
  if (kind < 7) {
    const { name, number } = random.pick(use.isFloatClean ? ordinaryCsrsOfClean : ordinaryCsrs);
    return { words: [put(put(word, csrField, number), rdField, isKept(name) ? (word >>> 7) & 31 : 0)] };
  }
  // Only a read (csrrs, csrrc with x0), whose result is not kept where it is not the same everywhere.
  const other = kind === 7 ? random.below(4096) : random.pick(csrs).number;
  const known = csrs.find((each) => each.number === other);
  if (known !== undefined && untouchedCsrs.some((each) => each.names.test(known.name))) return undefined;
  const rd = known !== undefined && !isKept(known.name) ? 0 : instructions.destination(use);
  return { words: [assemble(random.pick(["csrrs", "csrrc", "csrrsi", "csrrci"]), { rd, rs1: CSR_READ, csr: other })] };
};

const XL = 0xfn << 32n;
const FS = 3n << 13n;
const XL_64 = 0xan << 32n;

/** mstatus and sstatus, but for the widths of modes, with FS whole. */
const status: Maker = ({ random, instructions, use, mode }) => {
  const value = instructions.destination(use);
  if (value === 0) return undefined;
  const csr_ = csrNamed(mode === "M" && random.chance(60) ? "mstatus" : "sstatus");
  const rd = instructions.destination(use);
  const name = random.pick(["csrrw", "csrrs", "csrrc", "csrrwi", "csrrsi", "csrrci"]);
  if (name.endsWith("i")) return { words: [assemble(name, { rd, rs1: random.below(32), csr: csr_ })] };
  const others = random.bits64() & random.bits64() & ~(XL | FS);
  const bits = others | (name === "csrrw" ? XL_64 : 0n) | (random.chance(30) ? FS : 0n);
  return { words: [...loadImmediate(value, bits), assemble(name, { rd, rs1: value, csr: csr_ })] };
};

const bounded: Maker = ({ random, instructions, use, interrupts }) => {
  const value = instructions.destination(use);
  if (value === 0) return undefined;
  const { name, bits } = random.pick(boundedCsrs);
  const write = { rd: instructions.destination(use), rs1: value, csr: csrNamed(name) };
  const operation = assemble(random.pick(["csrrw", "csrrs", "csrrc"]), write);
  const known = name.endsWith("ie") ? bits & interrupts : bits;
  return { words: [...loadImmediate(value, random.bits64() & known), operation] };
};

/** Other page tables, which matter to machine mode as far as MPRV lends it a lower one. */
const satp: Maker = ({ random, instructions, use, mode, satps, cpu }) => {
  const value = instructions.destination(use);
  if (mode === "U" || value === 0 || satps.length === 0 || !cpu.has("s")) return undefined;
  const write = assemble("csrrw", { rd: instructions.destination(use), rs1: value, csr: csrNamed("satp") });
  return { words: [...loadImmediate(value, random.pick(satps)), write, assemble("sfence.vma")] };
};

const fence: Maker = ({ random, instructions, use, mode }) => {
  // A block that falls into U-mode does not come back to them either.
  const invalidation = mode === "U" || use.mayFall ? [] : ["invalidationFence"];
  const word = instructions.system(random.pick(["sfenceVma", "sfenceVma", "pause", ...invalidation]), use);
  return word === undefined ? undefined : { words: [word] };
};

const environment: Maker = ({ random, mode }) => {
  // Machine mode would return to wherever its last trap came from.
  const refused = mode === "M" ? [] : mode === "S" ? ["mret"] : ["mret", "sret", "wfi"];
  return { words: [assemble(random.pick(["ecall", "ebreak", ...refused]))] };
};

const odd: Maker = ({ instructions, use }) => {
  const word = instructions.odd(use);
  return word === undefined ? undefined : { words: [word] };
};

/** Puts another instruction in the place of a later one. */
const selfModifying: Maker = ({ random, instructions, use, mode }) => {
  const [address, value] = [instructions.destination(use), instructions.destination(use)];
  if (mode === "U" || address === 0 || value === 0 || address === value) return undefined;
  const word = random.chance(80) ? instructions.plain(use) : instructions.memory(use);
  const words = [
    assemble("auipc", { rd: address }),
    assemble("addi", { rd: address, rs1: address }),
    ...loadImmediate(value, BigInt(word)),
    assemble("sw", { rs1: address, rs2: value }),
    assemble("fence.i"),
    // What is changed when there is no later item.
    assemble("addi"),
  ];
  return { words, reference: { at: 1, kind: "patch", skip: random.below(MAX_SKIP) } };
};

const MPP = 0x1800n;
const MPP_S = 0x800n;
const SPP = 0x100n;

/** Goes on in a lower mode, with the next item. */
const lowerMode: Maker = ({ random, instructions, use, mode, world }) => {
  const [address, value] = [instructions.destination(use), instructions.destination(use)];
  if (!use.mayFall || mode === "U" || address === 0 || value === 0 || address === value) return undefined;
  const to = mode === "S" ? "U" : random.pick(["S", "U"] as const);
  const code = BigInt(map.CODE);
  const seen = { U: world?.userCode ?? code, S: world?.supervisorCode ?? code, M: code };
  const [epc, before] = mode === "M" ? (["mepc", "mstatus"] as const) : (["sepc", "sstatus"] as const);
  const change = (name: string, bits: bigint): number[] => [
    ...loadImmediate(value, bits),
    assemble(name, { rd: 0, rs1: value, csr: csrNamed(before) }),
  ];
  const words = [
    assemble("auipc", { rd: address }),
    assemble("addi", { rd: address, rs1: address }),
    ...loadImmediate(value, BigInt.asIntN(64, seen[to] - seen[mode])),
    assemble("add", { rd: address, rs1: address, rs2: value }),
    // Even also where the addition was passed over.
    assemble("andi", { rd: address, rs1: address, imm: -2 }),
    assemble("csrrw", { rd: 0, rs1: address, csr: csrNamed(epc) }),
    ...change("csrrc", mode === "M" ? MPP : SPP),
    ...(mode === "M" && to === "S" ? change("csrrs", MPP_S) : []),
    assemble(mode === "M" ? "mret" : "sret"),
  ];
  return { words, reference: { at: 1, kind: "add", skip: 0 } };
};

const SUPERVISOR = 0x222n;

/** Makes an interrupt pending by a register or a device, at an instruction that both sides know. */
const interrupt: Maker = ({ random, instructions, use, mode, world, cpu, interrupts }) => {
  const [address, value] = [instructions.destination(use), instructions.destination(use)];
  if (mode === "U" || address === 0 || value === 0 || address === value) return undefined;
  const pending = mode === "M" ? "mip" : "sip";
  const set = [...loadImmediate(value, 0x222n), assemble("csrrs", { rd: 0, rs1: value, csr: csrNamed(pending) })];
  const timer = [...loadImmediate(value, 0n), assemble("csrrw", { rd: 0, rs1: value, csr: csrNamed("stimecmp") })];
  const store = (at: number, name: string, what: bigint): number[] => [
    ...loadImmediate(address, BigInt(at)),
    ...loadImmediate(value, what),
    assemble(name, { rs1: address, rs2: value }),
    // A device's answer is seen at the latest behind a jump.
    assemble("jal", { rd: 0, imm: 4 }),
  ];
  const choices = [set, ...(cpu.has("sstc") && mode === "S" ? [timer] : [])];
  const isPhysical = mode === "M" || world === undefined;
  if (isPhysical) choices.push(store(map.CLINT, "sw", 1n));
  if (isPhysical && (interrupts & SUPERVISOR) === 0n) choices.push(store(map.MTIMECMP, "sd", 0n));
  return { words: random.pick(choices) };
};

const makers: readonly (readonly [number, Maker])[] = [
  [44, plain],
  [20, memory],
  [14, pair],
  [7, branch],
  [2, jump],
  [4, csr],
  [1, status],
  [1, bounded],
  [1, satp],
  [1, fence],
  [1, environment],
  [2, odd],
  [1, selfModifying],
  [1, lowerMode],
  [1, interrupt],
];

export function randomItem(context: BlockContext): Item {
  return context.random.weighted(makers)(context) ?? plain(context)!;
}
