// What boards and firmware may ask of a hart.
import type { Accelerator, Vcpu } from "../../accel/port.ts";

export { hartSource } from "./hart-source.ts";

/** Interrupt inputs of a hart: their bit in mip. */
export const HartIrq = { ssip: 1, msip: 3, stip: 5, mtip: 7, seip: 9, meip: 11 } as const;
export type HartIrq = (typeof HartIrq)[keyof typeof HartIrq];

export type PrivilegeMode = "U" | "S" | "M";

/** What a debugger wants a hart to stop at. */
export interface Watch {
  readonly kind: "execute" | "load" | "store" | "access";
  /** Virtual; an instruction is at its first byte, data is where an access touches any byte of the range. */
  readonly address: bigint;
  readonly lengthBytes: number;
}

export interface WatchHit {
  readonly watch: Watch;
  /** The instruction's address, or the first byte of the range that the access touches. */
  readonly address: bigint;
}

/** What a hart is made with. */
export interface HartConfig {
  readonly hartId: number;
  /** `rv64`, `max`, …; see the CPU models of the target. */
  readonly model: string;
  /** Extension name to on or off, QEMU's names (`sstc`, `zba`, `sv48`). */
  readonly features: Readonly<Record<string, boolean>>;
}

/** The platform's time as harts see it (CSR `time`), in timebase ticks. */
export interface TimebasePort {
  /** Ticks as a number; exact below 2^53. */
  ticks(): number;
  readonly frequencyHz: number;
  /** Tells whenever the time was set, so that what waits for it looks again; absent where it only runs. */
  onSet?(listener: () => void): void;
}

/** An IMSIC's interrupt file as the hart's CSRs reach it (AIA §3.7 to §3.9), at XLEN 64. */
export interface InterruptFilePort {
  /** Identity of the top interrupt, or 0: `topei`. */
  readonly top: number;
  /** A write of `topei`. */
  claim(): void;
  /** Register 0x70 to 0xff; undefined when there is none of that number. */
  readRegister(select: number): bigint | undefined;
  /** Only where `readRegister` answers. */
  writeRegister(select: number, value: bigint): void;
}

/** The external interrupt controller of one privilege level, beyond its line. */
export interface ExternalInterruptPort {
  /** Priority number of what it has for the hart (1 is the highest), or 0 when it has nothing. */
  priority(): number;
  /** Bits that a priority number has. */
  readonly priorityMask: number;
  /** With an IMSIC. */
  readonly file?: InterruptFilePort;
}

export interface ExternalInterrupts {
  readonly machine: ExternalInterruptPort;
  readonly supervisor: ExternalInterruptPort;
}

export interface Hart extends Vcpu {
  /** What executes its code; all harts of a machine share it. */
  readonly accelerator: Accelerator;
  readonly id: number;
  /** Drives a level-sensitive input of mip; SSIP and STIP are set or cleared in mip itself, where software may clear them. */
  setIrq(irq: HartIrq, level: boolean): void;
  /** Integer register n; x0 reads 0. */
  x(n: number): bigint;
  setX(n: number, value: bigint): void;
  pc: bigint;
  mode: PrivilegeMode;
  /** By CSR number, with M-mode rights, without side conditions of an instruction; undefined when there is no such CSR. */
  readCsr(csr: number): bigint | undefined;
  writeCsr(csr: number, value: bigint): void;
  /** Takes a trap into S-mode as if delegated: for firmware that redirects what it does not handle. */
  trapToSupervisor(cause: bigint, tval: bigint): void;
  /** Drops translations; all of them when `lengthBytes` is undefined. `asid` undefined means every address space. */
  flushTlb(startVa?: bigint, lengthBytes?: bigint, asid?: number): void;
  /** Drops decoded instructions of this hart that may be stale (remote FENCE.I). */
  flushCode(): void;
  /** Another hart ran meanwhile and may have stored: a load reservation does not outlive that. */
  dropReservation(): void;
  /** Waits as `wfi` does, from the next `run` on: until an interrupt that mie enables is pending. For firmware (SBI HSM suspend). */
  waitForInterrupt(): void;
  /**
   * Makes `run` come back with "watch" before an instruction that `watch` speaks of; the next `run` from the same pc executes
   * it. An atomic operation counts as a load and a store. Costs nothing on pages without a watch.
   */
  watch(watch: Watch): void;
  /** Takes back a watch that was given, by identity. */
  unwatch(watch: Watch): void;
  /** What the last exit "watch" was for. */
  readonly watchHit: WatchHit | undefined;
  /** Started harts execute; stopped ones wait for firmware (SBI HSM). */
  started: boolean;
  /** Reads one instruction or data item at a virtual address with the hart's current S/U rights; undefined on a fault. */
  readVirtual(va: bigint, width: 1 | 2 | 4 | 8): bigint | undefined;
  /** The ISA as the device tree states it: `rv64imafdc_zicsr_…`, and the extension list. */
  readonly isa: { readonly base: string; readonly extensions: readonly string[]; readonly mmuType: string };
}

/** Machine-mode firmware implemented by the host (the built-in SBI). Harts then never run M-mode guest code. */
export interface HostFirmware {
  /**
   * Called instead of entering M-mode. `hart.pc` is the trapping instruction's address. The firmware changes registers,
   * pc and mode as the real one would before `mret`, or redirects with `trapToSupervisor`.
   */
  machineTrap(hart: Hart, cause: bigint, tval: bigint): void;
}
