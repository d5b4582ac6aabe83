import { describe, expect, test } from "vitest";
import { assemble as a } from "./testing/assemble.ts";
import { bareMachine, ramBase, type BareMachine } from "./testing/bare-machine.ts";

import { enterPaged as enter, mapPage, Pte, pte, tables } from "./testing/paging.ts";

const { V, R, W, X, U, A, D } = Pte;
const spin = a("jal", { rd: 0, imm: 0 });

const cause = (m: BareMachine): bigint | undefined => m.hart.readCsr(0x342);
const tval = (m: BareMachine): bigint | undefined => m.hart.readCsr(0x343);

describe("paging", () => {
  test.each([
    ["Sv39", 8n, 3, 0x3f_dead_b000n],
    ["Sv48", 9n, 4, 0x7fff_dead_b000n],
    ["Sv57", 10n, 5, 0xff_7fff_dead_b000n],
  ] as const)("%s executes from a mapped page", (_name, mode, levels, va) => {
    const m = bareMachine();
    m.load(ramBase + 0x2000, [a("addi", { rd: 5, imm: 9 }), spin]);
    mapPage(m, va, ramBase + 0x2000, V | R | X | A, levels);
    enter(m, va, mode);
    m.hart.run(4);
    expect(m.hart.x(5)).toBe(9n);
    expect(m.hart.mode).toBe("S");
  });

  test("an address whose upper bits are not its sign faults", () => {
    const m = bareMachine();
    mapPage(m, 0x3f_dead_b000n, ramBase + 0x2000, V | R | X | A);
    enter(m, 0x40_0000_0000n);
    m.hart.run(2);
    expect(cause(m)).toBe(12n);
    expect(tval(m)).toBe(0x40_0000_0000n);
  });

  test("hardware sets A on a load and D on a store", () => {
    const m = bareMachine();
    const va = 0x1000n;
    m.load(ramBase + 0x2000, [a("ld", { rd: 5, rs1: 1 }), a("sd", { rs1: 1, rs2: 5 }), spin]);
    mapPage(m, va, ramBase + 0x2000, V | R | W | X);
    enter(m, va);
    m.hart.setX(1, va);
    const leaf = (): bigint => m.read64(tables + 0x2000 + 8) & (A | D);
    expect(leaf()).toBe(0n);
    m.hart.run(1);
    expect(leaf()).toBe(A);
    m.hart.run(1);
    expect(leaf()).toBe(A | D);
  });

  test("without menvcfg.ADUE a clear A bit faults", () => {
    const m = bareMachine();
    m.hart.writeCsr(0x30a, 0n);
    mapPage(m, 0x1000n, ramBase + 0x2000, V | R | W | X);
    enter(m, 0x1000n);
    m.hart.run(2);
    expect(cause(m)).toBe(12n);
  });

  test("S-mode reaches user pages only with SUM, and never executes them", () => {
    const m = bareMachine();
    m.load(ramBase + 0x2000, [a("ld", { rd: 5, rs1: 1 }), spin]);
    mapPage(m, 0x1000n, ramBase + 0x2000, V | R | X | A);
    m.write64(tables + 0x2000 + 16, pte(ramBase + 0x3000, V | R | X | U | A));
    m.write64(ramBase + 0x3000, 0x77n);
    enter(m, 0x1000n);
    m.hart.setX(1, 0x2000n);
    m.hart.run(2);
    expect(cause(m)).toBe(13n);
    enter(m, 0x1000n);
    m.hart.writeCsr(0x300, 1n << 18n);
    m.hart.run(2);
    expect(m.hart.x(5)).toBe(0x77n);
    m.hart.pc = 0x2000n;
    m.hart.run(2);
    expect(cause(m)).toBe(12n);
  });

  test("MXR lets loads read executable pages", () => {
    const m = bareMachine();
    m.load(ramBase + 0x2000, [a("ld", { rd: 5, rs1: 1 }), spin]);
    mapPage(m, 0x1000n, ramBase + 0x2000, V | X | A);
    enter(m, 0x1000n);
    m.hart.setX(1, 0x1000n);
    m.hart.run(2);
    expect(cause(m)).toBe(13n);
    enter(m, 0x1000n);
    m.hart.writeCsr(0x300, 1n << 19n);
    m.hart.run(2);
    expect(m.hart.x(5)).not.toBe(0n);
  });

  test("a lowest table is seen as soon as it is put in place, and another one in its stead after sfence.vma", () => {
    const m = bareMachine();
    m.load(ramBase + 0x2000, [
      a("sd", { rs1: 2, rs2: 3 }),
      a("ld", { rd: 5, rs1: 1 }),
      a("sd", { rs1: 2, rs2: 4 }),
      a("sfence.vma"),
      a("ld", { rd: 6, rs1: 1 }),
      spin,
    ]);
    mapPage(m, 0x1000n, ramBase + 0x2000, V | R | X | A);
    // Page 3 shows the table above the lowest ones, whose entry 1 is for addresses from 2 MiB on.
    m.write64(tables + 0x2000 + 3 * 8, pte(tables + 0x1000, V | R | W | A | D));
    const [first, second] = [ramBase + 0x8000, ramBase + 0x9000];
    m.write64(first, pte(ramBase + 0x3000, V | R | A));
    m.write64(second, pte(ramBase + 0x4000, V | R | A));
    m.write64(ramBase + 0x3000, 3n);
    m.write64(ramBase + 0x4000, 4n);
    enter(m, 0x1000n);
    m.hart.setX(1, 0x20_0000n);
    m.hart.setX(2, 0x3008n);
    m.hart.setX(3, pte(first, V));
    m.hart.setX(4, pte(second, V));
    m.hart.run(5);
    expect([m.hart.x(5), m.hart.x(6)]).toEqual([3n, 4n]);
  });

  test("sfence.vma for an address makes a changed mapping visible", () => {
    const m = bareMachine();
    m.load(ramBase + 0x2000, [
      a("ld", { rd: 5, rs1: 1 }),
      a("sd", { rs1: 2, rs2: 3 }),
      a("sfence.vma", { rs1: 1 }),
      a("ld", { rd: 6, rs1: 1 }),
      spin,
    ]);
    mapPage(m, 0x1000n, ramBase + 0x2000, V | R | X | A);
    const leaf = (page: number): number => tables + 0x2000 + page * 8;
    m.write64(leaf(2), pte(ramBase + 0x3000, V | R | A));
    m.write64(leaf(3), pte(tables + 0x2000, V | R | W | A | D));
    m.write64(ramBase + 0x3000, 3n);
    m.write64(ramBase + 0x4000, 4n);
    enter(m, 0x1000n);
    m.hart.setX(1, 0x2000n);
    m.hart.setX(2, 0x3010n);
    m.hart.setX(3, pte(ramBase + 0x4000, V | R | A));
    m.hart.run(5);
    expect([m.hart.x(5), m.hart.x(6)]).toEqual([3n, 4n]);
  });

  test("sfence.vma inside a superpage drops all of it", () => {
    const m = bareMachine({ ramBytes: 8 << 20 });
    const giga = 0x4000_0000n;
    m.load(ramBase + 0x2000, [
      a("ld", { rd: 5, rs1: 1 }),
      a("sd", { rs1: 2, rs2: 0 }),
      a("sfence.vma", { rs1: 4 }),
      a("ld", { rd: 6, rs1: 1 }),
      spin,
    ]);
    mapPage(m, 0x1000n, ramBase + 0x2000, V | R | X | A);
    m.write64(tables + 0x2000 + 3 * 8, pte(tables, V | R | W | A | D));
    m.write64(tables + 8, pte(0x8000_0000, V | R | A));
    enter(m, 0x1000n);
    m.hart.setX(1, giga + 0x5000n);
    m.hart.setX(2, 0x3008n);
    m.hart.setX(4, giga + 0x20_0000n);
    m.write64(ramBase + 0x5000, 55n);
    m.hart.run(6);
    expect(m.hart.x(5)).toBe(55n);
    expect([cause(m), tval(m)]).toEqual([13n, giga + 0x5000n]);
  });

  test("a store that crosses into an unmapped page writes nothing", () => {
    const m = bareMachine();
    m.load(ramBase + 0x2000, [a("sd", { rs1: 1, rs2: 2 }), spin]);
    mapPage(m, 0x1000n, ramBase + 0x2000, V | R | X | A);
    m.write64(tables + 0x2000 + 16, pte(ramBase + 0x3000, V | R | W | A | D));
    enter(m, 0x1000n);
    m.hart.setX(1, 0x2ffcn);
    m.hart.setX(2, 0xffff_ffff_ffff_ffffn);
    m.hart.run(2);
    expect([cause(m), tval(m)]).toEqual([15n, 0x3000n]);
    expect(m.read64(ramBase + 0x3ff8)).toBe(0n);
  });
});

describe("PMP", () => {
  test("an access that no entry matches fails below M-mode", () => {
    const m = bareMachine();
    m.load(ramBase, [spin]);
    m.hart.writeCsr(0x305, BigInt(ramBase));
    m.hart.mode = "S";
    m.hart.pc = BigInt(ramBase + 0x100);
    m.hart.run(2);
    expect(cause(m)).toBe(1n);
  });

  test("a region smaller than a page holds byte for byte", () => {
    const m = bareMachine();
    m.load(ramBase + 0x2000, [a("ld", { rd: 5, rs1: 1 }), a("ld", { rd: 6, rs1: 1, imm: 8 }), spin]);
    m.write64(ramBase + 0x3000, 1n);
    m.hart.writeCsr(0x305, BigInt(ramBase));
    m.load(ramBase, [spin]);
    m.hart.writeCsr(0x3b0, BigInt((ramBase + 0x3008) / 4));
    m.hart.writeCsr(0x3b1, BigInt((ramBase + 0x3010) / 4));
    m.hart.writeCsr(0x3b2, (1n << 54n) - 1n);
    m.hart.writeCsr(0x3a0, 0x1f_08_0fn);
    m.hart.mode = "S";
    m.hart.pc = BigInt(ramBase + 0x2000);
    m.hart.setX(1, BigInt(ramBase + 0x3000));
    m.hart.run(3);
    expect(m.hart.x(5)).toBe(1n);
    expect([cause(m), tval(m)]).toEqual([5n, BigInt(ramBase + 0x3008)]);
  });

  test("a locked entry binds M-mode and cannot be rewritten", () => {
    const m = bareMachine();
    m.load(ramBase, [a("sd", { rs1: 1, rs2: 1 }), spin]);
    m.hart.writeCsr(0x305, BigInt(ramBase + 4));
    m.hart.writeCsr(0x3b0, BigInt((ramBase + 0x3000) / 4) | 0x1ffn);
    m.hart.writeCsr(0x3a0, 0x99n);
    m.hart.writeCsr(0x3a0, 0x1fn);
    m.hart.setX(1, BigInt(ramBase + 0x3100));
    m.hart.run(2);
    expect(m.hart.readCsr(0x3a0)).toBe(0x99n);
    expect(cause(m)).toBe(7n);
  });
});
