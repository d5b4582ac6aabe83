// Physical memory protection (privileged spec §3.7, and Smepmp): 16 entries, granularity 4 bytes.
import { assert } from "../../base/index.ts";
import { F, Mode, Mseccfg, type HartCore } from "./hart-core.ts";
import { pmpEntryCount } from "./state.ts";

export const PmpBits = { r: 1, w: 2, x: 4, a: 0x18, locked: 0x80 } as const;
const off = 0;
const tor = 1;
const na4 = 2;

/** What an entry covers: [first, end) in bytes, as numbers (addresses above 2^53 match nothing that exists). */
interface Range {
  readonly first: number;
  readonly end: number;
  readonly config: number;
}

/**
 * What an entry permits under mseccfg.MML to M-mode and to the other modes, by its bits L, R, W and X (Smepmp, table of
 * permissions). Without R, W makes a region shared.
 */
const lockdown: readonly (readonly [machine: number, others: number])[] = (() => {
  const { r, w, x } = PmpBits;
  const open = [0, x, 0, 0, r, r | x, r | w, r | w | x].map((rights) => [0, rights] as const);
  const locked = [0, x, 0, 0, r, r | x, r | w, 0].map((rights) => [rights, 0] as const);
  const table: (readonly [number, number])[] = [...open, ...locked];
  table[0b0010] = [r | w, r];
  table[0b0011] = [r | w, r | w];
  table[0b1010] = [x, x];
  table[0b1011] = [r | x, x];
  table[0b1111] = [r, r];
  return table;
})();

const bitsLrwx = (config: number): number =>
  ((config & PmpBits.locked) !== 0 ? 8 : 0) |
  ((config & PmpBits.r) !== 0 ? 4 : 0) |
  ((config & PmpBits.w) !== 0 ? 2 : 0) |
  ((config & PmpBits.x) !== 0 ? 1 : 0);

/** Under lockdown, rules that let M-mode execute, or anybody execute what is shared, are made by bypass alone. */
function mayExecuteInMachine(config: number): boolean {
  const bits = bitsLrwx(config);
  return bits >= 8 && (lockdown[bits]![0] & PmpBits.x) !== 0;
}

export type PmpAccess = typeof PmpBits.r | typeof PmpBits.w | typeof PmpBits.x;

/** Verdict for a whole page: the same for all its bytes, or to be asked byte by byte. */
export const PageVerdict = { allowed: 0, denied: 1, mixed: 2 } as const;
export type PageVerdict = (typeof PageVerdict)[keyof typeof PageVerdict];

export class Pmp {
  private readonly core: HartCore;
  private readonly exists: boolean;
  private ranges: Range[] = [];
  /** mseccfg's MML and MMWP, with `ranges`. */
  private locksDown = false;
  private allowsListedOnly = false;

  /** A hart without PMP permits everything to every mode. */
  constructor(core: HartCore, exists: boolean) {
    this.core = core;
    this.exists = exists;
  }

  config(entry: number): number {
    const field = entry < 8 ? F.pmpcfg0 : F.pmpcfg2;
    return Number((this.core.get(field) >> BigInt((entry & 7) * 8)) & 0xffn);
  }

  private security(bit: bigint): boolean {
    return (this.core.get(F.mseccfg) & bit) !== 0n;
  }

  private isLocked(entry: number): boolean {
    return (this.config(entry) & PmpBits.locked) !== 0 && !this.security(Mseccfg.rlb);
  }

  /** Writes mseccfg: MML and MMWP stay set, and RLB stays clear once there is a locked entry. */
  writeSecurity(value: bigint, exists: bigint): void {
    const before = this.core.get(F.mseccfg);
    let after = value & exists;
    after |= before & (Mseccfg.mml | Mseccfg.mmwp);
    const anyLocked = Array.from({ length: pmpEntryCount }).some((_, i) => (this.config(i) & PmpBits.locked) !== 0);
    if (anyLocked && (before & Mseccfg.rlb) === 0n) after &= ~Mseccfg.rlb;
    this.core.set(F.mseccfg, after);
    this.refresh();
  }

  /** What entry `config` comes to when `wanted` is written: W without R is reserved unless lockdown gives it a meaning. */
  private legal(config: number, wanted: number): number {
    if (this.locksDown) return mayExecuteInMachine(wanted) && !this.security(Mseccfg.rlb) ? config : wanted;
    return (wanted & PmpBits.w) !== 0 && (wanted & PmpBits.r) === 0 ? config : wanted;
  }

  /** Writes pmpcfg0 or pmpcfg2 entry by entry: locked ones and those with a value that is not legal keep theirs. */
  writeConfig(first: number, value: bigint): void {
    const field = first === 0 ? F.pmpcfg0 : F.pmpcfg2;
    let result = 0n;
    for (let i = 0; i < 8; i++) {
      const before = this.config(first + i);
      const wanted = Number((value >> BigInt(i * 8)) & 0xffn) & 0x9f;
      const after = this.isLocked(first + i) ? before : this.legal(before, wanted);
      result |= BigInt(after) << BigInt(i * 8);
    }
    this.core.set(field, result);
    this.refresh();
  }

  writeAddress(entry: number, value: bigint): void {
    assert(entry < pmpEntryCount, "a PMP entry exists", entry);
    if (this.isLocked(entry)) return;
    // A locked TOR entry locks the address below it too, which is its start.
    if (entry + 1 < pmpEntryCount) {
      const above = this.config(entry + 1);
      if (this.isLocked(entry + 1) && (above & PmpBits.a) >>> 3 === tor) return;
    }
    this.core.set(F.pmpaddr + entry, value & ((1n << 54n) - 1n));
    this.refresh();
  }

  /** Derives the ranges from the registers: after a write, reset or load of state. */
  refresh(): void {
    this.ranges = [];
    this.locksDown = this.security(Mseccfg.mml);
    this.allowsListedOnly = this.security(Mseccfg.mmwp);
    let below = 0;
    for (let i = 0; i < pmpEntryCount; i++) {
      const config = this.config(i);
      const address = this.core.get(F.pmpaddr + i);
      const start = Number(address) * 4;
      const mode = (config & PmpBits.a) >>> 3;
      if (mode === tor) {
        if (start > below) this.ranges.push({ first: below, end: start, config });
      } else if (mode === na4) {
        this.ranges.push({ first: start, end: start + 4, config });
      } else if (mode !== off) {
        const trailing = ~address & (address + 1n); // lowest zero bit: the size is 8 bytes shifted by its position
        const size = Number(trailing) * 8;
        const first = Number(address & ~(trailing - 1n) & ~trailing) * 4;
        this.ranges.push({ first, end: first + size, config });
      }
      below = start;
    }
  }

  private permits(range: Range, access: PmpAccess, mode: Mode): boolean {
    if (this.locksDown) {
      const [machine, others] = lockdown[bitsLrwx(range.config)]!;
      return ((mode === Mode.M ? machine : others) & access) !== 0;
    }
    if (mode === Mode.M && (range.config & PmpBits.locked) === 0) return true;
    return (range.config & access) !== 0;
  }

  /** Whether all of [address, address + lengthBytes) may be accessed: the lowest entry that touches it decides. */
  check(address: number, lengthBytes: number, access: PmpAccess, mode: Mode): boolean {
    const end = address + lengthBytes;
    for (const range of this.ranges) {
      if (address >= range.end || end <= range.first) continue;
      // An access that an entry matches only in part fails, whatever the permissions (§3.7.1).
      return address >= range.first && end <= range.end && this.permits(range, access, mode);
    }
    return this.permitsUnlisted(access, mode);
  }

  /** What no entry matches: M-mode's alone, to execute from not even that under lockdown. */
  private permitsUnlisted(access: PmpAccess, mode: Mode): boolean {
    if (!this.exists) return true;
    return mode === Mode.M && !this.allowsListedOnly && !(this.locksDown && access === PmpBits.x);
  }

  page(address: number, access: PmpAccess, mode: Mode): PageVerdict {
    const end = address + 4096;
    for (const range of this.ranges) {
      if (address >= range.end || end <= range.first) continue;
      if (address < range.first || end > range.end) return PageVerdict.mixed;
      return this.permits(range, access, mode) ? PageVerdict.allowed : PageVerdict.denied;
    }
    return this.permitsUnlisted(access, mode) ? PageVerdict.allowed : PageVerdict.denied;
  }
}
