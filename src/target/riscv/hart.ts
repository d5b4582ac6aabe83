// A hart: runs generated code, takes traps and interrupts, and answers what generated code cannot do itself.
import { hartSource } from "./hart-source.ts";
import {
  HelperStatus,
  mostBudget,
  TlbKind,
  type CodeCache,
  type HandlerTable,
  type InterpreterHost,
  type InterpreterInstance,
  type Misses,
  type InterpreterModule,
  type Jit,
  type SoftMmu,
  type VcpuExit,
} from "../../accel/index.ts";
import type { RngPort, TimerPort } from "../../base/index.ts";
import type { CpuBus, WriteNotes } from "../../memory/port.ts";
import { Cause, interruptFlag } from "./causes.ts";
import type { CpuFeatures } from "./cpu-models.ts";
import type { CsrContext } from "./csr/definition.ts";
import { csrByNumber } from "./csr/table.ts";
import { Decoder } from "./decoder.ts";
import { EntryForms } from "./entry-forms.ts";
import { Fetch, type FetchOwner } from "./fetch.ts";
import { F, HartCore, Menvcfg, Mode, Mstatus, W } from "./hart-core.ts";
import { applyHartState, captureHartState, hartState, type HartState } from "./hart-state.ts";
import { MemoryAccess } from "./memory-access.ts";
import { AccessKind, Mmu, mmuFeatures } from "./mmu.ts";
import { MemoryInstructions } from "./memory-instructions.ts";
import { Pmp } from "./pmp.ts";
import { RunEnd } from "./run-end.ts";
import { StimecmpTimer } from "./stimecmp-timer.ts";
import { SystemInstructions, type InstructionOwner } from "./system-instructions.ts";
import type {
  ExternalInterrupts,
  Hart,
  HartIrq,
  HostFirmware,
  PrivilegeMode,
  TimebasePort,
  Watch,
  WatchHit,
} from "./port.ts";
import { hasPendingInterrupt, pendingInterrupt, toSupervisor } from "./interrupt-choice.ts";
import { TriggerKind, Triggers, type Armed } from "./triggers.ts";
import { enterMachine, enterSupervisor, isDelegated } from "./trap.ts";

/** What a hart stands on; the same for all harts of a machine but for `block`, `step` and `tlb`. */
export interface HartParts {
  readonly hartId: number;
  readonly features: CpuFeatures;
  readonly memory: WebAssembly.Memory;
  readonly block: number;
  readonly step: number;
  readonly tlb: SoftMmu;
  readonly cache: CodeCache;
  readonly bus: CpuBus;
  readonly notes: WriteNotes;
  readonly interpreter: InterpreterModule;
  /** Compiles hot code, for all harts of the machine. */
  readonly jit: Jit;
  readonly handlers: HandlerTable;
  readonly timebase: TimebasePort;
  readonly rng: RngPort;
  readonly external: ExternalInterrupts | undefined;
  /** Timers on the clock that drives the timebase. */
  readonly timers: TimerPort;
  /** Where the pc starts. */
  readonly resetVector: bigint;
  readonly firmware: () => HostFirmware | undefined;
}

const modeNames: Readonly<Record<Mode, PrivilegeMode>> = { [Mode.U]: "U", [Mode.S]: "S", [Mode.M]: "M" };
const modeNumbers: Readonly<Record<PrivilegeMode, Mode>> = { U: Mode.U, S: Mode.S, M: Mode.M };
const rv64Mask = (1n << 64n) - 1n;

export class RiscvHart implements Hart, FetchOwner, InstructionOwner, InterpreterHost {
  readonly index: number;
  readonly id: number;
  readonly isa: CpuFeatures["isa"];
  readonly stateDescription: typeof hartState = hartState;
  readonly core: HartCore;
  readonly pmp: Pmp;
  readonly triggers: Triggers;
  readonly misses: Misses = { fetches: 0, loads: 0, stores: 0 };
  started = true;
  waiting = false;
  private readonly parts: HartParts;
  private readonly mmu: Mmu;
  private readonly access: MemoryAccess;
  private readonly fetch: Fetch;
  private readonly csrContext: CsrContext;
  private readonly code: InterpreterInstance;
  private readonly timer: StimecmpTimer;
  private readonly end: RunEnd;
  /** The privilege context changed under a helper: the pc must be looked up again. */
  contextDirty = false;

  constructor(index: number, parts: HartParts) {
    this.index = index;
    this.id = parts.hartId;
    this.parts = parts;
    this.isa = parts.features.isa;
    const core = new HartCore(parts.hartId, parts.memory, parts.block, parts.external);
    this.core = core;
    this.triggers = new Triggers(core, () => parts.tlb.flushAll());
    const source = parts.notes.source(hartSource(parts.hartId));
    const { bus, notes, tlb, cache } = parts;
    const has = parts.features.has;
    this.pmp = new Pmp(core, has("pmp"));
    this.mmu = new Mmu({ core, bus, tlb, notes, source, pmp: this.pmp, features: mmuFeatures(has) });
    this.access = new MemoryAccess({
      core,
      mmu: this.mmu,
      bus,
      tlb,
      triggers: this.triggers,
      notes,
      source,
      owner: this,
      hasSupervisor: has("s"),
    });
    this.fetch = new Fetch({
      core,
      mmu: this.mmu,
      bus,
      cache,
      forms: new EntryForms(new Decoder(has), parts.handlers),
      access: this.access,
      triggers: this.triggers,
      owner: this,
      step: parts.step,
    });
    const entropy = new Uint8Array(2);
    this.csrContext = {
      core,
      pmp: this.pmp,
      triggers: this.triggers,
      has,
      satpModes: parts.features.satpModes,
      timeTicks: () => BigInt(parts.timebase.ticks()),
      entropy16: () => {
        parts.rng.fill(entropy);
        return entropy[0]! | (entropy[1]! << 8);
      },
      contextChanged: (flush) => {
        if (flush === "all") tlb.flushAll();
        else if (flush === "loads") tlb.flush(TlbKind.load);
        this.contextDirty = true;
      },
      timerChanged: () => this.timer.update(),
    };
    const { timebase, timers } = parts;
    this.timer = new StimecmpTimer({ core, hasSstc: has("sstc"), timebase, timers });
    this.end = new RunEnd(core, tlb, timers.clock);
    const options = {
      memory: parts.memory,
      vcpu: parts.block,
      host: this,
      helpers: {
        ...new SystemInstructions(this, this.csrContext, tlb).helpers(),
        ...new MemoryInstructions(this, this.csrContext, this.access).helpers(),
      },
    };
    this.code = parts.jit.attach({
      host: this,
      vcpu: parts.block,
      plain: () => parts.interpreter.instantiate(options),
      counting: (regions) => parts.interpreter.instantiate({ ...options, regions }),
    });
    notes.addArmListener((page) => {
      if (page < 0) tlb.flush(TlbKind.store);
      else tlb.flushTarget(TlbKind.store, page * 4096);
    });
    bus.addChangeListener(() => tlb.flushAll());
    this.reset();
  }

  get accelerator(): Jit {
    return this.parts.jit;
  }

  reset(): void {
    const { core } = this;
    // What devices drive is not the hart's to reset.
    const { lines } = core;
    core.r64.fill(0n, core.base64, core.base64 + F.pmpaddr + 16);
    core.lines = lines;
    core.aia.reset();
    core.mode = Mode.M;
    core.counters.reset(core.executedBefore);
    core.pc = this.parts.resetVector;
    core.dropReservation();
    // As QEMU: what Svpbmt and, without Svade, Svadu bring is on from the start.
    const { has } = this.parts.features;
    const updates = has("svadu") && !has("svade") ? Menvcfg.adue : 0n;
    core.set(F.menvcfg, updates | (has("svpbmt") ? Menvcfg.pbmte : 0n));
    // The only mode is the previous one, always.
    if (!has("u")) core.setWord(W.mstatus, Mstatus.mpp);
    this.started = true;
    this.waiting = false;
    this.end.reset();
    this.pmp.refresh();
    this.triggers.reset();
    core.refreshFpFast();
    this.parts.tlb.flushAll();
    this.access.selectTables();
    this.timer.update();
  }

  get runnable(): boolean {
    return this.started && (!this.waiting || this.wakeup);
  }

  /** wfi ends when an interrupt is pending and enabled on its own, whatever the global enables (§3.3.3). */
  get wakeup(): boolean {
    return hasPendingInterrupt(this.core);
  }

  get executed(): number {
    return this.core.executed;
  }

  kick(): void {
    this.end.kicked = true;
  }

  get wanted(): boolean {
    return this.end.kicked || pendingInterrupt(this.core) >= 0;
  }

  run(budget: number): VcpuExit {
    const { core } = this;
    let left = budget;
    while (left > 0) {
      if (!this.started) return "stopped";
      if (this.end.takeKick()) return "kicked";
      if (this.waiting) {
        if (!this.wakeup) return "wait";
        this.waiting = false;
      }
      const interrupt = pendingInterrupt(core);
      if (interrupt >= 0) {
        this.interrupt(interrupt);
        continue;
      }
      const { triggers } = this;
      const slice = triggers.passing === 0 ? Math.min(left, mostBudget) : 1;
      core.runBudget = slice;
      this.end.begin();
      const after = this.code.run(slice);
      core.runBudget = 0;
      core.executedBefore += slice - after;
      left -= slice - after;
      triggers.passing = 0;
      const exit = this.end.take();
      if (exit === "watch") {
        triggers.passing = this.watchHit!.watch.kind === "execute" ? TriggerKind.execute : TriggerKind.any;
      }
      if (exit !== undefined) return exit;
    }
    return "budget";
  }

  /** Another hart ran meanwhile and may have stored: a reservation does not outlive that. */
  dropReservation(): void {
    this.core.dropReservation();
  }

  // Traps.

  private trap(cause: number, tval: bigint, interrupt: boolean, delegated: boolean): void {
    const { core } = this;
    core.dropReservation();
    if (delegated) {
      enterSupervisor(core, cause, tval, interrupt);
    } else {
      const firmware = this.parts.firmware();
      if (firmware === undefined) enterMachine(core, cause, tval, interrupt);
      else firmware.machineTrap(this, interrupt ? BigInt(cause) | interruptFlag : BigInt(cause), tval);
    }
    this.access.selectTables();
  }

  private exception(cause: number, tval: bigint): void {
    this.trap(cause, tval, false, isDelegated(this.core, cause));
  }

  /** As `pendingInterrupt` says it. */
  private interrupt(choice: number): void {
    this.trap(choice % toSupervisor, 0n, true, choice >= toSupervisor);
  }

  fault(cause: number, low: number, high: number): void {
    // A fetch that faults is no instruction yet, and not counted.
    if (cause !== Cause.fetchAccessFault && cause !== Cause.fetchPageFault) this.core.counters.doNotRetire();
    this.exception(cause, (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
  }

  /** A helper's answer after a trap or a change of mode: firmware may have stopped this hart, or asked for its turn. */
  resume(): HelperStatus {
    this.contextDirty = false;
    this.access.selectTables();
    const leaves = !this.started || this.waiting || this.wanted || this.isKickedLate();
    return leaves ? HelperStatus.leave : HelperStatus.goto;
  }

  raise(cause: number, tval: bigint): HelperStatus {
    this.core.counters.doNotRetire();
    this.exception(cause, tval);
    return this.resume();
  }

  /** A trigger raises a breakpoint exception; for a watch, generated code is left at the next look-up of the pc. */
  stopAccess(armed: Armed, low: number, high: number): void {
    const access = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    const address = access > armed.first ? access : armed.first;
    if (armed.trigger !== undefined) {
      this.triggers.hit(armed.trigger);
      this.exception(Cause.breakpoint, address);
      return;
    }
    this.end.stopAt({ watch: armed.watch!, address });
  }

  get stopping(): boolean {
    return this.end.stopping;
  }

  isKickedLate(): boolean {
    return this.end.isKickedLate();
  }

  get watchHit(): WatchHit | undefined {
    return this.end.watchHit;
  }

  watch(watch: Watch): void {
    this.triggers.watch(watch);
  }

  unwatch(watch: Watch): void {
    this.triggers.unwatch(watch);
  }

  illegalInstruction(word: number): HelperStatus {
    return this.raise(Cause.illegalInstruction, BigInt((word & 3) === 3 ? word >>> 0 : word & 0xffff));
  }

  // What generated code asks for (InterpreterHost).

  fetchMiss(): number {
    this.misses.fetches++;
    if (!this.end.stopping && this.end.isLate()) this.end.cutAtFetch();
    return this.fetch.miss();
  }

  decode(entry: number): void {
    this.fetch.decode(entry);
  }

  decodeWord(word: number, entry: number): void {
    this.fetch.decodeWord(word, entry);
  }

  step(): number {
    return this.end.isLate() ? this.end.cutBefore() : this.fetch.single();
  }

  loadSlow(width: number): number {
    this.misses.loads++;
    return this.end.isLate() ? this.end.cutBefore() : this.access.load(width);
  }

  storeSlow(width: number): number {
    this.misses.stores++;
    const status = this.access.store(width);
    return status === HelperStatus.next && this.end.isKickedLate() ? HelperStatus.leave : status;
  }

  atomicSlow(width: number, forStore: number): number {
    if (forStore === 1) this.misses.stores++;
    else this.misses.loads++;
    return this.end.isLate() ? this.end.cutBefore() : this.access.atomic(width, forStore);
  }

  // What boards and firmware ask for (Hart).

  setIrq(irq: HartIrq, level: boolean): void {
    const { core } = this;
    const bit = 1 << irq;
    if (irq === 1 || irq === 5) {
      // SSIP and STIP are driven by software (firmware) through mip itself.
      const mip = core.word(W.mip);
      core.setWord(W.mip, level ? mip | bit : mip & ~bit);
    } else {
      core.lines = level ? core.lines | bit : core.lines & ~bit;
    }
  }

  x(n: number): bigint {
    return this.core.x(n);
  }

  setX(n: number, value: bigint): void {
    this.core.setX(n, value & rv64Mask);
  }

  get pc(): bigint {
    return this.core.pc;
  }

  set pc(value: bigint) {
    this.core.pc = value & rv64Mask;
  }

  get mode(): PrivilegeMode {
    return modeNames[this.core.mode];
  }

  set mode(mode: PrivilegeMode) {
    this.core.mode = modeNumbers[mode];
    this.access.selectTables();
  }

  leaveFor(exit: VcpuExit): void {
    this.end.leaveFor(exit);
  }

  waitForInterrupt(): void {
    this.waiting = true;
  }

  readCsr(csr: number): bigint | undefined {
    return csrByNumber[csr]?.read(this.csrContext);
  }

  writeCsr(csr: number, value: bigint): void {
    csrByNumber[csr]?.write?.(this.csrContext, value & rv64Mask);
    this.contextDirty = false;
    this.access.selectTables();
  }

  trapToSupervisor(cause: bigint, tval: bigint): void {
    enterSupervisor(this.core, Number(cause & ~interruptFlag), tval, (cause & interruptFlag) !== 0n);
    this.access.selectTables();
  }

  flushTlb(startVa?: bigint, lengthBytes?: bigint, _asid?: number): void {
    const pages = startVa === undefined || lengthBytes === undefined ? 65n : (lengthBytes + 4095n) >> 12n;
    if (startVa === undefined || pages > 64n) {
      this.parts.tlb.flushAll();
      return;
    }
    for (let i = 0n; i < pages; i++) {
      const va = (startVa + (i << 12n)) & rv64Mask;
      this.parts.tlb.flushPage(Number(va & 0xffff_ffffn) | 0, Number(va >> 32n) | 0);
    }
  }

  /** Decoded code follows every write at once, so there is nothing stale to drop. */
  flushCode(): void {}

  readVirtual(va: bigint, width: 1 | 2 | 4 | 8, asCode = false): bigint | undefined {
    const low = Number(va & 0xffff_ffffn) | 0;
    const high = Number(va >> 32n) | 0;
    if ((low & 0xfff) + width > 4096) return undefined;
    const kind = asCode ? AccessKind.fetch : AccessKind.load;
    if (this.mmu.translate(low, high, width, kind, this.core.mode) !== 0) return undefined;
    const gpa = this.mmu.gpa;
    if (this.parts.bus.load(gpa, width) !== 0) return undefined;
    return (BigInt(this.parts.bus.high >>> 0) << 32n) | BigInt(this.parts.bus.low >>> 0);
  }

  saveState(): HartState {
    return captureHartState(this);
  }

  loadState(values: HartState): void {
    applyHartState(this, values);
    this.parts.tlb.flushAll();
    this.pmp.refresh();
    this.core.refreshFpFast();
    this.access.selectTables();
    this.timer.update();
  }
}
