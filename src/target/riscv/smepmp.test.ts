import { describe, expect, test } from "vitest";
import { Mode } from "./hart-core.ts";
import { PmpBits } from "./pmp.ts";
import { bareMachine } from "./testing/bare-machine.ts";
import type { RiscvHart } from "./hart.ts";

const [mseccfg, pmpcfg0, pmpaddr0] = [0x747, 0x3a0, 0x3b0];
const [MML, MMWP, RLB] = [1n, 2n, 4n];
const at = 0x8000_0000;
const napot = 0x18n;

/** A hart whose entry 0 covers 4 KiB at `at`. */
function hartWith(config: bigint, security: bigint): RiscvHart {
  const { hart } = bareMachine({ model: "max" });
  hart.writeCsr(pmpaddr0, BigInt(at / 4) | 0x1ffn);
  hart.writeCsr(mseccfg, security);
  hart.writeCsr(pmpcfg0, config);
  return hart;
}

/** A configuration for an aligned region, by its bits L, R, W and X. */
function configOf(lrwx: string): bigint {
  const set = (index: number, bit: bigint): bigint => (lrwx[index] === "1" ? bit : 0n);
  return napot | set(0, 0x80n) | set(1, 1n) | set(2, 2n) | set(3, 4n);
}

/** What a mode may do, as in `rw-`. */
function rights(hart: RiscvHart, mode: Mode, address = at): string {
  const may = (letter: "r" | "w" | "x"): string => (hart.pmp.check(address, 4, PmpBits[letter], mode) ? letter : "-");
  return may("r") + may("w") + may("x");
}

// Smepmp, the table of permissions under MML; bits L, R, W, X.
const table: readonly (readonly [lrwx: string, machine: string, others: string])[] = [
  ["0000", "---", "---"],
  ["0001", "---", "--x"],
  ["0010", "rw-", "r--"],
  ["0011", "rw-", "rw-"],
  ["0100", "---", "r--"],
  ["0101", "---", "r-x"],
  ["0110", "---", "rw-"],
  ["0111", "---", "rwx"],
  ["1000", "---", "---"],
  ["1001", "--x", "---"],
  ["1010", "--x", "--x"],
  ["1011", "r-x", "--x"],
  ["1100", "r--", "---"],
  ["1101", "r-x", "---"],
  ["1110", "rw-", "---"],
  ["1111", "r--", "r--"],
];

describe("under machine mode lockdown", () => {
  test.each(table)("LRWX %s gives M-mode %s and the others %s", (lrwx, machine, others) => {
    const hart = hartWith(configOf(lrwx), MML | RLB);
    expect([rights(hart, Mode.M), rights(hart, Mode.S), rights(hart, Mode.U)]).toEqual([machine, others, others]);
  });

  test("M-mode reads and writes what no entry matches, and does not execute it", () => {
    expect(rights(hartWith(0n, MML), Mode.M)).toBe("rw-");
  });

  test.each(["1001", "1010", "1011", "1101"])("rule LRWX %s is not made without bypass", (lrwx) => {
    const hart = hartWith(configOf(lrwx), MML);
    expect(hart.readCsr(pmpcfg0)).toBe(0n);
  });
});

test("with the allow-list policy, what no entry matches is nobody's", () => {
  const hart = hartWith(napot | 7n, MMWP);
  expect([rights(hart, Mode.M), rights(hart, Mode.M, at + 0x1000)]).toEqual(["rwx", "---"]);
});

test("MML and MMWP stay set", () => {
  const hart = hartWith(0n, MML | MMWP);
  hart.writeCsr(mseccfg, 0n);
  expect(hart.readCsr(mseccfg)).toBe(MML | MMWP);
});

test("bypass changes locked entries, and cannot come back while there are some", () => {
  const hart = hartWith(napot | 0x81n, RLB);
  hart.writeCsr(pmpcfg0, napot | 0x83n);
  expect(hart.readCsr(pmpcfg0)).toBe(napot | 0x83n);
  hart.writeCsr(mseccfg, 0n);
  hart.writeCsr(mseccfg, RLB);
  hart.writeCsr(pmpcfg0, 0n);
  expect([hart.readCsr(mseccfg), hart.readCsr(pmpcfg0)]).toEqual([0n, napot | 0x83n]);
});
