// The instructions that generated code leaves to TypeScript: system, CSR and the slow side of floating point.
import { HelperStatus, type SoftMmu, type VcpuExit } from "../../accel/index.ts";
import { Cause } from "./causes.ts";
import type { Csr, CsrContext, CsrHalves } from "./csr/definition.ts";
import { csrByNumber } from "./csr/table.ts";
import { csrNumber, funct3, rd, rs1 } from "./encoding.ts";
import { executeFp } from "./fp/execute.ts";
import { F, Mode, Mstatus, W, type HartCore } from "./hart-core.ts";
import { leaveMachine, leaveSupervisor } from "./trap.ts";

const rv64Mask = (1n << 64n) - 1n;

/** What these instructions ask of their hart. */
export interface InstructionOwner {
  /** Takes the exception of the current instruction. */
  raise(cause: number, tval: bigint): HelperStatus;
  illegalInstruction(word: number): HelperStatus;
  /** How to go on after the pc or the privilege context changed. */
  resume(): HelperStatus;
  /** Generated code is to be left with this reason. */
  leaveFor(exit: VcpuExit): void;
  waitForInterrupt(): void;
  readVirtual(va: bigint, width: 1 | 2 | 4 | 8, asCode?: boolean): bigint | undefined;
  /** A CSR write changed translations, mode or tables: the pc must be looked up again. */
  readonly contextDirty: boolean;
  readonly wanted: boolean;
  /** True when a run that takes too long was kicked for it: generated code is to be left behind this instruction. */
  isKickedLate(): boolean;
  /** An interrupt is pending and enabled on its own. */
  readonly wakeup: boolean;
}

export class SystemInstructions {
  private readonly core: HartCore;
  private readonly context: CsrContext;
  private readonly tlb: SoftMmu;
  private readonly owner: InstructionOwner;
  private readonly hasSupervisor: boolean;

  constructor(owner: InstructionOwner, context: CsrContext, tlb: SoftMmu) {
    this.owner = owner;
    this.context = context;
    this.hasSupervisor = context.has("s");
    this.core = context.core;
    this.tlb = tlb;
  }

  /** By the names that the IR calls (`helperNames`). */
  helpers(): Record<string, (arg: number) => HelperStatus> {
    return {
      ecall: () => this.ecall(),
      ebreak: () => this.owner.raise(Cause.breakpoint, this.core.pc),
      illegal: (word) => this.owner.illegalInstruction(word),
      stop: () => HelperStatus.leave,
      csr: (word) => this.behind(this.csr(word)),
      sret: () => this.sret(),
      mret: () => this.mret(),
      wfi: () => this.wfi(),
      sfenceVma: (word) => this.sfenceVma(word),
      invalidationFence: (word) => this.invalidationFence(word),
      pause: () => this.leaveAfter("yield"),
      fp: (word) => this.behind(this.fp(word)),
      fpOn: (word) => this.fpTouch(word, false),
      fpDirty: (word) => this.fpTouch(word, true),
    };
  }

  private ecall(): HelperStatus {
    const { mode } = this.core;
    return this.owner.raise(mode === Mode.U ? Cause.ecallU : mode === Mode.S ? Cause.ecallS : Cause.ecallM, 0n);
  }

  /** Ends this instruction and leaves generated code for `exit`. */
  private leaveAfter(exit: VcpuExit): HelperStatus {
    this.core.pc = (this.core.pc + 4n) & rv64Mask;
    this.owner.leaveFor(exit);
    return HelperStatus.leave;
  }

  /** Leaves generated code behind this instruction of 4 bytes, which is done, when the run takes too long. */
  private behind(status: HelperStatus): HelperStatus {
    if (status !== HelperStatus.next || !this.owner.isKickedLate()) return status;
    this.core.pc = (this.core.pc + 4n) & rv64Mask;
    return HelperStatus.leave;
  }

  private wfi(): HelperStatus {
    const { core } = this;
    // TW makes wfi below M-mode trap (§3.1.6.6); in U-mode it traps as Linux's threads have no use for it and QEMU does.
    const tw = (core.word(W.mstatus) & Mstatus.tw) !== 0;
    if ((core.mode !== Mode.M && tw) || (core.mode === Mode.U && this.hasSupervisor)) {
      return this.owner.illegalInstruction(0x10500073);
    }
    if (this.owner.wakeup) return HelperStatus.next;
    this.owner.waitForInterrupt();
    return this.leaveAfter("wait");
  }

  private sret(): HelperStatus {
    const { core } = this;
    const tsr = (core.word(W.mstatus) & Mstatus.tsr) !== 0;
    if (core.mode < Mode.S || (core.mode === Mode.S && tsr) || !this.hasSupervisor)
      return this.owner.illegalInstruction(0x10200073);
    leaveSupervisor(core);
    core.dropReservation();
    return this.owner.resume();
  }

  private mret(): HelperStatus {
    if (this.core.mode !== Mode.M) return this.owner.illegalInstruction(0x30200073);
    leaveMachine(this.core, this.context.has("u") ? Mode.U : Mode.M);
    this.core.dropReservation();
    return this.owner.resume();
  }

  private sfenceVma(word: number): HelperStatus {
    const { core } = this;
    const tvm = (core.word(W.mstatus) & Mstatus.tvm) !== 0;
    if (core.mode < Mode.S || (core.mode === Mode.S && tvm) || !this.hasSupervisor)
      return this.owner.illegalInstruction(word);
    const register = rs1(word);
    if (register === 0) {
      this.tlb.flushAll();
    } else {
      const at = core.base32 + W.x + register * 2;
      this.tlb.flushPage(core.words[at]!, core.words[at + 1]!);
    }
    core.pc = (core.pc + 4n) & rv64Mask;
    return this.owner.isKickedLate() ? HelperStatus.leave : HelperStatus.goto;
  }

  private invalidationFence(word: number): HelperStatus {
    return this.core.mode < Mode.S ? this.owner.illegalInstruction(word) : HelperStatus.next;
  }

  /** CSRRW, CSRRS, CSRRC and their immediate forms (unprivileged spec §6.1). */
  private csr(word: number): HelperStatus {
    const { core } = this;
    const number = csrNumber(word);
    const csr = csrByNumber[number];
    const operation = funct3(word);
    const field = rs1(word);
    const writes = (operation & 3) === 1 || field !== 0;
    const level = (number >>> 8) & 3;
    if (
      csr === undefined ||
      core.mode < level ||
      (level === Mode.S && !this.hasSupervisor) ||
      (writes ? number >>> 10 === 3 : csr.needsWrite === true) ||
      csr.available?.(this.context) === false
    ) {
      return this.owner.illegalInstruction(word);
    }
    if (csr.halves === undefined) this.accessWhole(csr, word);
    else this.accessHalves(csr.halves, word);
    if (this.owner.contextDirty) {
      core.pc = (core.pc + 4n) & rv64Mask;
      return this.owner.resume();
    }
    if (writes && this.owner.wanted) {
      core.pc = (core.pc + 4n) & rv64Mask;
      return HelperStatus.leave;
    }
    return HelperStatus.next;
  }

  private accessWhole(csr: Csr, word: number): void {
    const { core } = this;
    const operation = funct3(word);
    const field = rs1(word);
    const writes = (operation & 3) === 1 || field !== 0;
    const operand = (operation & 4) !== 0 ? BigInt(field) : core.x(field);
    const destination = rd(word);
    // csrrw with rd = x0 does not read.
    const old = (operation & 3) === 1 && destination === 0 ? 0n : csr.read(this.context);
    if (writes && csr.write !== undefined) {
      const kind = operation & 3;
      const base = kind === 1 ? 0n : this.csrBase(csr.number, old);
      const value = kind === 1 ? operand : kind === 2 ? base | operand : base & ~operand & rv64Mask;
      csr.write(this.context, value);
    }
    core.setX(destination, old);
  }

  private accessHalves(csr: CsrHalves, word: number): void {
    const { core } = this;
    const operation = funct3(word);
    const kind = operation & 3;
    const field = rs1(word);
    const isImmediate = (operation & 4) !== 0;
    const lowOperand = isImmediate ? field : core.word(W.x + field * 2);
    const highOperand = isImmediate ? 0 : core.word(W.x + field * 2 + 1);
    const low = csr.low(this.context);
    const high = csr.high(this.context);
    if (kind === 1) csr.write(this.context, lowOperand, highOperand);
    else if (kind === 2 && field !== 0) csr.write(this.context, low | lowOperand, high | highOperand);
    else if (field !== 0) csr.write(this.context, low & ~lowOperand, high & ~highOperand);
    const destination = rd(word);
    if (destination === 0) return;
    core.setWord(W.x + destination * 2, low);
    core.setWord(W.x + destination * 2 + 1, high);
  }

  /** mip's SEIP reads as input or software bit, but read-modify-write uses the software bit alone (§3.1.9). */
  private csrBase(number: number, old: bigint): bigint {
    return number === 0x344 ? this.core.get(F.mip) : old;
  }

  private fp(word: number): HelperStatus {
    return executeFp(this.core, word) ? HelperStatus.next : this.fpIllegal();
  }

  private fpTouch(_word: number, writes: boolean): HelperStatus {
    const { core } = this;
    if ((core.word(W.mstatus) & Mstatus.fs) === 0) return this.fpIllegal();
    if (writes) {
      core.setWord(W.mstatus, core.word(W.mstatus) | Mstatus.fs);
      core.refreshFpFast();
    }
    return HelperStatus.next;
  }

  /** The instruction at the pc is illegal; its bits are read again, for the trap value. */
  private fpIllegal(): HelperStatus {
    const half = this.owner.readVirtual(this.core.pc, 2, true) ?? 0n;
    if ((half & 3n) !== 3n) return this.owner.illegalInstruction(Number(half));
    const upper = this.owner.readVirtual((this.core.pc + 2n) & rv64Mask, 2, true) ?? 0n;
    return this.owner.illegalInstruction(Number(half | (upper << 16n)) | 0);
  }
}
