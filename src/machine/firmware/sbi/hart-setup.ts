// What firmware does to a hart before supervisor mode, as OpenSBI 1.x does it (lib/sbi/sbi_hart.c).
import { HartIrq, type Hart } from "../../../target/riscv/port.ts";
import { Csr } from "./csr.ts";

/**
 * Exceptions that S-mode handles itself: misaligned fetch, breakpoint, environment call from U, page faults. The others
 * come to the firmware, which hands them on.
 */
const DELEGATED_EXCEPTIONS = [0, 3, 8, 12, 13, 15].reduce((mask, cause) => mask | (1n << BigInt(cause)), 0n);
/** Supervisor software, timer and external interrupts. */
const DELEGATED_INTERRUPTS = (1n << BigInt(HartIrq.ssip)) | (1n << BigInt(HartIrq.stip)) | (1n << BigInt(HartIrq.seip));

/** mstatus (privileged specification 1.13, §3.1.6). */
const MSTATUS_MPIE = 1n << 7n;
const MSTATUS_FS_DIRTY = 3n << 13n;
/** UXL and SXL stay as they are: 2, for 64 bits. */
const MSTATUS_XL = 0xfn << 32n;

/** menvcfg (§3.1.18): all WARL, so that what a hart lacks stays 0. */
const MENVCFG_CACHE_BLOCK = (3n << 4n) | (1n << 6n) | (1n << 7n);
const MENVCFG_ADUE = 1n << 61n;
const MENVCFG_PBMTE = 1n << 62n;
const MENVCFG_STCE = 1n << 63n;

/** One naturally aligned region with read, write and execute, over the whole space. */
const PMP_NAPOT_RWX = 0x1fn;
const PMP_WHOLE_SPACE = (1n << 54n) - 1n;

/** Counters 3 and up stand still until somebody programs them. */
const INHIBIT_PROGRAMMABLE = 0xffff_fff8n;
/** U-mode sees cycle, time and instret until S-mode says otherwise. */
const BASIC_COUNTERS = 7n;

const TIME_NEVER = (1n << 64n) - 1n;
/** Supervisor mode has all state that mstateen0 guards, and the entropy source. */
const STATE_ALL = (1n << 64n) - 1n;
const MSECCFG_SSEED = 1n << 9n;

export interface SupervisorEntry {
  readonly pc: bigint;
  readonly a1: bigint;
  /** A hart that comes back from suspension finds the interrupts enabled that it enabled. */
  readonly keepInterrupts?: boolean;
}

/** Leaves `hart` as at the first instruction of supervisor software: a0 is its id. */
export function enterSupervisor(hart: Hart, entry: SupervisorEntry): void {
  setUpMachineState(hart);
  hart.writeCsr(Csr.satp, 0n);
  if (entry.keepInterrupts !== true) {
    hart.writeCsr(Csr.sie, 0n);
    hart.setIrq(HartIrq.ssip, false);
    hart.writeCsr(Csr.stvec, entry.pc & ~3n);
    hart.writeCsr(Csr.sscratch, 0n);
    // A timer that nobody set is not due.
    if (hart.isa.extensions.includes("sstc")) hart.writeCsr(Csr.stimecmp, TIME_NEVER);
  }
  hart.flushTlb();
  hart.flushCode();
  hart.setX(10, BigInt(hart.id));
  hart.setX(11, entry.a1);
  hart.mode = "S";
  hart.pc = entry.pc;
}

function setUpMachineState(hart: Hart): void {
  const mstatus = (hart.readCsr(Csr.mstatus) ?? 0n) & MSTATUS_XL;
  hart.writeCsr(Csr.mstatus, mstatus | MSTATUS_MPIE | MSTATUS_FS_DIRTY);
  hart.writeCsr(Csr.medeleg, DELEGATED_EXCEPTIONS);
  hart.writeCsr(Csr.mideleg, DELEGATED_INTERRUPTS);
  if (hart.isa.extensions.includes("smaia")) hart.writeCsr(Csr.mvien, 0n);
  // Firmware itself needs no interrupt: its timers and its calls come from the host.
  hart.writeCsr(Csr.mie, (hart.readCsr(Csr.mie) ?? 0n) & DELEGATED_INTERRUPTS);
  hart.writeCsr(Csr.mcounteren, 0xffff_ffffn);
  hart.writeCsr(Csr.scounteren, BASIC_COUNTERS);
  hart.writeCsr(Csr.mcountinhibit, INHIBIT_PROGRAMMABLE);
  hart.writeCsr(Csr.menvcfg, environment(hart.isa.extensions));
  if (hart.isa.extensions.includes("smstateen")) hart.writeCsr(Csr.mstateen0, STATE_ALL);
  if (hart.isa.extensions.includes("zkr")) hart.writeCsr(Csr.mseccfg, MSECCFG_SSEED);
  hart.writeCsr(Csr.pmpaddr0, PMP_WHOLE_SPACE);
  hart.writeCsr(Csr.pmpcfg0, PMP_NAPOT_RWX);
}

function environment(extensions: readonly string[]): bigint {
  // With both Svade and Svadu, software begins with Svade and asks for more.
  const updatesAccessedAndDirty = extensions.includes("svadu") && !extensions.includes("svade");
  return (
    MENVCFG_CACHE_BLOCK |
    MENVCFG_PBMTE |
    (updatesAccessedAndDirty ? MENVCFG_ADUE : 0n) |
    (extensions.includes("sstc") ? MENVCFG_STCE : 0n)
  );
}
