// table: control and status registers: number, access, legal values and effects, each once (privileged spec §2, §3, §10).
import type { MmuFeatures } from "./mmu.ts";
import { F, Menvcfg, Mode, Mstatus, mppShift, mstatusXl, W, type Field64, type HartCore } from "./hart-core.ts";
import type { Pmp } from "./pmp.ts";
import { pmpEntryCount } from "./state.ts";

/** What CSRs need of the hart beyond its fields. */
export interface CsrContext {
  readonly core: HartCore;
  readonly pmp: Pmp;
  readonly has: (extension: string) => boolean;
  readonly mmu: MmuFeatures;
  /** Highest satp.MODE: 8 (Sv39) to 10 (Sv57), or 0 for bare only. */
  readonly satpModes: number;
  timeTicks(): bigint;
  /** Translations or the privilege context changed: drop the TLB where `flush` says so, and look the pc up again. */
  contextChanged(flush: "all" | "loads" | "none"): void;
  /** stimecmp or its enable changed. */
  timerChanged(): void;
}

export interface Csr {
  readonly number: number;
  readonly name: string;
  read(h: CsrContext): bigint;
  /** Absent for read-only registers (whose numbers say so) and those that ignore writes. */
  write?(h: CsrContext, value: bigint): void;
  /** False when the register does not exist or may not be touched in this state, beyond what its number says. */
  available?(h: CsrContext): boolean;
}

const mask64 = (1n << 64n) - 1n;

/** A register that is one field: `mask` are its writable bits. */
function plain(number: number, name: string, field: Field64, mask: bigint = mask64): Csr {
  return {
    number,
    name,
    read: (h) => h.core.get(field),
    write: (h, value) => h.core.set(field, (h.core.get(field) & ~mask) | (value & mask)),
  };
}

function constant(
  number: number,
  name: string,
  value: bigint | ((h: CsrContext) => bigint),
  ignoresWrites = false,
): Csr {
  const read = typeof value === "bigint" ? () => value : value;
  return ignoresWrites ? { number, name, read, write: () => {} } : { number, name, read };
}

const mstatusWritable =
  BigInt(
    Mstatus.sie | Mstatus.mie | Mstatus.spie | Mstatus.mpie | Mstatus.spp | Mstatus.mpp | Mstatus.fs | Mstatus.mprv,
  ) | BigInt(Mstatus.sum | Mstatus.mxr | Mstatus.tvm | Mstatus.tw | Mstatus.tsr);
const sstatusWritable = BigInt(Mstatus.sie | Mstatus.spie | Mstatus.spp | Mstatus.fs | Mstatus.sum | Mstatus.mxr);
const uxl = 3n << 32n;
const sd = 1n << 63n;

function readStatus(h: CsrContext): bigint {
  const value = h.core.get(F.mstatus) | mstatusXl;
  return (value & BigInt(Mstatus.fs)) === BigInt(Mstatus.fs) ? value | sd : value;
}

function writeStatus(h: CsrContext, value: bigint, mask: bigint): void {
  const before = h.core.get(F.mstatus);
  let after = (before & ~mask) | (value & mask);
  const mpp = Number((after >> BigInt(mppShift)) & 3n);
  // MPP is WARL: 2 names no mode, so the old value stays.
  if (mpp === 2) after = (after & ~BigInt(Mstatus.mpp)) | (before & BigInt(Mstatus.mpp));
  if (!h.has("f")) after &= ~BigInt(Mstatus.fs);
  h.core.set(F.mstatus, after);
  h.core.refreshFpFast();
  const changed = Number((before ^ after) & 0xffffffffn);
  if ((changed & Mstatus.mxr) !== 0) h.contextChanged("loads");
  else if ((changed & (Mstatus.sum | Mstatus.mprv | Mstatus.mpp)) !== 0) h.contextChanged("none");
}

const supervisorInterrupts = 0x222n;
const allInterrupts = 0xaaan;
const ssip = 0x2n;
const stip = 0x20n;
const seip = 0x200n;
const delegableExceptions = 0xb3ffn;

const stce = (h: CsrContext): boolean => h.has("sstc") && (h.core.get(F.menvcfg) & Menvcfg.stce) !== 0n;

function writeMip(h: CsrContext, value: bigint, mask: bigint): void {
  h.core.set(F.mip, (h.core.get(F.mip) & ~mask) | (value & mask));
}

/** Trap vectors: mode 0 (direct) or 1 (vectored); other modes are reserved and leave the register as it was. */
function trapVector(number: number, name: string, field: Field64): Csr {
  return {
    number,
    name,
    read: (h) => h.core.get(field),
    write: (h, value) => {
      if ((value & 3n) < 2n) h.core.set(field, value);
    },
  };
}

function exceptionPc(number: number, name: string, field: Field64): Csr {
  const aligned = (h: CsrContext): bigint => (h.has("c") ? ~1n : ~3n) & mask64;
  return {
    number,
    name,
    read: (h) => h.core.get(field) & aligned(h),
    write: (h, value) => h.core.set(field, value & ~1n & mask64),
  };
}

function writeSatp(h: CsrContext, value: bigint): void {
  const mode = Number(value >> 60n);
  // A write with an unsupported mode has no effect at all (§10.1.11).
  if (mode !== 0 && (mode < 8 || mode > h.satpModes)) return;
  if (h.core.get(F.satp) === value) return;
  h.core.set(F.satp, value);
  h.contextChanged("all");
}

/** Counters c00 to c1f: readable below M-mode as far as mcounteren, and below S-mode scounteren, allow. */
function counter(index: number, name: string, extension: string, read: (h: CsrContext) => bigint): Csr {
  const bit = 1n << BigInt(index);
  return {
    number: 0xc00 + index,
    name,
    read,
    available: (h) =>
      h.has(extension) &&
      (h.core.mode === Mode.M || (h.core.get(F.mcounteren) & bit) !== 0n) &&
      (h.core.mode !== Mode.U || (h.core.get(F.scounteren) & bit) !== 0n),
  };
}

const executed = (h: CsrContext): bigint => BigInt(h.core.executed);
/** mcycle and minstret count together; a written value is kept as the distance to the instruction count. */
function machineCounter(number: number, name: string, offset: "cycleOffset" | "instretOffset"): Csr {
  return {
    number,
    name,
    read: (h) => (executed(h) + h.core[offset]) & mask64,
    // The write itself retires after it, so the next read sees the value plus what ran since (§3.1.10).
    write: (h, value) => {
      h.core[offset] = (value - executed(h)) & mask64;
    },
  };
}

const fpOn = (h: CsrContext): boolean => h.has("f") && (h.core.word(W.mstatus) & Mstatus.fs) !== 0;
function fpCsr(number: number, name: string, shift: number, mask: number): Csr {
  return {
    number,
    name,
    available: fpOn,
    read: (h) => BigInt((h.core.word(W.fcsr) >>> shift) & mask),
    write: (h, value) => {
      const kept = h.core.word(W.fcsr) & ~(mask << shift);
      h.core.setWord(W.fcsr, kept | ((Number(value & 0xffn) & mask) << shift));
      h.core.setWord(W.mstatus, h.core.word(W.mstatus) | Mstatus.fs);
      h.core.refreshFpFast();
    },
  };
}

function misa(h: CsrContext): bigint {
  let value = 2n << 62n;
  for (const letter of ["a", "c", "d", "f", "i", "m", "s", "u"]) {
    if (h.has(letter)) value |= 1n << BigInt(letter.charCodeAt(0) - 97);
  }
  return value;
}

const range = (count: number, first: number): number[] => Array.from({ length: count }, (_, i) => first + i);

export const csrs: readonly Csr[] = [
  fpCsr(0x001, "fflags", 0, 0x1f),
  fpCsr(0x002, "frm", 5, 7),
  fpCsr(0x003, "fcsr", 0, 0xff),

  counter(0, "cycle", "zicntr", (h) => (executed(h) + h.core.cycleOffset) & mask64),
  counter(1, "time", "zicntr", (h) => h.timeTicks()),
  counter(2, "instret", "zicntr", (h) => (executed(h) + h.core.instretOffset) & mask64),
  ...range(29, 3).map((i) => counter(i, `hpmcounter${i}`, "zihpm", () => 0n)),

  {
    number: 0x100,
    name: "sstatus",
    read: (h) => readStatus(h) & (sstatusWritable | uxl | sd),
    write: (h, value) => writeStatus(h, value, sstatusWritable),
  },
  {
    number: 0x104,
    name: "sie",
    read: (h) => h.core.get(F.mie) & h.core.get(F.mideleg),
    write: (h, value) => {
      const mask = h.core.get(F.mideleg);
      h.core.set(F.mie, (h.core.get(F.mie) & ~mask) | (value & mask));
    },
  },
  trapVector(0x105, "stvec", F.stvec),
  plain(0x106, "scounteren", F.scounteren, 0xffff_ffffn),
  plain(0x10a, "senvcfg", F.senvcfg, 1n),
  plain(0x140, "sscratch", F.sscratch),
  exceptionPc(0x141, "sepc", F.sepc),
  plain(0x142, "scause", F.scause),
  plain(0x143, "stval", F.stval),
  {
    number: 0x144,
    name: "sip",
    read: (h) => BigInt(h.core.pendingBits) & h.core.get(F.mideleg),
    write: (h, value) => writeMip(h, value, ssip & h.core.get(F.mideleg)),
  },
  {
    number: 0x14d,
    name: "stimecmp",
    read: (h) => h.core.get(F.stimecmp),
    write: (h, value) => {
      h.core.set(F.stimecmp, value);
      h.timerChanged();
    },
    // Below M-mode it takes both the enable and mcounteren.TM (Sstc §2).
    available: (h) => h.has("sstc") && (h.core.mode === Mode.M || (stce(h) && (h.core.get(F.mcounteren) & 2n) !== 0n)),
  },
  {
    number: 0x180,
    name: "satp",
    read: (h) => h.core.get(F.satp),
    write: writeSatp,
    available: (h) => h.core.mode === Mode.M || (h.core.word(W.mstatus) & Mstatus.tvm) === 0,
  },

  constant(0xf11, "mvendorid", 0n),
  constant(0xf12, "marchid", 0n),
  constant(0xf13, "mimpid", 0n),
  constant(0xf14, "mhartid", (h) => BigInt(h.core.hartId)),
  constant(0xf15, "mconfigptr", 0n),
  {
    number: 0x300,
    name: "mstatus",
    read: readStatus,
    write: (h, value) => writeStatus(h, value, mstatusWritable),
  },
  constant(0x301, "misa", misa, true),
  plain(0x302, "medeleg", F.medeleg, delegableExceptions),
  plain(0x303, "mideleg", F.mideleg, supervisorInterrupts),
  plain(0x304, "mie", F.mie, allInterrupts),
  trapVector(0x305, "mtvec", F.mtvec),
  plain(0x306, "mcounteren", F.mcounteren, 0xffff_ffffn),
  {
    number: 0x30a,
    name: "menvcfg",
    read: (h) => h.core.get(F.menvcfg),
    write: (h, value) => {
      const mask = Menvcfg.fiom | (h.has("sstc") ? Menvcfg.stce : 0n) | (h.mmu.svadu ? Menvcfg.adue : 0n);
      h.core.set(F.menvcfg, value & mask);
      h.contextChanged("none");
      h.timerChanged();
    },
  },
  plain(0x320, "mcountinhibit", F.mcountinhibit, 0n),
  ...range(29, 3).map((i) => constant(0x320 + i, `mhpmevent${i}`, 0n, true)),
  plain(0x340, "mscratch", F.mscratch),
  exceptionPc(0x341, "mepc", F.mepc),
  plain(0x342, "mcause", F.mcause),
  plain(0x343, "mtval", F.mtval),
  {
    number: 0x344,
    name: "mip",
    read: (h) => BigInt(h.core.pendingBits),
    write: (h, value) => writeMip(h, value, ssip | seip | (stce(h) ? 0n : stip)),
  },
  ...[0, 8].map((first): Csr => ({
    number: 0x3a0 + first / 4,
    name: `pmpcfg${first / 4}`,
    read: (h) => h.core.get(first === 0 ? F.pmpcfg0 : F.pmpcfg2),
    write: (h, value) => {
      h.pmp.writeConfig(first, value);
      h.contextChanged("all");
    },
  })),
  ...range(pmpEntryCount, 0).map((i): Csr => ({
    number: 0x3b0 + i,
    name: `pmpaddr${i}`,
    read: (h) => h.core.get(F.pmpaddr + i),
    write: (h, value) => {
      h.pmp.writeAddress(i, value);
      h.contextChanged("all");
    },
  })),
  // Entries 16 to 63 are read-only zero (§3.7.1 allows 0, 16 or 64).
  ...[4, 6, 8, 10, 12, 14].map((i) => constant(0x3a0 + i, `pmpcfg${i}`, 0n, true)),
  ...range(48, 16).map((i) => constant(0x3b0 + i, `pmpaddr${i}`, 0n, true)),
  machineCounter(0xb00, "mcycle", "cycleOffset"),
  machineCounter(0xb02, "minstret", "instretOffset"),
  ...range(29, 3).map((i) => constant(0xb00 + i, `mhpmcounter${i}`, 0n, true)),
];

/** By number; holes are registers that do not exist. */
export const csrByNumber: readonly (Csr | undefined)[] = (() => {
  const table = Array.from<Csr | undefined>({ length: 4096 });
  for (const csr of csrs) table[csr.number] = csr;
  return table;
})();
