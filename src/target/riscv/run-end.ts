// hot: bench/timer-latency.ts
// Why a run of generated code comes to its end before its budget does, and how many instructions it executed by then: kicks,
// runs that take too long, watches of a debugger, helpers with a reason of their own.
import { TlbKind, type SoftMmu, type VcpuExit } from "../../accel/index.ts";
import type { ClockPort } from "../../base/index.ts";
import type { HartCore } from "./hart-core.ts";
import type { WatchHit } from "./port.ts";

/**
 * A run is cut short when it has taken so long of its clock's time: what it was given was meant for faster code. The clock
 * is looked at when this many things were done outside of generated code, which are what can be slow.
 */
const longRunNs = 2_000_000;
const callsBetweenLooks = 64;

export class RunEnd {
  kicked = false;
  /** What the last exit "watch" was for. */
  watchHit: WatchHit | undefined;
  private readonly core: HartCore;
  private readonly tlb: SoftMmu;
  private readonly clock: ClockPort;
  /** Set by helpers that leave generated code for a reason of their own. */
  private exit: VcpuExit | undefined;
  /** A watch stopped the hart: what for, and the instructions executed until then where that is known. */
  private stopped: { readonly hit: WatchHit; readonly executed?: number } | undefined;
  /** The run is cut short before the next instruction: how many it executed where that is known. */
  private cut: { readonly executed?: number } | undefined;
  private runEndNs = 0;
  private callsUntilLook = callsBetweenLooks;

  constructor(core: HartCore, tlb: SoftMmu, clock: ClockPort) {
    this.core = core;
    this.tlb = tlb;
    this.clock = clock;
  }

  reset(): void {
    this.exit = undefined;
  }

  /** A run begins. */
  begin(): void {
    this.runEndNs = this.clock.nowNs() + longRunNs;
  }

  /** What `run` answers after a run that left generated code; undefined where it may go on. */
  take(): VcpuExit | undefined {
    const { core, stopped, cut, exit } = this;
    if (stopped !== undefined) {
      // Else the step that left generated code was counted.
      core.executedBefore = stopped.executed ?? core.executedBefore - 1;
      this.watchHit = stopped.hit;
      this.stopped = undefined;
      return "watch";
    }
    if (cut !== undefined) {
      core.executedBefore = cut.executed ?? core.executedBefore - 1;
      this.cut = undefined;
      return "kicked";
    }
    this.exit = undefined;
    return exit;
  }

  /** True once somebody kicked the hart since it was asked last. */
  takeKick(): boolean {
    const { kicked } = this;
    this.kicked = false;
    return kicked;
  }

  /** Generated code is left with this answer. */
  leaveFor(exit: VcpuExit): void {
    this.exit = exit;
  }

  /** `run` is to come back before the instruction at the pc. */
  get stopping(): boolean {
    return this.stopped !== undefined || this.cut !== undefined;
  }

  /** Whether this run has lasted too long; asked once for each thing done outside of generated code. */
  isLate(): boolean {
    if (--this.callsUntilLook > 0) return false;
    this.callsUntilLook = callsBetweenLooks;
    return this.clock.nowNs() >= this.runEndNs;
  }

  isKickedLate(): boolean {
    this.kicked ||= this.isLate();
    return this.kicked;
  }

  /** Leaves generated code before the instruction at the pc, which is counted already, at the next look-up of the pc. */
  cutBefore(): 0 {
    this.cut = { executed: this.core.executed - 1 };
    this.tlb.flush(TlbKind.fetch);
    return 0;
  }

  /** As `cutBefore`, at a look-up of the pc: no instruction was begun; the step that leaves generated code is counted. */
  cutAtFetch(): void {
    this.cut = {};
  }

  stopAt(hit: WatchHit): void {
    // An access is made by an instruction that is counted already; how many came before a fetch is known behind the run.
    this.stopped = hit.watch.kind === "execute" ? { hit } : { hit, executed: this.core.executed - 1 };
    this.tlb.flush(TlbKind.fetch);
  }
}
