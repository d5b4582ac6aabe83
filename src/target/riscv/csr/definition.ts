// What a control and status register is, and the simple kinds of them (privileged spec §2).
import type { Field64, HartCore } from "../hart-core.ts";
import type { Pmp } from "../pmp.ts";
import type { Triggers } from "../triggers.ts";

/** What CSRs need of the hart beyond its fields. */
export interface CsrContext {
  readonly core: HartCore;
  readonly pmp: Pmp;
  readonly triggers: Triggers;
  readonly has: (extension: string) => boolean;
  /** Highest satp.MODE: 8 (Sv39) to 10 (Sv57), or 0 for bare only. */
  readonly satpModes: number;
  timeTicks(): bigint;
  /** 16 random bits. */
  entropy16(): number;
  /** Translations or the privilege context changed: drop the TLB where `flush` says so, and look the pc up again. */
  contextChanged(flush: "all" | "loads" | "none"): void;
  /** stimecmp or its enable changed. */
  timerChanged(): void;
}

/** A register in halves of 32 bits, without big integers: those are what an access to a register would take longest for. */
export interface CsrHalves {
  low(h: CsrContext): number;
  high(h: CsrContext): number;
  write(h: CsrContext, low: number, high: number): void;
}

export interface Csr {
  readonly number: number;
  readonly name: string;
  read(h: CsrContext): bigint;
  /** Instructions that only read are illegal. */
  readonly needsWrite?: true;
  /** Absent for read-only registers (whose numbers say so) and those that ignore writes. */
  write?(h: CsrContext, value: bigint): void;
  /** The same as `read` and `write`, for what guests use at every trap and every lock. */
  readonly halves?: CsrHalves;
  /** False when the register does not exist or may not be touched in this state, beyond what its number says. */
  available?(h: CsrContext): boolean;
}

export const mask64: bigint = (1n << 64n) - 1n;

/** A register that is one field: `mask` are its writable bits. */
export function plain(number: number, name: string, field: Field64, mask: bigint = mask64): Csr {
  const low = 2 * field;
  const high = low + 1;
  const lowMask = Number(BigInt.asIntN(32, mask));
  const highMask = Number(BigInt.asIntN(32, mask >> 32n));
  return byHalves(number, name, {
    low: (h) => h.core.word(low),
    high: (h) => h.core.word(high),
    write: ({ core }, lowBits, highBits) => {
      core.setWord(low, (core.word(low) & ~lowMask) | (lowBits & lowMask));
      core.setWord(high, (core.word(high) & ~highMask) | (highBits & highMask));
    },
  });
}

export function byHalves(number: number, name: string, halves: CsrHalves): Csr {
  return {
    number,
    name,
    halves,
    read: (h) => (BigInt(halves.high(h) >>> 0) << 32n) | BigInt(halves.low(h) >>> 0),
    write: (h, value) => halves.write(h, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n))),
  };
}

/** A register that reads as `value`, whatever is written where writes are allowed. */
export function constant(
  number: number,
  name: string,
  value: bigint | ((h: CsrContext) => bigint),
  ignoresWrites = false,
): Csr {
  const read = typeof value === "bigint" ? () => value : value;
  return ignoresWrites ? { number, name, read, write: () => {} } : { number, name, read };
}

/** `count` numbers from `first` on: for registers that come in rows. */
export const range = (count: number, first: number): number[] => Array.from({ length: count }, (_, i) => first + i);
