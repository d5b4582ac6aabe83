// Physical memory protection (privileged spec §3.7): 16 entries, granularity 4 bytes.
import { assert } from "../../base/index.ts";
import { F, Mode, type HartCore } from "./hart-core.ts";
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

export type PmpAccess = typeof PmpBits.r | typeof PmpBits.w | typeof PmpBits.x;

/** Verdict for a whole page: the same for all its bytes, or to be asked byte by byte. */
export const PageVerdict = { allowed: 0, denied: 1, mixed: 2 } as const;
export type PageVerdict = (typeof PageVerdict)[keyof typeof PageVerdict];

export class Pmp {
  private readonly core: HartCore;
  private readonly exists: boolean;
  private ranges: Range[] = [];

  /** A hart without PMP permits everything to every mode. */
  constructor(core: HartCore, exists: boolean) {
    this.core = core;
    this.exists = exists;
  }

  config(entry: number): number {
    const field = entry < 8 ? F.pmpcfg0 : F.pmpcfg2;
    return Number((this.core.get(field) >> BigInt((entry & 7) * 8)) & 0xffn);
  }

  /** Writes pmpcfg0 or pmpcfg2 entry by entry: locked ones keep their value, W without R is reserved and keeps it too. */
  writeConfig(first: number, value: bigint): void {
    const field = first === 0 ? F.pmpcfg0 : F.pmpcfg2;
    let result = 0n;
    for (let i = 0; i < 8; i++) {
      const before = this.config(first + i);
      const wanted = Number((value >> BigInt(i * 8)) & 0xffn) & 0x9f;
      const reserved = (wanted & PmpBits.w) !== 0 && (wanted & PmpBits.r) === 0;
      const kept = (before & PmpBits.locked) !== 0 || reserved;
      result |= BigInt(kept ? before : wanted) << BigInt(i * 8);
    }
    this.core.set(field, result);
    this.refresh();
  }

  writeAddress(entry: number, value: bigint): void {
    assert(entry < pmpEntryCount, "a PMP entry exists", entry);
    if ((this.config(entry) & PmpBits.locked) !== 0) return;
    // A locked TOR entry locks the address below it too, which is its start.
    if (entry + 1 < pmpEntryCount) {
      const above = this.config(entry + 1);
      if ((above & PmpBits.locked) !== 0 && (above & PmpBits.a) >>> 3 === tor) return;
    }
    this.core.set(F.pmpaddr + entry, value & ((1n << 54n) - 1n));
    this.refresh();
  }

  /** Derives the ranges from the registers: after a write, reset or load of state. */
  refresh(): void {
    this.ranges = [];
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
    return mode === Mode.M || !this.exists;
  }

  page(address: number, access: PmpAccess, mode: Mode): PageVerdict {
    const end = address + 4096;
    for (const range of this.ranges) {
      if (address >= range.end || end <= range.first) continue;
      if (address < range.first || end > range.end) return PageVerdict.mixed;
      return this.permits(range, access, mode) ? PageVerdict.allowed : PageVerdict.denied;
    }
    return mode === Mode.M || !this.exists ? PageVerdict.allowed : PageVerdict.denied;
  }
}
