// hot: bench/kernels.ts
// Slow paths of guest memory accesses: what the inline TLB look-up did not find, misaligned accesses, devices.
import { HelperStatus, TlbKind, type SoftMmu } from "../../accel/index.ts";
import { MemTx, type AccessWidth, type CpuBus, type DirtySource, type WriteNotes } from "../../memory/port.ts";
import { Cause } from "./causes.ts";
import { Menvcfg, Mode, Mstatus, W, type HartCore } from "./hart-core.ts";
import { AccessKind, type Mmu } from "./mmu.ts";
import { cacheBlockBytes, hartLayout } from "./state.ts";
import { TriggerKind, type Armed, type Triggers } from "./triggers.ts";

/** MMU indexes: the TLB tables of a hart, one set each. */
export const mmuIndexCount = 4;
const MmuIndex = { user: 0, supervisor: 1, supervisorSum: 2, machine: 3 } as const;

const zeroingEnable = Number(Menvcfg.cbze);
const valueOffset = hartLayout.offset("memValue");

/** What the slow paths ask of the hart around them. */
export interface AccessOwner {
  /** Takes the exception with the address in `memVa` (or at `low`, `high`) as its value. */
  fault(cause: number, low: number, high: number): void;
  /** An access to `low`, `high` met a trigger or a watch: takes the exception, or sees to it that `run` comes back. */
  stopAccess(armed: Armed, low: number, high: number): void;
  /** True when somebody wants generated code to be left: a kick, or an interrupt that became pending. */
  readonly wanted: boolean;
}

export class MemoryAccess {
  private readonly core: HartCore;
  private readonly mmu: Mmu;
  private readonly bus: CpuBus;
  private readonly tlb: SoftMmu;
  private readonly triggers: Triggers;
  private readonly notes: WriteNotes;
  private readonly source: DirtySource;
  private readonly owner: AccessOwner;
  private readonly hasSupervisor: boolean;
  private readonly bytes: Uint8Array;

  constructor(options: {
    core: HartCore;
    mmu: Mmu;
    bus: CpuBus;
    tlb: SoftMmu;
    triggers: Triggers;
    notes: WriteNotes;
    source: DirtySource;
    owner: AccessOwner;
    hasSupervisor: boolean;
  }) {
    this.core = options.core;
    this.mmu = options.mmu;
    this.bus = options.bus;
    this.tlb = options.tlb;
    this.triggers = options.triggers;
    this.notes = options.notes;
    this.source = options.source;
    this.owner = options.owner;
    this.hasSupervisor = options.hasSupervisor;
    this.bytes = new Uint8Array(this.core.words.buffer);
  }

  private index(mode: Mode): number {
    if (mode === Mode.M) return MmuIndex.machine;
    if (mode === Mode.U) return MmuIndex.user;
    return (this.core.word(W.mstatus) & Mstatus.sum) !== 0 ? MmuIndex.supervisorSum : MmuIndex.supervisor;
  }

  /** Points generated code at what the current mode may do: after every change of mode, SUM, MPRV or the environment. */
  selectTables(): void {
    const { core, tlb } = this;
    const data = this.index(this.mmu.dataMode());
    core.setWord(W.tlbFetch, tlb.table(TlbKind.fetch, this.fetchIndex));
    core.setWord(W.tlbLoad, tlb.table(TlbKind.load, data));
    core.setWord(W.tlbStore, tlb.table(TlbKind.store, data));
    core.setWord(W.zeroing, core.isEnabled(zeroingEnable, this.hasSupervisor) ? 1 : 0);
    core.setWord(W.statusOpen, this.hasSupervisor && core.mode >= Mode.S && core.aia.mvien === 0n ? 1 : 0);
  }

  private fill(kind: TlbKind, index: number, low: number, high: number, target: number): void {
    this.tlb.fill(kind, index, low, high, target);
    if (this.mmu.leafBytes > 4096) this.tlb.noteLarge(low, high, this.mmu.leafBytes);
  }

  /** Pages with anything armed for data stay out of both tables: an atomic operation looks into one of them only. */
  private fillData(kind: TlbKind, index: number, low: number, high: number, target: number): void {
    if (!this.mmu.cacheable || this.triggers.covers(TriggerKind.data, low, high)) return;
    this.fill(kind, index, low, high, target);
  }

  /** True when the access stops at a trigger or a watch, which comes before all other exceptions of its own (§3.1.15). */
  private stops(kinds: number, low: number, high: number, width: number): boolean {
    const armed = this.triggers.find(kinds, low, high, width);
    if (armed !== undefined) this.owner.stopAccess(armed, low, high);
    return armed !== undefined;
  }

  private get fetchIndex(): number {
    return this.core.mode === Mode.S ? MmuIndex.supervisor : this.index(this.core.mode);
  }

  /** Enters the decoded entries of the page of the pc. */
  fillFetch(low: number, high: number, entries: number): void {
    this.fill(TlbKind.fetch, this.fetchIndex, low, high, entries);
  }

  /** The decoded entries of a page that is in the fetch TLB, or 0. */
  findFetch(low: number, high: number): number {
    return this.tlb.find(TlbKind.fetch, this.fetchIndex, low, high);
  }

  /** Host address of the loaded value, or 0 after a trap. */
  load(width: number): number {
    const low = this.core.word(W.memVa);
    const high = this.core.word(W.memVa + 1);
    if (this.triggers.armed !== 0 && this.stops(TriggerKind.load, low, high, width)) return 0;
    if ((low & 0xfff) + width > 4096) return this.loadCrossing(low, high, width);
    const mode = this.mmu.dataMode();
    const cause = this.mmu.translate(low, high, width, AccessKind.load, mode);
    if (cause !== 0) return this.refuse(cause, low, high);
    const gpa = this.mmu.gpa;
    const page = this.bus.ramPage(gpa - (gpa % 4096));
    if (page >= 0) {
      this.fillData(TlbKind.load, this.index(mode), low, high, page);
      return page + (low & 0xfff);
    }
    if (this.bus.load(gpa, width as AccessWidth) !== MemTx.ok) return this.refuse(Cause.loadAccessFault, low, high);
    this.core.setWord(W.memValue, this.bus.low);
    this.core.setWord(W.memValue + 1, this.bus.high);
    return this.core.block + valueOffset;
  }

  private refuse(cause: number, low: number, high: number): 0 {
    this.owner.fault(cause, low, high);
    return 0;
  }

  /** A load over a page boundary: both pages are translated before any byte is read. */
  private loadCrossing(low: number, high: number, width: number): number {
    const first = 4096 - (low & 0xfff);
    const value = this.core.block + valueOffset;
    const nextLow = (low + first) | 0;
    const nextHigh = nextLow === 0 ? (high + 1) | 0 : high;
    const mode = this.mmu.dataMode();
    let cause = this.mmu.translate(low, high, first, AccessKind.load, mode);
    if (cause !== 0) return this.refuse(cause, low, high);
    const gpaFirst = this.mmu.gpa;
    cause = this.mmu.translate(nextLow, nextHigh, width - first, AccessKind.load, mode);
    if (cause !== 0) return this.refuse(cause, nextLow, nextHigh);
    const gpaNext = this.mmu.gpa;
    for (let i = 0; i < width; i++) {
      const gpa = i < first ? gpaFirst + i : gpaNext + i - first;
      if (this.bus.load(gpa, 1) !== MemTx.ok) return this.refuse(Cause.loadAccessFault, low, high);
      this.bytes[value + i] = this.bus.low;
    }
    return value;
  }

  store(width: number): HelperStatus {
    const low = this.core.word(W.memVa);
    const high = this.core.word(W.memVa + 1);
    if (this.triggers.armed !== 0 && this.stops(TriggerKind.store, low, high, width)) return HelperStatus.goto;
    if ((low & 0xfff) + width > 4096) return this.storeCrossing(low, high, width);
    const mode = this.mmu.dataMode();
    const cause = this.mmu.translate(low, high, width, AccessKind.store, mode);
    if (cause !== 0) return this.refuseStore(cause, low, high);
    const gpa = this.mmu.gpa;
    const page = this.bus.ramPage(gpa - (gpa % 4096));
    if (page >= 0) {
      if (!this.bus.isRamWritable(gpa - (gpa % 4096))) return HelperStatus.next;
      const at = page + (low & 0xfff);
      const value = this.core.block + valueOffset;
      for (let i = 0; i < width; i++) this.bytes[at + i] = this.bytes[value + i]!;
      // A quiet page has been reported by whoever wrote to it first: a store that only misses the TLB says nothing new.
      if (!this.notes.isQuiet(page >>> 12)) this.notes.noteWrite(this.source, at, width);
      if (this.notes.isQuiet(page >>> 12)) this.fillData(TlbKind.store, this.index(mode), low, high, page);
      return HelperStatus.next;
    }
    const valueLow = this.core.word(W.memValue) >>> 0;
    const valueHigh = this.core.word(W.memValue + 1) >>> 0;
    if (this.bus.store(gpa, width as AccessWidth, cut(valueLow, width), valueHigh) !== MemTx.ok) {
      return this.refuseStore(Cause.storeAccessFault, low, high);
    }
    return this.owner.wanted ? HelperStatus.leave : HelperStatus.next;
  }

  private refuseStore(cause: number, low: number, high: number): HelperStatus {
    this.owner.fault(cause, low, high);
    return HelperStatus.goto;
  }

  /** A store over a page boundary: both pages are translated before any byte is written. */
  private storeCrossing(low: number, high: number, width: number): HelperStatus {
    const first = 4096 - (low & 0xfff);
    const value = this.core.block + valueOffset;
    const nextLow = (low + first) | 0;
    const nextHigh = nextLow === 0 ? (high + 1) | 0 : high;
    const mode = this.mmu.dataMode();
    let cause = this.mmu.translate(low, high, first, AccessKind.store, mode);
    if (cause !== 0) return this.refuseStore(cause, low, high);
    const gpaFirst = this.mmu.gpa;
    cause = this.mmu.translate(nextLow, nextHigh, width - first, AccessKind.store, mode);
    if (cause !== 0) return this.refuseStore(cause, nextLow, nextHigh);
    const gpaNext = this.mmu.gpa;
    for (let i = 0; i < width; i++) {
      const gpa = i < first ? gpaFirst + i : gpaNext + i - first;
      const status = this.storeByte(gpa, this.bytes[value + i]!);
      if (status !== MemTx.ok) return this.refuseStore(Cause.storeAccessFault, low, high);
    }
    return this.owner.wanted ? HelperStatus.leave : HelperStatus.next;
  }

  private storeByte(gpa: number, value: number): MemTx {
    const inPage = gpa % 4096;
    const page = this.bus.ramPage(gpa - inPage);
    if (page < 0) return this.bus.store(gpa, 1, value, 0);
    if (!this.bus.isRamWritable(gpa - inPage)) return MemTx.ok;
    this.bytes[page + inPage] = value;
    this.notes.noteWrite(this.source, page + inPage, 1);
    return MemTx.ok;
  }

  /** Host address of a naturally aligned cell of RAM for LR (`forStore` 0) or SC and AMO (1); 0 after a trap. */
  atomic(width: number, forStore: number): number {
    const low = this.core.word(W.memVa);
    const high = this.core.word(W.memVa + 1);
    // A store-conditional cannot be told from an atomic operation here, and counts as a load too, as in QEMU.
    const kinds = forStore === 1 ? TriggerKind.data : TriggerKind.load;
    if (this.triggers.armed !== 0 && this.stops(kinds, low, high, width)) return 0;
    if ((low & (width - 1)) !== 0) {
      return this.refuse(forStore === 1 ? Cause.storeMisaligned : Cause.loadMisaligned, low, high);
    }
    const mode = this.mmu.dataMode();
    const kind = forStore === 1 ? AccessKind.store : AccessKind.load;
    const cause = this.mmu.translate(low, high, width, kind, mode);
    if (cause !== 0) return this.refuse(cause, low, high);
    const gpaPage = this.mmu.gpa - (this.mmu.gpa % 4096);
    const page = this.bus.ramPage(gpaPage);
    // Devices and ROM take no part in atomics (PMA, privileged spec §3.6.3).
    if (page < 0 || (forStore === 1 && !this.bus.isRamWritable(gpaPage))) {
      return this.refuse(forStore === 1 ? Cause.storeAccessFault : Cause.loadAccessFault, low, high);
    }
    const at = page + (low & 0xfff);
    if (forStore === 1 && !this.notes.isQuiet(page >>> 12)) this.notes.noteWrite(this.source, at, width);
    const quiet = forStore === 0 || this.notes.isQuiet(page >>> 12);
    if (quiet) this.fillData(forStore === 1 ? TlbKind.store : TlbKind.load, this.index(mode), low, high, page);
    return at;
  }

  /** Writes zeros to the cache block at an address (cbo.zero); false after a trap, whose value is the address as given. */
  zeroBlock(low: number, high: number): boolean {
    const start = low & -cacheBlockBytes;
    if (this.triggers.armed !== 0 && this.stops(TriggerKind.store, start, high, cacheBlockBytes)) return false;
    const mode = this.mmu.dataMode();
    const known = this.tlb.find(TlbKind.store, this.index(mode), start, high);
    if (known !== 0) {
      this.zero(known + (start & 0xfff));
      return true;
    }
    const cause = this.mmu.translate(start, high, cacheBlockBytes, AccessKind.store, mode);
    const gpaPage = this.mmu.gpa - (this.mmu.gpa % 4096);
    const page = cause === 0 ? this.bus.ramPage(gpaPage) : -1;
    if (page < 0) return this.refuse(cause === 0 ? Cause.storeAccessFault : cause, low, high) !== 0;
    if (!this.bus.isRamWritable(gpaPage)) return true;
    const at = page + (start & 0xfff);
    this.zero(at);
    this.notes.noteWrite(this.source, at, cacheBlockBytes);
    if (this.notes.isQuiet(page >>> 12)) this.fillData(TlbKind.store, this.index(mode), start, high, page);
    return true;
  }

  private zero(at: number): void {
    const { words } = this.core;
    const first = at >>> 2;
    for (let i = first; i < first + cacheBlockBytes / 4; i++) words[i] = 0;
  }

  /**
   * Checks that the cache block at an address may be managed: where loads or stores are permitted. False after a trap, which
   * is always a store's (unprivileged spec §19.4.2).
   */
  probeBlock(low: number, high: number): boolean {
    const start = low & -cacheBlockBytes;
    const mode = this.mmu.dataMode();
    if (this.mmu.translate(start, high, cacheBlockBytes, AccessKind.load, mode) === 0) return true;
    const cause = this.mmu.translate(start, high, cacheBlockBytes, AccessKind.store, mode);
    return cause === 0 || this.refuse(cause, low, high) !== 0;
  }
}

function cut(value: number, width: number): number {
  return width === 1 ? value & 0xff : width === 2 ? value & 0xffff : value;
}
