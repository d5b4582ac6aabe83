// The bare state of a hart: typed access to its block in memory, privilege mode, interrupt levels. No behaviour beyond
// what follows from a single field.
import { AiaState } from "./aia-state.ts";
import { Counters } from "./counters.ts";
import type { ExternalInterrupts } from "./port.ts";
import { FpFast, hartLayout, noReservation } from "./state.ts";

type Name64 =
  | ("x" | "f" | "pc" | "memVa" | "memValue" | "reservationVa" | "reservationValue")
  | ("mstatus" | "medeleg" | "mideleg" | "mie" | "mip" | "mtvec" | "mscratch" | "mepc" | "mcause" | "mtval")
  | ("mcounteren" | "mcountinhibit" | "menvcfg" | "stvec" | "sscratch" | "sepc" | "scause" | "stval" | "satp")
  | ("scounteren" | "senvcfg" | "stimecmp" | "pmpcfg0" | "pmpcfg2" | "pmpaddr")
  | ("mseccfg" | "mstateen0" | "mstateen1" | "mstateen2" | "mstateen3");
type Name32 =
  | "budget"
  | "tlbFetch"
  | "tlbLoad"
  | "tlbStore"
  | "fpFast"
  | "zeroing"
  | "statusOpen"
  | "lines"
  | "fpOp"
  | "fcsr";

const indexes = (unitShift: number): Record<string, number> =>
  Object.fromEntries(hartLayout.names.map((name) => [name, hartLayout.offset(name) >>> unitShift]));

export type Field64 = number;
/** Indexes of 64-bit fields, in units of 8 bytes from the hart's block. */
export const F: Readonly<Record<Name64, Field64>> = indexes(3) as Record<Name64, Field64>;
/** Indexes of 32-bit words (the low halves of 64-bit fields), in units of 4 bytes. */
export const W: Readonly<Record<Name64 | Name32, number>> = indexes(2) as Record<Name64 | Name32, number>;

/** Bits of mstatus (privileged spec §3.1.6), in its low half unless they say otherwise. */
export const Mstatus = {
  sie: 0x2,
  mie: 0x8,
  spie: 0x20,
  mpie: 0x80,
  spp: 0x100,
  mpp: 0x1800,
  fs: 0x6000,
  mprv: 0x20000,
  sum: 0x40000,
  mxr: 0x80000,
  tvm: 0x100000,
  tw: 0x200000,
  tsr: 0x400000,
} as const;
export const mppShift = 11;

/** UXL and SXL: 64 bits in both modes, not writable. */
export const mstatusXl: bigint = (2n << 32n) | (2n << 34n);

/** Bits of menvcfg (privileged spec §3.1.18); senvcfg has the lowest four fields. */
export const Menvcfg = {
  fiom: 1n,
  /** Two bits: 0 refuses cbo.inval, 1 makes it a flush, 3 lets it invalidate; 2 is reserved. */
  cbie: 0x30n,
  cbcfe: 0x40n,
  cbze: 0x80n,
  adue: 0x2000_0000_0000_0000n,
  pbmte: 0x4000_0000_0000_0000n,
  stce: 0x8000_0000_0000_0000n,
} as const;

/** Bits of mseccfg (privileged spec, Smepmp; unprivileged spec, Zkr). */
export const Mseccfg: Readonly<Record<"mml" | "mmwp" | "rlb" | "useed" | "sseed", bigint>> = {
  /** Machine mode lockdown and machine mode allow-list policy: once set they stay. */
  mml: 1n,
  mmwp: 2n,
  /** Rule locking bypass. */
  rlb: 4n,
  useed: 0x100n,
  sseed: 0x200n,
};

/** Bits of mstateen0 (privileged spec, Smstateen). */
export const Mstateen: Readonly<Record<"imsic" | "aia" | "csrind" | "envcfg" | "se0", bigint>> = {
  imsic: 1n << 58n,
  aia: 1n << 59n,
  csrind: 1n << 60n,
  envcfg: 1n << 62n,
  se0: 1n << 63n,
};

export const Mode = { U: 0, S: 1, M: 3 } as const;
export type Mode = (typeof Mode)[keyof typeof Mode];

export class HartCore {
  readonly hartId: number;
  /** Address of the hart's block in the WebAssembly memory. */
  readonly block: number;
  readonly words: Int32Array;
  readonly r64: BigUint64Array;
  readonly base64: number;
  readonly base32: number;
  mode: Mode = Mode.M;
  readonly aia: AiaState;
  readonly counters: Counters = new Counters();
  /** Instructions executed before the current run of generated code. */
  executedBefore = 0;
  /** Budget that the current run of generated code began with; 0 outside. */
  runBudget = 0;

  constructor(hartId: number, memory: WebAssembly.Memory, block: number, external?: ExternalInterrupts) {
    this.hartId = hartId;
    this.aia = new AiaState(external);
    this.block = block;
    this.words = new Int32Array(memory.buffer);
    this.r64 = new BigUint64Array(memory.buffer);
    this.base64 = block >>> 3;
    this.base32 = block >>> 2;
  }

  get(field: Field64): bigint {
    return this.r64[this.base64 + field]!;
  }

  set(field: Field64, value: bigint): void {
    this.r64[this.base64 + field] = value;
  }

  word(index: number): number {
    return this.words[this.base32 + index]!;
  }

  setWord(index: number, value: number): void {
    this.words[this.base32 + index] = value;
  }

  /** Copies a field of 64 bits. */
  copy(to: number, from: number): void {
    const { words, base32 } = this;
    words[base32 + to] = words[base32 + from]!;
    words[base32 + to + 1] = words[base32 + from + 1]!;
  }

  x(n: number): bigint {
    return this.get(F.x + n);
  }

  setX(n: number, value: bigint): void {
    if (n !== 0) this.set(F.x + n, value);
  }

  get pc(): bigint {
    return this.get(F.pc);
  }

  set pc(value: bigint) {
    this.set(F.pc, value);
  }

  /** Levels of the interrupt inputs that devices drive, as bits of mip. */
  get lines(): number {
    return this.word(W.lines);
  }

  set lines(levels: number) {
    this.setWord(W.lines, levels);
  }

  /** mip as software reads it: its own bits and the inputs. */
  get pendingBits(): number {
    return (this.word(W.mip) & ~this.aia.hiddenMip) | this.lines;
  }

  /** Instructions executed since power-on; right inside helpers too. */
  get executed(): number {
    return this.runBudget === 0 ? this.executedBefore : this.executedBefore + this.runBudget - this.word(W.budget);
  }

  dropReservation(): void {
    this.set(F.reservationVa, noReservation);
  }

  /** Whether the current mode may do what bits of menvcfg and senvcfg permit (§3.1.18, §10.1.10). */
  isEnabled(environmentBits: number, hasSupervisor: boolean): boolean {
    if (this.mode === Mode.M) return true;
    if ((this.word(W.menvcfg) & environmentBits) === 0) return false;
    return this.mode === Mode.S || !hasSupervisor || (this.word(W.senvcfg) & environmentBits) !== 0;
  }

  /** Derives `fpFast` from mstatus.FS and fcsr: called after either changed. */
  refreshFpFast(): void {
    const fs = (this.word(W.mstatus) & Mstatus.fs) >>> 13;
    const fcsr = this.word(W.fcsr);
    this.setWord(
      W.fpFast,
      (fs === 3 ? FpFast.dirty : 0) |
        (fs === 0 ? 0 : FpFast.on) |
        ((fcsr & 1) === 0 ? 0 : FpFast.inexact) |
        (((fcsr >>> 5) & 7) === 0 ? FpFast.nearest : 0),
    );
  }
}
