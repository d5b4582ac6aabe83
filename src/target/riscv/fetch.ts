// hot: bench/kernels.ts
// Instruction fetch: fills the fetch TLB, decodes pages entry by entry, and builds single steps for what pages cannot hold
// (instructions over a page boundary, pages whose PMP rights are not uniform).
import { type CodeCache, entryOffset, entryScale, fetchTrapped, Handler } from "../../accel/index.ts";
import type { CpuBus } from "../../memory/port.ts";
import { Cause } from "./causes.ts";
import type { EntryForm, EntryForms } from "./entry-forms.ts";
import { W, type HartCore } from "./hart-core.ts";
import type { AccessOwner, MemoryAccess } from "./memory-access.ts";
import { AccessKind, type Mmu } from "./mmu.ts";
import { TriggerKind, type Triggers } from "./triggers.ts";

/** Entries of a step: the instruction, and for either length one that looks the pc up again. */
export const stepBytes = 48;
/** How many instructions are decoded at once, as long as each follows the one before. */
const decodeAhead = 16;

export interface FetchOwner extends AccessOwner {
  /** `run` is to come back before the instruction at the pc. */
  readonly stopping: boolean;
}

export class Fetch {
  private readonly core: HartCore;
  private readonly mmu: Mmu;
  private readonly bus: CpuBus;
  private readonly cache: CodeCache;
  private readonly forms: EntryForms;
  private readonly access: MemoryAccess;
  private readonly triggers: Triggers;
  private readonly owner: FetchOwner;
  private readonly step: number;
  /** The instruction that the step entries hold; they do not depend on its address. */
  private stepWord: number | undefined;
  private readonly halves: Uint16Array;
  private readonly words: Int32Array;

  constructor(options: {
    core: HartCore;
    mmu: Mmu;
    bus: CpuBus;
    cache: CodeCache;
    forms: EntryForms;
    access: MemoryAccess;
    triggers: Triggers;
    owner: FetchOwner;
    /** Address of `stepBytes` for this hart's step entries. */
    step: number;
  }) {
    this.core = options.core;
    this.mmu = options.mmu;
    this.bus = options.bus;
    this.cache = options.cache;
    this.forms = options.forms;
    this.access = options.access;
    this.triggers = options.triggers;
    this.owner = options.owner;
    this.step = options.step;
    this.words = this.core.words;
    this.halves = new Uint16Array(this.words.buffer);
  }

  /** Nothing in the fetch TLB for the pc: fills it (0: look again), traps, or answers a step. */
  miss(): number {
    const low = this.core.word(W.pc);
    const high = this.core.word(W.pc + 1);
    if (this.owner.stopping) return this.stopStep();
    if (this.triggers.armed !== 0) {
      const armed = this.triggers.find(TriggerKind.execute, low, high, 1);
      if (armed !== undefined) this.owner.stopAccess(armed, low, high);
      if (this.owner.stopping) return this.stopStep();
      if (armed !== undefined) return fetchTrapped;
    }
    const cause = this.mmu.translate(low, high, 2, AccessKind.fetch, this.core.mode);
    if (cause !== 0) {
      this.owner.fault(cause, low, high);
      return fetchTrapped;
    }
    const page = this.bus.ramPage(this.mmu.gpa - (this.mmu.gpa % 4096));
    if (page < 0) {
      this.owner.fault(Cause.fetchAccessFault, low, high);
      return fetchTrapped;
    }
    if (!this.mayFill(low, high)) return this.single() || fetchTrapped;
    this.access.fillFetch(low, high, this.cache.entriesOf(page >>> 12));
    return 0;
  }

  /** True when the page just translated holds for all its instructions, and none of them is to be stopped at. */
  private mayFill(low: number, high: number): boolean {
    return this.mmu.cacheable && !this.triggers.covers(TriggerKind.execute, low, high);
  }

  /** A step that leaves generated code. */
  private stopStep(): number {
    this.stepWord = undefined;
    this.halves[this.step >>> 1] = this.forms.stopHandler;
    return this.step;
  }

  /** Decodes the instruction at the pc into the step entries; 0 after a trap. */
  single(): number {
    const low = this.core.word(W.pc);
    const high = this.core.word(W.pc + 1);
    const first = this.fetchHalf(low, high);
    if (first < 0) return 0;
    let word = first;
    if ((first & 3) === 3) {
      const nextLow = (low + 2) | 0;
      const second = this.fetchHalf(nextLow, nextLow === 0 ? (high + 1) | 0 : high);
      if (second < 0) return 0;
      word |= second << 16;
    }
    if (word === this.stepWord) return this.step;
    this.stepWord = word;
    this.write(this.step, this.forms.of(word), -1);
    this.halves[(this.step >>> 1) + 8] = Handler.refetch;
    this.halves[(this.step >>> 1) + 16] = Handler.refetch;
    return this.step;
  }

  /** Two bytes of code, or -1 after a trap; a fault in either half has that half's address as its value (§3.1.16). */
  private fetchHalf(low: number, high: number): number {
    const entries = this.access.findFetch(low, high);
    if (entries !== 0) return this.halves[(this.cache.codeAt(entries) + (low & 0xffe)) >>> 1]!;
    const cause = this.mmu.translate(low, high, 2, AccessKind.fetch, this.core.mode);
    const page = cause === 0 ? this.bus.ramPage(this.mmu.gpa - (this.mmu.gpa % 4096)) : -1;
    if (page < 0) {
      this.owner.fault(cause === 0 ? Cause.fetchAccessFault : cause, low, high);
      return -1;
    }
    if (this.mayFill(low, high)) this.access.fillFetch(low, high, this.cache.entriesOf(page >>> 12));
    return this.halves[(page + (low & 0xffe)) >>> 1]!;
  }

  /** Decodes a 4-byte instruction into the entry at `entry`, which says nothing of where it stands. */
  decodeWord(word: number, entry: number): void {
    this.write(entry, this.forms.of(word), -1);
  }

  /** Fills the entry at `entry` from its code, and some of those that follow it. */
  decode(entry: number): void {
    let at = entry;
    let code = this.cache.codeAt(entry);
    const lastHalf = (code | 0xfff) - 1;
    for (let i = 0; i < decodeAhead && code <= lastHalf; i++) {
      if (this.halves[at >>> 1] !== Handler.decode) return;
      this.cache.noteDecoded(at);
      const first = this.halves[code >>> 1]!;
      const wide = (first & 3) === 3;
      if (wide && code === lastHalf) {
        this.halves[at >>> 1] = Handler.step;
        return;
      }
      const form = this.forms.of(wide ? first | (this.halves[(code >>> 1) + 1]! << 16) : first);
      this.write(at, form, code & 0xfff);
      // What lies behind a jump is decoded when it is reached: the region compiler leaves out what never was.
      if (form.endsRun) return;
      at += form.lengthBytes * entryScale;
      code += form.lengthBytes;
    }
  }

  /** Writes one entry; `inPage` is the instruction's place in its page, or -1 where branches may not stay inside one. */
  private write(entry: number, form: EntryForm, inPage: number): void {
    const { handlers, imm } = form;
    const half = entry >>> 1;
    const target = inPage + imm;
    const near = form.isRelative && inPage >= 0 && target >= 0 && target < 4096;
    this.halves[half] = !near ? handlers.far : imm > 0 ? handlers.ahead : handlers.back;
    this.halves[half + entryOffset.dst / 2] = form.dst;
    this.halves[half + entryOffset.src1 / 2] = form.src1;
    this.halves[half + entryOffset.src2 / 2] = form.src2;
    this.halves[half + entryOffset.src3 / 2] = form.src3;
    this.halves[half + entryOffset.count / 2] = 0;
    this.words[(entry + entryOffset.imm) >>> 2] = near ? imm * entryScale : imm;
  }
}
