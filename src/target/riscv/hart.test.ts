import { describe, expect, test } from "vitest";
import { assemble as a } from "./testing/assemble.ts";
import { bareMachine, ramBase } from "./testing/bare-machine.ts";

const loopForever = a("jal", { rd: 0, imm: 0 });

describe("the interpreter", () => {
  test("counts down a loop in exactly as many instructions as it takes", () => {
    const m = bareMachine();
    m.load(ramBase, [
      a("addi", { rd: 5, imm: 1000 }),
      a("add", { rd: 6, rs1: 6, rs2: 5 }),
      a("addi", { rd: 5, rs1: 5, imm: -1 }),
      a("bne", { rs1: 5, rs2: 0, imm: -8 }),
      loopForever,
    ]);
    expect(m.hart.run(3001)).toBe("budget");
    expect(m.hart.x(6)).toBe(500500n);
    expect(m.hart.pc).toBe(BigInt(ramBase + 16));
    expect(m.hart.executed).toBe(3001);
  });

  test("loads and stores of every width, aligned and not", () => {
    const m = bareMachine();
    m.write64(ramBase + 0x1000, 0x8877_6655_4433_22f1n);
    m.load(ramBase, [
      a("lui", { rd: 1, imm: 0x80001000 | 0 }),
      a("slli", { rd: 1, rs1: 1, imm: 32 }),
      a("srli", { rd: 1, rs1: 1, imm: 32 }),
      a("lb", { rd: 2, rs1: 1, imm: 0 }),
      a("lbu", { rd: 3, rs1: 1, imm: 0 }),
      a("lh", { rd: 4, rs1: 1, imm: 6 }),
      a("lwu", { rd: 5, rs1: 1, imm: 3 }),
      a("ld", { rd: 6, rs1: 1, imm: 0 }),
      a("sd", { rs1: 1, rs2: 6, imm: 0x7fc }),
      a("ld", { rd: 7, rs1: 1, imm: 0x7fc }),
      a("sw", { rs1: 1, rs2: 6, imm: -2 }),
      a("lw", { rd: 8, rs1: 1, imm: -2 }),
      loopForever,
    ]);
    m.hart.run(12);
    expect(m.hart.x(2)).toBe(0xffff_ffff_ffff_fff1n);
    expect(m.hart.x(3)).toBe(0xf1n);
    expect(m.hart.x(4)).toBe(0xffff_ffff_ffff_8877n);
    expect(m.hart.x(5)).toBe(0x7766_5544n);
    expect(m.hart.x(7)).toBe(0x8877_6655_4433_22f1n);
    expect(m.hart.x(8)).toBe(0x4433_22f1n);
  });

  test("a load from nowhere traps with its address", () => {
    const m = bareMachine();
    m.load(ramBase, [
      a("auipc", { rd: 1, imm: 0 }),
      a("csrrw", { csr: 0x305, rs1: 1 }),
      a("ld", { rd: 2, rs1: 0, imm: 64 }),
    ]);
    m.hart.run(3);
    expect(m.hart.readCsr(0x342)).toBe(5n);
    expect(m.hart.readCsr(0x343)).toBe(64n);
    expect(m.hart.readCsr(0x341)).toBe(BigInt(ramBase + 8));
  });

  test("code that is overwritten executes as it stands", () => {
    const m = bareMachine();
    m.load(ramBase, [
      a("auipc", { rd: 1, imm: 0 }),
      a("lw", { rd: 2, rs1: 1, imm: 24 }),
      a("sw", { rs1: 1, rs2: 2, imm: 16 }),
      a("fence.i"),
      a("addi", { rd: 5, imm: 1 }),
      loopForever,
      a("addi", { rd: 5, imm: 2 }),
    ]);
    m.hart.run(20);
    expect(m.hart.x(5)).toBe(2n);
  });

  test("an instruction over a page boundary executes", () => {
    const m = bareMachine();
    const word = a("addi", { rd: 5, imm: 77 });
    m.load(ramBase, [
      a("lui", { rd: 1, imm: 0x1000 }),
      a("auipc", { rd: 2, imm: 0 }),
      a("add", { rd: 1, rs1: 1, rs2: 2 }),
      a("jalr", { rs1: 1, imm: -6 }),
    ]);
    m.loadBytes(ramBase + 0xffe, Uint8Array.of(word, word >>> 8, word >>> 16, word >>> 24));
    m.load(ramBase + 0x1002, [loopForever]);
    m.hart.run(6);
    expect(m.hart.x(5)).toBe(77n);
    expect(m.hart.pc).toBe(BigInt(ramBase + 0x1002));
  });

  test("multiplies and divides at the edges", () => {
    const m = bareMachine();
    m.load(ramBase, [
      a("addi", { rd: 1, imm: -1 }),
      a("addi", { rd: 2, imm: 1 }),
      a("slli", { rd: 2, rs1: 2, imm: 63 }),
      a("mulhu", { rd: 3, rs1: 1, rs2: 1 }),
      a("mulh", { rd: 4, rs1: 2, rs2: 2 }),
      a("mulhsu", { rd: 5, rs1: 1, rs2: 1 }),
      a("div", { rd: 6, rs1: 2, rs2: 1 }),
      a("rem", { rd: 7, rs1: 2, rs2: 1 }),
      a("div", { rd: 8, rs1: 2, rs2: 0 }),
      a("remu", { rd: 9, rs1: 2, rs2: 0 }),
      a("divuw", { rd: 10, rs1: 1, rs2: 0 }),
      a("divw", { rd: 11, rs1: 1, rs2: 1 }),
      loopForever,
    ]);
    m.hart.run(12);
    const min = 1n << 63n;
    const all = (1n << 64n) - 1n;
    expect([3, 4, 5, 6, 7, 8, 9, 10, 11].map((n) => m.hart.x(n))).toEqual([
      all - 1n,
      1n << 62n,
      all,
      min,
      0n,
      all,
      min,
      all,
      1n,
    ]);
  });
});

describe("atomics", () => {
  test("a store-conditional succeeds once after its load-reserved", () => {
    const m = bareMachine();
    m.write64(ramBase + 0x800, 5n);
    m.load(ramBase, [
      a("auipc", { rd: 1, imm: 0 }),
      a("addi", { rd: 1, rs1: 1, imm: 0x7f8 }),
      a("addi", { rd: 1, rs1: 1, imm: 8 }),
      a("lr.d", { rd: 2, rs1: 1 }),
      a("addi", { rd: 3, rs1: 2, imm: 1 }),
      a("sc.d", { rd: 4, rs1: 1, rs2: 3 }),
      a("sc.d", { rd: 5, rs1: 1, rs2: 0 }),
      a("amoadd.d", { rd: 6, rs1: 1, rs2: 3 }),
      a("amomaxu.w", { rd: 7, rs1: 1, rs2: 2 }),
      loopForever,
    ]);
    m.hart.run(9);
    expect([2, 4, 5, 6, 7].map((n) => m.hart.x(n))).toEqual([5n, 0n, 1n, 6n, 12n]);
    expect(m.read64(ramBase + 0x800)).toBe(12n);
  });
});

test("data beside code may be written without undoing the rest of the page", () => {
  const m = bareMachine();
  m.load(ramBase, [
    a("auipc", { rd: 1, imm: 0 }),
    a("sd", { rs1: 1, rs2: 1, imm: 0x40 }),
    a("addi", { rd: 5, rs1: 5, imm: 1 }),
    a("sd", { rs1: 1, rs2: 5, imm: 0x38 }),
    a("jal", { rd: 0, imm: -12 }),
  ]);
  m.hart.run(401);
  expect(m.hart.x(5)).toBe(100n);
  expect(m.read64(ramBase + 0x38)).toBe(100n);
});

test("a store that reaches only the second half of an instruction undoes it", () => {
  const m = bareMachine();
  m.load(ramBase, [
    a("auipc", { rd: 1, imm: 0 }),
    a("addi", { rd: 6, imm: 3 }),
    a("jalr", { rd: 7, rs1: 1, imm: 0x3e }),
    a("sh", { rs1: 1, rs2: 2, imm: 0x40 }),
    a("addi", { rd: 6, rs1: 6, imm: -1 }),
    a("bne", { rs1: 6, rs2: 0, imm: -12 }),
    loopForever,
  ]);
  const word = a("addi", { rd: 5, rs1: 5, imm: 1 });
  m.loadBytes(ramBase + 0x3e, Uint8Array.of(word, word >>> 8, word >>> 16, word >>> 24));
  m.load(ramBase + 0x42, [a("jalr", { rs1: 7, imm: 0 })]);
  m.hart.setX(2, BigInt(a("addi", { rd: 5, rs1: 5, imm: 10 }) >>> 16));
  m.hart.run(30);
  expect(m.hart.x(5)).toBe(21n);
});
