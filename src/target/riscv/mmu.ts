// hot: bench/kernels.ts
// Address translation: Sv39, Sv48, Sv57 and bare (privileged spec §10.3 to §10.5), with PMP, on 32-bit halves of addresses.
import type { SoftMmu } from "../../accel/index.ts";
import type { CpuBus, DirtySource, WriteNotes } from "../../memory/port.ts";
import { Cause } from "./causes.ts";
import { Mode, Mstatus, W, type HartCore } from "./hart-core.ts";
import { PageVerdict, PmpBits, type Pmp, type PmpAccess } from "./pmp.ts";
import { WalkCache } from "./walk-cache.ts";

export const AccessKind = { fetch: 0, load: 1, store: 2 } as const;
export type AccessKind = (typeof AccessKind)[keyof typeof AccessKind];

const pteV = 1;
const pteR = 2;
const pteW = 4;
const pteX = 8;
const pteU = 16;
const pteA = 64;
const pteD = 128;
/** Bits 60:54 are reserved; in the high half they are 28:22. */
const pteReservedHigh = 0x1fc00000;
/** N (Svnapot) and PBMT (Svpbmt): bits 63 and 62:61. Memory types make no difference here, but one of them is reserved. */
const pteNapotHigh = 0x80000000 | 0;
const pteTypeHigh = 0x60000000;
/** Bit 62 of menvcfg (PBMTE) and bit 61 (ADUE), in its high half. */
const pbmteHigh = 1 << 30;
const adueHigh = 1 << 29;
/** PPN[3:0] of a 64 KiB NAPOT leaf, as bits of the entry, and what it maps. */
const napotMask = 0xf << 10;
const napot64K = 0x8 << 10;
const napotBytes = 65536;

const pageFaults: readonly number[] = [Cause.fetchPageFault, Cause.loadPageFault, Cause.storePageFault];
const accessFaults: readonly number[] = [Cause.fetchAccessFault, Cause.loadAccessFault, Cause.storeAccessFault];
const pmpAccess: readonly PmpAccess[] = [PmpBits.x, PmpBits.r, PmpBits.w];

/** Highest level of the page table by satp.MODE: Sv39 is 8, Sv48 9, Sv57 10; bare has none. */
const topLevel: readonly number[] = [-1, -1, -1, -1, -1, -1, -1, -1, 2, 3, 4];

/** Bytes that a leaf at each level maps. */
const leafLengths: readonly number[] = [4096, 2 ** 21, 2 ** 30, 2 ** 39, 2 ** 48];
/** The bits of a leaf's PPN, in the entry's halves, that are zero at each level: nine for each below it. */
const pageNumberLow: readonly number[] = [0, 0x1ff << 10, 0x3ffff << 10, 0x3fffff << 10, 0x3fffff << 10];
const pageNumberHigh: readonly number[] = [0, 0, 0, 0x1f, 0x3fff];

export interface MmuFeatures {
  /** Clear A and D bits fault; with Svadu too, menvcfg.ADUE chooses. With neither, hardware sets them. */
  readonly svade: boolean;
  /** Hardware sets A and D when menvcfg.ADUE says so. */
  readonly svadu: boolean;
  readonly svnapot: boolean;
  /** Memory types in leaves, when menvcfg.PBMTE says so. */
  readonly svpbmt: boolean;
}

/** What of the MMU a CPU with given extensions has. */
export function mmuFeatures(has: (extension: string) => boolean): MmuFeatures {
  return { svade: has("svade"), svadu: has("svadu"), svnapot: has("svnapot"), svpbmt: has("svpbmt") };
}

export class Mmu {
  private readonly core: HartCore;
  private readonly bus: CpuBus;
  private readonly notes: WriteNotes;
  private readonly source: DirtySource;
  readonly pmp: Pmp;
  private readonly features: MmuFeatures;
  private readonly tables: WalkCache;
  /** Results of the last `translate` that answered 0: the guest-physical address, and how far it may be cached. */
  gpa = 0;
  /** True when the whole 4 KiB page has this translation and these rights. */
  cacheable = false;
  /** Bytes that the leaf mapped; 4096 when bare. */
  leafBytes = 4096;

  constructor(options: {
    core: HartCore;
    bus: CpuBus;
    tlb: SoftMmu;
    notes: WriteNotes;
    source: DirtySource;
    pmp: Pmp;
    features: MmuFeatures;
  }) {
    this.core = options.core;
    this.bus = options.bus;
    this.notes = options.notes;
    this.source = options.source;
    this.pmp = options.pmp;
    this.features = options.features;
    this.tables = new WalkCache(options.tlb);
  }

  /** The mode that a load or store is made with: MPRV lends M-mode the mode in MPP. */
  dataMode(): Mode {
    const status = this.core.word(W.mstatus);
    if (this.core.mode === Mode.M && (status & Mstatus.mprv) !== 0) return ((status & Mstatus.mpp) >>> 11) as Mode;
    return this.core.mode;
  }

  /**
   * Translates the virtual address (`low`, `high`) for an access of `lengthBytes` that does not cross a page. Answers 0
   * and sets `gpa`, or the exception cause.
   */
  translate(low: number, high: number, lengthBytes: number, kind: AccessKind, mode: Mode): number {
    const satpMode = this.core.word(W.satp + 1) >>> 28;
    let pagePart: number;
    if (mode === Mode.M || satpMode === 0) {
      if (high >>> 21 !== 0) return accessFaults[kind]!;
      this.leafBytes = 4096;
      pagePart = (high >>> 0) * 4294967296 + ((low & ~0xfff) >>> 0);
    } else {
      pagePart = this.walk(low, high, kind, mode, topLevel[satpMode]!);
      if (pagePart < 0) return -pagePart;
    }
    const inPage = low & 0xfff;
    this.gpa = pagePart + inPage;
    const access = pmpAccess[kind]!;
    const verdict = this.pmp.page(pagePart, access, mode);
    this.cacheable = verdict === PageVerdict.allowed;
    if (verdict === PageVerdict.denied) return accessFaults[kind]!;
    if (verdict === PageVerdict.mixed && !this.pmp.check(this.gpa, lengthBytes, access, mode))
      return accessFaults[kind]!;
    return 0;
  }

  /** The guest-physical page, or minus the cause. */
  private walk(low: number, high: number, kind: AccessKind, mode: Mode, top: number): number {
    // Bits above the translated ones must equal the highest of them (§10.4.1).
    const signShift = 12 + 9 * (top + 1) - 1 - 32;
    const sign = high >> signShift;
    if (sign !== 0 && sign !== -1) return -pageFaults[kind]!;
    const status = this.core.word(W.mstatus);
    const satpLow = this.core.word(W.satp);
    const satpHigh = this.core.word(W.satp + 1);
    const reserved = this.reservedHigh();
    const known = this.tables.find(low, high);
    let table = known >= 0 ? known : ((satpHigh & 0xfff) * 4294967296 + (satpLow >>> 0)) * 4096;
    for (let level = known >= 0 ? 0 : top; level >= 0; level--) {
      const offset = indexAt(low, high, level) * 8;
      const address = table + offset;
      const host = this.bus.ramPage(table);
      if (host < 0 || !this.pmp.check(address, 8, PmpBits.r, Mode.S)) return -accessFaults[kind]!;
      const hostPte = host + offset;
      const at = hostPte >>> 2;
      const pte = this.core.words[at]!;
      const pteHigh = this.core.words[at + 1]!;
      if ((pte & pteV) === 0 || (pte & (pteR | pteW)) === pteW || (pteHigh & reserved) !== 0) {
        return -pageFaults[kind]!;
      }
      const target = ((pteHigh & 0x3fffff) * 4194304 + (pte >>> 10)) * 4096;
      if ((pte & (pteR | pteX)) === 0) {
        if ((pte & (pteU | pteA | pteD)) !== 0 || (pteHigh & (pteNapotHigh | pteTypeHigh)) !== 0) {
          return -pageFaults[kind]!;
        }
        table = target;
        if (level === 1) this.tables.note(low, high, table);
        continue;
      }
      if (!this.leafPermits(pte, kind, mode, status)) return -pageFaults[kind]!;
      if (!leafWellFormed(pte, pteHigh, level)) return -pageFaults[kind]!;
      const wanted = pteA | (kind === AccessKind.store ? pteD : 0);
      if ((pte & wanted) !== wanted) {
        if (!this.updatesAllowed()) return -pageFaults[kind]!;
        if (!this.bus.isRamWritable(table) || !this.pmp.check(address, 8, PmpBits.w, Mode.S)) {
          return -accessFaults[kind]!;
        }
        this.core.words[at] = pte | wanted;
        this.notes.noteWrite(this.source, hostPte, 8);
      }
      const napot = (pteHigh & pteNapotHigh) !== 0;
      this.leafBytes = napot ? napotBytes : leafLengths[level]!;
      if (napot) return target - napotBytes / 2 + (low & 0xf000);
      return target + pageInLeaf(low, high, level);
    }
    return -pageFaults[kind]!;
  }

  private leafPermits(pte: number, kind: AccessKind, mode: Mode, status: number): boolean {
    if (mode === Mode.U) {
      if ((pte & pteU) === 0) return false;
    } else if ((pte & pteU) !== 0 && (kind === AccessKind.fetch || (status & Mstatus.sum) === 0)) {
      return false;
    }
    if (kind === AccessKind.fetch) return (pte & pteX) !== 0;
    if (kind === AccessKind.store) return (pte & pteW) !== 0;
    return (pte & pteR) !== 0 || ((status & Mstatus.mxr) !== 0 && (pte & pteX) !== 0);
  }

  private updatesAllowed(): boolean {
    const { svade, svadu } = this.features;
    return svadu ? (this.core.word(W.menvcfg + 1) & adueHigh) !== 0 : !svade;
  }

  /** High-half bits of entries that must be zero. */
  private reservedHigh(): number {
    const { svnapot, svpbmt } = this.features;
    const typed = svpbmt && (this.core.word(W.menvcfg + 1) & pbmteHigh) !== 0;
    return pteReservedHigh | (svnapot ? 0 : pteNapotHigh) | (typed ? 0 : pteTypeHigh);
  }
}

/** Superpages are aligned to their size, NAPOT ranges are 64 KiB of small pages, memory type 3 is reserved. */
function leafWellFormed(pte: number, pteHigh: number, level: number): boolean {
  if ((pteHigh & pteTypeHigh) === pteTypeHigh) return false;
  if ((pteHigh & pteNapotHigh) !== 0) return level === 0 && (pte & napotMask) === napot64K;
  return (pte & pageNumberLow[level]!) === 0 && (pteHigh & pageNumberHigh[level]!) === 0;
}

/** VPN[level] of a virtual address. */
function indexAt(low: number, high: number, level: number): number {
  switch (level) {
    case 0:
      return (low >>> 12) & 511;
    case 1:
      return (low >>> 21) & 511;
    case 2:
      return ((low >>> 30) | (high << 2)) & 511;
    case 3:
      return (high >>> 7) & 511;
    default:
      return (high >>> 16) & 511;
  }
}

/** Byte offset of the 4 KiB page inside a leaf at `level`. */
function pageInLeaf(low: number, high: number, level: number): number {
  switch (level) {
    case 0:
      return 0;
    case 1:
      return low & 0x1ff000;
    case 2:
      return low & 0x3ffff000;
    case 3:
      return (high & 0x7f) * 4294967296 + ((low & ~0xfff) >>> 0);
    default:
      return (high & 0xffff) * 4294967296 + ((low & ~0xfff) >>> 0);
  }
}
