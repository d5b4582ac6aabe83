// The machine-mode program that runs random programs one after another: it clears their memory, brings them in, enters their
// blocks, takes every trap, and keeps digests. It is the firmware of the board, so each reset puts it back.
//
// A trap inside a block goes into the digest, and the block goes on behind the instruction; a fault of a fetch, or too many
// traps, ends the block. Traps of supervisor mode land on a page of `ecall`s, so that they come here too, where no page
// table of the program is in the way.
import { Assembler, csrNamed, reg } from "../../src/target/riscv/testing/assembler.ts";
import type { LockstepCpu } from "./cpu.ts";
import { blindBits, blindTrapValues } from "./exceptions.ts";
import * as map from "./memory-map.ts";
import { at, blockVariables, CSRS, ENTRY_TABLE, Floats, Result, Status, X } from "./state-page.ts";

const { zero, t0, t1, t2, t3, t4, t5, t6, s0, s1, a0, a1, a2, a3 } = reg;

const TRAP_LIMIT = 48;
/** Ticks of a program: 10 MHz, and an instruction takes at least a nanosecond. */
const PROGRAM_TICKS = 100_000;
/** A slot for each exception code, then `sret`. */
export const SUPERVISOR_RETURN = 256;
const VECTOR_STUBS = 16;
const Cause = { fetchAccess: 1, illegalInstruction: 2, fetchPage: 12, firstEcall: 8, ecallS: 9, machineTimer: 7 };
const MPP = 0x1800;
const FS = 0x6000;
const SPP_TO_MPP_SHIFT = 3;

export interface Keeper {
  /** To be loaded at `KEEPER`. */
  readonly image: Uint8Array;
  /** Where a block's preparation goes on, with its descriptor in a0. */
  readonly enter: number;
  /** What mtvec may be. */
  readonly trap: number;
  readonly vectoredTrap: number;
}

/** What may be written at the start, so that nothing of an earlier program or of reset is left. */
const clearedCsrs = [
  ...["medeleg", "mideleg", "mie", "mip", "mcounteren", "menvcfg", "mscratch", "mepc", "mcause", "mtval"],
  ...["stvec", "sscratch", "sepc", "scause", "stval", "satp", "scounteren", "senvcfg", "fcsr", "mcountinhibit"],
  ...["mvien", "mvip"],
];

export function makeKeeper(cpu: LockstepCpu): Keeper {
  const a = new Assembler(map.KEEPER);
  dispatch(a, cpu);
  trapEntry(a);
  trapBody(a);
  supervisorTrap(a);
  interrupt(a);
  endOfBlock(a, cpu);
  enter(a, cpu);
  endOfProgram(a, cpu);
  const image = a.finish();
  return {
    image,
    enter: a.addressOf("enter"),
    trap: a.addressOf("trap"),
    vectoredTrap: a.addressOf("vectors") + 1,
  };
}

/** hash = mix(hash, value): a bijection of the hash for each value, of RV64I alone. */
function fold(a: Assembler, hash: number, value: number, temp: number): void {
  a.op("xor", { rd: hash, rs1: hash, rs2: value });
  a.op("slli", { rd: temp, rs1: hash, imm: 7 });
  a.op("add", { rd: hash, rs1: hash, rs2: temp });
  a.op("srli", { rd: temp, rs1: hash, imm: 29 });
  a.op("xor", { rd: hash, rs1: hash, rs2: temp });
}

/** Folds [from, to) into `hash`. */
function foldRange(a: Assembler, hash: number, from: number, to: number): void {
  const loop = a.fresh("fold");
  a.label(loop);
  a.load(a3, from, 0);
  fold(a, hash, a3, t6);
  a.op("addi", { rd: from, rs1: from, imm: 8 });
  a.to("bltu", loop, { rs1: from, rs2: to });
}

/** Reset comes here: the next program of the batch, or the end. */
function dispatch(a: Assembler, cpu: LockstepCpu): void {
  a.la(s0, map.BATCH);
  a.load(t1, s0, 0);
  a.load(t2, s0, 8);
  a.far("bltu", "powerOff", { rs1: t2, rs2: t1 });
  a.op("addi", { rd: t3, rs1: t2, imm: 1 });
  a.store(t3, s0, 8);
  a.la(a0, map.RUN);
  a.la(a1, map.RUN + map.RUN_BYTES);
  a.label("clear");
  for (let i = 0; i < 64; i += 8) a.store(zero, a0, i);
  a.op("addi", { rd: a0, rs1: a0, imm: 64 });
  a.to("bltu", "clear", { rs1: a0, rs2: a1 });
  a.op("slli", { rd: t1, rs1: t2, imm: 3 });
  a.op("add", { rd: t1, rs1: t1, rs2: s0 });
  a.load(s1, t1, 64);
  a.load(t3, s1, 0);
  fillData(a);
  copySegments(a);
  // t2 still is the program's number.
  a.la(t0, map.STATE);
  a.la(t3, map.RESULTS);
  for (let bytes = map.RESULT_BYTES; bytes > 1; bytes >>= 1) a.op("slli", { rd: t2, rs1: t2, imm: 1 });
  a.op("add", { rd: t3, rs1: t3, rs2: t2 });
  a.store(t3, t0, at.resultAt);
  a.op("addi", { rd: t3, rs1: t3, imm: Result.digests });
  a.store(t3, t0, at.digestAt);
  a.la(t3, map.TRAP_LOG);
  a.store(t3, t0, at.logAt);
  resetCsrs(a, cpu);
  a.li(t1, map.MTIME);
  a.load(t1, t1, 0);
  a.li(t2, PROGRAM_TICKS);
  a.op("add", { rd: t1, rs1: t1, rs2: t2 });
  a.store(t1, t0, at.deadline);
  a.jump("nextBlock");
  a.label("powerOff");
  finish(a, map.FINISH_PASS);
}

/** xorshift64 from the seed in t3. */
function fillData(a: Assembler): void {
  a.la(a0, map.DATA);
  a.la(a1, map.DATA + map.FILLED_BYTES);
  a.label("fill");
  for (const [name, by] of [
    ["slli", 13],
    ["srli", 7],
    ["slli", 17],
  ] as const) {
    a.op(name, { rd: t4, rs1: t3, imm: by });
    a.op("xor", { rd: t3, rs1: t3, rs2: t4 });
  }
  a.store(t3, a0, 0);
  a.op("addi", { rd: a0, rs1: a0, imm: 8 });
  a.to("bltu", "fill", { rs1: a0, rs2: a1 });
}

/** From s1: the fill seed, a count, then for each segment its address, its length in bytes, its words. */
function copySegments(a: Assembler): void {
  a.load(a2, s1, 8);
  a.op("addi", { rd: s1, rs1: s1, imm: 16 });
  a.label("segment");
  a.to("beq", "copied", { rs1: a2, rs2: zero });
  a.load(a0, s1, 0);
  a.load(a1, s1, 8);
  a.op("add", { rd: a1, rs1: a1, rs2: a0 });
  a.op("addi", { rd: s1, rs1: s1, imm: 16 });
  a.label("copy");
  a.load(t3, s1, 0);
  a.store(t3, a0, 0);
  a.op("addi", { rd: s1, rs1: s1, imm: 8 });
  a.op("addi", { rd: a0, rs1: a0, imm: 8 });
  a.to("bltu", "copy", { rs1: a0, rs2: a1 });
  a.op("addi", { rd: a2, rs1: a2, imm: -1 });
  a.jump("segment");
  a.label("copied");
}

function resetCsrs(a: Assembler, cpu: LockstepCpu): void {
  a.labelAddress(t1, "trap");
  a.writeCsr("mtvec", t1);
  a.li(t1, FS);
  a.writeCsr("mstatus", t1);
  for (const name of clearedCsrs) if (cpu.csrs.has(csrNamed(name))) a.writeCsr(name, zero);
  if (cpu.csrs.has(csrNamed("stimecmp"))) {
    a.li(t1, -1n);
    a.writeCsr("stimecmp", t1);
  }
  setPriorities(a, cpu);
  protect(a, cpu);
}

/** Numbers in the default order (AIA §5.1): for MSI, MTI and SEI, SSI, STI, a byte each by the interrupt's number. */
const priorities: readonly (readonly [select: number, value: bigint])[] = [
  [0x30, 0x11_00_14_00_10_00_13_00n],
  [0x32, 0x12_00n],
];

function setPriorities(a: Assembler, cpu: LockstepCpu): void {
  for (const level of ["m", "s"] as const) {
    if (!cpu.has(level === "m" ? "smaia" : "ssaia")) continue;
    for (const [select, value] of priorities) {
      a.li(t1, select);
      a.writeCsr(`${level}iselect`, t1);
      a.li(t1, value);
      a.writeCsr(`${level}ireg`, t1);
    }
  }
}

/** The first entry of PMP keeps lower modes off the keeper, the last opens everything else; those between are free. */
function protect(a: Assembler, cpu: LockstepCpu): void {
  if (!cpu.csrs.has(csrNamed("pmpcfg0"))) return;
  a.li(t1, map.KEEPER / 4 + map.KEEPER_BYTES / 8 - 1);
  a.writeCsr("pmpaddr0", t1);
  for (let i = 1; i < 15; i++) a.writeCsr(`pmpaddr${i}`, zero);
  a.li(t1, (1n << 54n) - 1n);
  a.writeCsr("pmpaddr15", t1);
  a.li(t1, 0x18);
  a.writeCsr("pmpcfg0", t1);
  a.li(t1, 0x1fn << 56n);
  a.writeCsr("pmpcfg2", t1);
}

/** `trap` for the direct mode of mtvec, `vectors` for the vectored one; t1 says which slot it was. */
function trapEntry(a: Assembler): void {
  const save = (slot: number): void => {
    a.writeCsr("mscratch", t0);
    a.la(t0, map.STATE);
    a.store(t1, t0, X + t1 * 8);
    a.li(t1, slot);
  };
  a.label("trap");
  save(63);
  a.jump("taken");
  while (a.here % 256 !== 0) a.word(0);
  a.label("vectors");
  for (let i = 0; i < 64; i++) a.jump(`vector.${i % VECTOR_STUBS}`);
  for (let i = 0; i < VECTOR_STUBS; i++) {
    a.label(`vector.${i}`);
    save(i);
    a.jump("taken");
  }
}

const handlerRegisters: readonly number[] = [t2, t3, t4, t5, t6];

/** With t1 = mcause, t2 = mepc, t3 = mtval, t4 = mstatus. */
function trapBody(a: Assembler): void {
  a.label("taken");
  for (const r of handlerRegisters) a.store(r, t0, X + r * 8);
  a.load(t5, t0, at.trapHash);
  fold(a, t5, t1, t6);
  a.store(t5, t0, at.trapHash);
  a.readCsr(t1, "mcause");
  a.readCsr(t2, "mepc");
  a.readCsr(t3, "mtval");
  a.readCsr(t4, "mstatus");
  forgetTrapValue(a, false);
  recordTrap(a, [t1, t2, t3, t4]);
  a.to("blt", "interrupt", { rs1: t1, rs2: zero });
  a.la(t5, map.KEEPER);
  a.op("sub", { rd: t5, rs1: t2, rs2: t5 });
  a.li(t6, map.KEEPER_BYTES);
  a.to("bltu", "fatal", { rs1: t5, rs2: t6 });
  endOnFetchFault(a, t1);
  a.load(t5, t0, at.supervisorTraps);
  a.op("sub", { rd: t5, rs1: t2, rs2: t5 });
  a.li(t6, 4096);
  a.to("bltu", "supervisorTrap", { rs1: t5, rs2: t6 });
  endOnMany(a);
  endOnBlockEnd(a, t1, t2);
  behindInstruction(a, t2);
  a.writeCsr("mepc", t2);
  a.label("return");
  for (const r of [t1, ...handlerRegisters]) a.load(r, t0, X + r * 8);
  a.readCsr(t0, "mscratch");
  a.op("mret");
  a.label("fatal");
  a.li(t6, Status.fatal);
  a.jump("abort");
}

/** Folds four values into the hash of traps; the traps of the block that is looked at go into the log too. */
function recordTrap(a: Assembler, values: readonly number[]): void {
  a.load(t5, t0, at.trapHash);
  for (const value of values) fold(a, t5, value, t6);
  a.store(t5, t0, at.trapHash);
  const full = a.fresh("full");
  a.load(t5, t0, at.block);
  a.load(t6, t0, at.dumpAfter);
  a.op("addi", { rd: t5, rs1: t5, imm: 1 });
  a.to("bne", full, { rs1: t5, rs2: t6 });
  a.load(t5, t0, at.logAt);
  a.la(t6, map.TRAP_LOG + map.TRAP_LOG_BYTES - 32);
  a.to("bltu", full, { rs1: t6, rs2: t5 });
  values.forEach((value, i) => a.store(value, t5, i * 8));
  a.op("addi", { rd: t5, rs1: t5, imm: 32 });
  a.store(t5, t0, at.logAt);
  a.label(full);
  a.load(t5, t0, at.trapCount);
  a.op("addi", { rd: t5, rs1: t5, imm: 1 });
  a.store(t5, t0, at.trapCount);
}

/** Clears t3, the value of the exception of cause t1 at t2 in the mode of status t4, where it is not compared. */
function forgetTrapValue(a: Assembler, fromSupervisor: boolean): void {
  const kept = a.fresh("kept");
  a.op("addi", { rd: t5, rs1: t1, imm: -Cause.illegalInstruction });
  a.to("bne", kept, { rs1: t5, rs2: zero });
  // The mode, as a number of doublewords: MPP, or SPP.
  a.op("srli", { rd: t5, rs1: t4, imm: fromSupervisor ? 8 : 11 });
  a.op("andi", { rd: t5, rs1: t5, imm: fromSupervisor ? 1 : 3 });
  a.op("slli", { rd: t5, rs1: t5, imm: 3 });
  a.op("add", { rd: t5, rs1: t5, rs2: t0 });
  a.load(t5, t5, at.userCode);
  a.op("sub", { rd: t5, rs1: t2, rs2: t5 });
  a.li(t6, map.CODE_BYTES);
  a.to("bgeu", kept, { rs1: t5, rs2: t6 });
  a.la(t6, map.CODE);
  a.op("add", { rd: t5, rs1: t5, rs2: t6 });
  a.op("lbu", { rd: t5, rs1: t5, imm: 0 });
  a.op("andi", { rd: t5, rs1: t5, imm: 0x7f });
  for (const { opcode } of blindTrapValues) {
    const other = a.fresh("other");
    a.li(t6, opcode);
    a.to("bne", other, { rs1: t5, rs2: t6 });
    a.li(t3, 0);
    a.label(other);
  }
  // So that nobody reads it.
  a.writeCsr(fromSupervisor ? "stval" : "mtval", t3);
  a.label(kept);
}

function endOnFetchFault(a: Assembler, cause: number): void {
  a.far("bne", "endOfBlock", { rs1: cause, rs2: zero });
  for (const each of [Cause.fetchAccess, Cause.fetchPage]) {
    a.li(t6, each);
    a.far("bne", "endOfBlock", { rs1: cause, rs2: t6 });
  }
}

function endOnMany(a: Assembler): void {
  a.load(t5, t0, at.trapCount);
  a.li(t6, TRAP_LIMIT);
  a.far("bltu", "endOfBlock", { rs1: t5, rs2: t6 });
}

/** An `ecall` at the block's end, by where the mode that made it sees the code. */
function endOnBlockEnd(a: Assembler, cause: number, pc: number): void {
  const other = a.fresh("other");
  a.op("addi", { rd: t5, rs1: cause, imm: -Cause.firstEcall });
  a.li(t6, 4);
  a.to("bgeu", other, { rs1: t5, rs2: t6 });
  a.op("slli", { rd: t5, rs1: t5, imm: 3 });
  a.op("add", { rd: t5, rs1: t5, rs2: t0 });
  a.load(t5, t5, at.userCode);
  a.op("sub", { rd: t5, rs1: pc, rs2: t5 });
  a.load(t6, t0, at.endOffset);
  a.far("bne", "endOfBlock", { rs1: t5, rs2: t6 });
  a.label(other);
}

/** Instructions of a block stand in slots of four bytes that begin at its phase. */
function behindInstruction(a: Assembler, pc: number): void {
  a.load(t5, t0, at.phase);
  a.op("sub", { rd: pc, rs1: pc, rs2: t5 });
  a.op("andi", { rd: pc, rs1: pc, imm: -4 });
  a.op("addi", { rd: pc, rs1: pc, imm: 4 });
  a.op("add", { rd: pc, rs1: pc, rs2: t5 });
}

/** Something on the supervisor's page of traps: its first `ecall`, or what went wrong there. */
function supervisorTrap(a: Assembler): void {
  a.label("supervisorTrap");
  a.li(t6, Cause.ecallS);
  a.to("beq", "supervisorTaken", { rs1: t1, rs2: t6 });
  // Its `sret` was refused, so it is done here.
  endOnMany(a);
  a.li(t6, MPP);
  a.clearCsrBits("mstatus", t6);
  a.op("andi", { rd: t4, rs1: t4, imm: 0x100 });
  a.op("slli", { rd: t4, rs1: t4, imm: SPP_TO_MPP_SHIFT });
  a.setCsrBits("mstatus", t4);
  a.readCsr(t2, "sepc");
  a.writeCsr("mepc", t2);
  a.jump("return");
  a.label("supervisorTaken");
  a.readCsr(t1, "scause");
  a.readCsr(t2, "sepc");
  a.readCsr(t3, "stval");
  a.readCsr(t4, "sstatus");
  forgetTrapValue(a, true);
  recordTrap(a, [t1, t2, t3, t4]);
  endOnMany(a);
  a.to("blt", "supervisorInterrupt", { rs1: t1, rs2: zero });
  endOnFetchFault(a, t1);
  endOnBlockEnd(a, t1, t2);
  behindInstruction(a, t2);
  a.writeCsr("sepc", t2);
  a.jump("supervisorReturn");
  a.label("supervisorInterrupt");
  disable(a, t1);
  a.label("supervisorReturn");
  a.load(t2, t0, at.supervisorTraps);
  a.op("addi", { rd: t2, rs1: t2, imm: SUPERVISOR_RETURN });
  a.writeCsr("mepc", t2);
  a.jump("return");
}

/** An interrupt comes once in a block. */
function disable(a: Assembler, cause: number): void {
  a.li(t6, 1);
  a.op("sll", { rd: t6, rs1: t6, rs2: cause });
  a.clearCsrBits("mie", t6);
}

function interrupt(a: Assembler): void {
  a.label("interrupt");
  a.op("andi", { rd: t5, rs1: t1, imm: 63 });
  a.op("addi", { rd: t5, rs1: t5, imm: -Cause.machineTimer });
  a.to("bne", "disable", { rs1: t5, rs2: zero });
  a.load(t5, t0, at.deadline);
  a.li(t6, map.MTIME);
  a.load(t6, t6, 0);
  const early = a.fresh("early");
  a.to("bltu", early, { rs1: t6, rs2: t5 });
  a.li(t6, Status.watchdog);
  a.jump("abort");
  a.label(early);
  a.li(t6, map.MTIMECMP);
  a.store(t5, t6, 0);
  a.jump("return");
  a.label("disable");
  disable(a, t1);
  a.jump("return");
}

/** Everything that the block left goes into its digest. */
function endOfBlock(a: Assembler, cpu: LockstepCpu): void {
  a.label("endOfBlock");
  for (let r = 1; r < 32; r++) if (r !== t0 && r !== t1 && !handlerRegisters.includes(r)) a.store(r, t0, X + r * 8);
  a.readCsr(t1, "mscratch");
  a.store(t1, t0, X + t0 * 8);
  a.readCsr(t1, "minstret");
  a.load(t2, t0, at.retiredBefore);
  a.op("sub", { rd: t1, rs1: t1, rs2: t2 });
  a.load(t2, t0, at.instructions);
  a.op("add", { rd: t2, rs1: t2, rs2: t1 });
  a.store(t2, t0, at.instructions);
  cpu.blockCsrs.forEach((csr, i) => {
    a.readCsr(t1, csr);
    clearBlindBits(a, csr);
    a.store(t1, t0, CSRS + i * 8);
    // What follows needs floating point and plain access to memory.
    if (csr !== csrNamed("mstatus")) return;
    a.li(t1, FS);
    a.writeCsr("mstatus", t1);
  });
  if (cpu.has("d")) for (let r = 0; r < 32; r++) a.op("fsd", { rs1: t0, rs2: r, imm: Floats + r * 8 });
  else if (cpu.has("f")) for (let r = 0; r < 32; r++) a.op("fsw", { rs1: t0, rs2: r, imm: Floats + r * 8 });
  a.li(t1, map.CLINT);
  a.op("sw", { rs1: t1, rs2: zero, imm: 0 });
  a.load(t5, t0, at.block);
  a.op("addi", { rd: a0, rs1: t0, imm: X + 8 });
  a.op("addi", { rd: a1, rs1: t0, imm: at.endOffset });
  foldRange(a, t5, a0, a1);
  a.load(t1, t0, at.digestAt);
  a.store(t5, t1, 0);
  a.op("addi", { rd: t1, rs1: t1, imm: 8 });
  a.store(t1, t0, at.digestAt);
  a.store(zero, t0, at.trapHash);
  a.store(zero, t0, at.trapCount);
  a.load(t1, t0, at.block);
  a.load(t2, t0, at.dumpAfter);
  a.op("addi", { rd: t1, rs1: t1, imm: 1 });
  a.store(t1, t0, at.block);
  a.to("bne", "nextBlock", { rs1: t1, rs2: t2 });
  dump(a);
}

function clearBlindBits(a: Assembler, csr: number): void {
  const blind = blindBits.find((each) => csrNamed(each.csr) === csr);
  if (blind === undefined) return;
  a.li(t2, ~blind.bits);
  a.op("and", { rd: t1, rs1: t1, rs2: t2 });
}

/** Copies the page of state. */
function dump(a: Assembler): void {
  a.op("addi", { rd: a0, rs1: t0, imm: 0 });
  a.la(a1, map.DUMP);
  a.la(a2, map.DUMP + 2048);
  a.label("dumping");
  a.load(t1, a0, 0);
  a.store(t1, a1, 0);
  a.op("addi", { rd: a0, rs1: a0, imm: 8 });
  a.op("addi", { rd: a1, rs1: a1, imm: 8 });
  a.to("bltu", "dumping", { rs1: a1, rs2: a2 });
}

function enter(a: Assembler, cpu: LockstepCpu): void {
  a.label("nextBlock");
  a.load(t1, t0, at.block);
  a.op("slli", { rd: t1, rs1: t1, imm: 3 });
  a.op("add", { rd: t1, rs1: t1, rs2: t0 });
  a.op("addi", { rd: t1, rs1: t1, imm: ENTRY_TABLE - 1024 });
  a.load(t1, t1, 1024);
  a.far("bne", "endOfProgram", { rs1: t1, rs2: zero });
  a.load(t2, t0, at.deadline);
  a.li(t3, map.MTIMECMP);
  a.store(t2, t3, 0);
  a.op("jalr", { rd: 0, rs1: t1, imm: 0 });
  // a0 is the descriptor: variables, then a count and pairs of a place in the page of state and its value.
  a.label("enter");
  a.la(t0, map.STATE);
  for (const [i, name] of blockVariables.entries()) {
    a.load(t1, a0, i * 8);
    a.store(t1, t0, at[name]);
  }
  a.op("addi", { rd: a0, rs1: a0, imm: blockVariables.length * 8 });
  a.load(a1, a0, 0);
  a.label("presets");
  a.to("beq", "preset", { rs1: a1, rs2: zero });
  a.load(t1, a0, 8);
  a.load(t2, a0, 16);
  a.op("add", { rd: t1, rs1: t1, rs2: t0 });
  a.store(t2, t1, 0);
  a.op("addi", { rd: a0, rs1: a0, imm: 16 });
  a.op("addi", { rd: a1, rs1: a1, imm: -1 });
  a.jump("presets");
  a.label("preset");
  if (cpu.has("d")) for (let r = 0; r < 32; r++) a.op("fld", { rs1: t0, rd: r, imm: Floats + r * 8 });
  else if (cpu.has("f")) for (let r = 0; r < 32; r++) a.op("flw", { rs1: t0, rd: r, imm: Floats + r * 8 });
  a.load(t1, t0, at.mepc);
  a.writeCsr("mepc", t1);
  a.load(t1, t0, at.mstatus);
  a.writeCsr("mstatus", t1);
  // A reservation of an earlier block ends here; whether traps end it is free (unprivileged spec §13.2).
  if (cpu.has("zalrsc")) a.op("sc.d", { rd: 0, rs1: t0, rs2: zero });
  a.readCsr(t1, "minstret");
  a.store(t1, t0, at.retiredBefore);
  for (let r = 1; r < 32; r++) if (r !== t0) a.load(r, t0, X + r * 8);
  a.load(t0, t0, X + t0 * 8);
  a.op("mret");
}

/** The digest of memory and of registers that blocks leave alone, then the next program. */
function endOfProgram(a: Assembler, cpu: LockstepCpu): void {
  a.label("endOfProgram");
  a.li(t5, 1);
  a.la(a0, map.FINAL_CSRS);
  cpu.finalCsrs.forEach((csr, i) => {
    a.readCsr(a3, csr);
    a.store(a3, a0, i * 8);
    fold(a, t5, a3, t6);
  });
  // An access that an entry matches in part fails in every mode (privileged spec §3.7.1).
  if (cpu.csrs.has(csrNamed("pmpcfg0"))) {
    a.li(t1, 0x18);
    a.writeCsr("pmpcfg0", t1);
  }
  a.la(a0, map.DATA);
  a.la(a1, map.DATA + map.DATA_BYTES);
  foldRange(a, t5, a0, a1);
  a.la(a0, map.TABLES);
  a.load(a1, t0, at.tablesEnd);
  foldRange(a, t5, a0, a1);
  a.load(t1, t0, at.digestAt);
  a.store(t5, t1, 0);
  a.li(t6, Status.done);
  // t6 is the status, t1 to t3 say why.
  a.label("abort");
  a.load(t5, t0, at.resultAt);
  a.store(t1, t5, Result.cause);
  a.store(t2, t5, Result.pc);
  a.store(t3, t5, Result.value);
  a.load(t4, t0, at.instructions);
  a.store(t4, t5, Result.instructions);
  a.load(t4, t0, at.block);
  a.store(t4, t5, Result.blocks);
  a.readCsr(t4, "minstret");
  a.store(t4, t5, Result.retired);
  a.store(t6, t5, Result.status);
  finish(a, map.FINISH_RESET);
}

function finish(a: Assembler, how: number): void {
  a.li(t1, map.TEST_FINISHER);
  a.li(t2, how);
  a.op("sw", { rs1: t1, rs2: t2, imm: 0 });
  a.op("jal", { rd: 0, imm: 0 });
}
