import { describe, expect, test } from "vitest";
import { assemble as a } from "./testing/assemble.ts";
import { bareMachine, ramBase, type BareMachine } from "./testing/bare-machine.ts";
import { enterPaged, mapPage, Pte, pte, tables } from "./testing/paging.ts";

const { V, R, W, X, U, A, D } = Pte;
const spin = a("jal", { rd: 0, imm: 0 });
const menvcfg = 0x30a;
const senvcfg = 0x10a;
const block = ramBase + 0x3040;
const causeOf = (m: BareMachine): bigint | undefined => m.hart.readCsr(0x342);

/** Executes one instruction at virtual 0x1000, with x1 = `at`; the page at 0x2000 is physical ramBase + 0x3000. */
function execute(
  name: string,
  at: bigint,
  options: { leaf?: bigint; mode?: "S" | "U"; menvcfg?: bigint; senvcfg?: bigint } = {},
): BareMachine {
  const m = bareMachine({ model: "max" });
  const user = options.mode === "U" ? U : 0n;
  m.load(ramBase + 0x2000, [a(name, { rs1: 1 }), spin]);
  for (let i = 0; i < 24; i++) m.write64(ramBase + 0x3000 + i * 8, 0x1111n);
  mapPage(m, 0x1000n, ramBase + 0x2000, V | R | X | A | user);
  m.write64(tables + 0x2010, pte(ramBase + 0x3000, options.leaf ?? V | R | W | A | D | user));
  m.hart.writeCsr(menvcfg, options.menvcfg ?? 0xf0n);
  m.hart.writeCsr(senvcfg, options.senvcfg ?? 0xf0n);
  enterPaged(m, 0x1000n, 8n, options.mode);
  m.hart.setX(1, at);
  m.hart.run(1);
  return m;
}

describe("cbo.zero", () => {
  test("zeroes the 64 bytes around an address and no others", () => {
    const m = execute("cbo.zero", 0x2055n);
    const values = [-8, 0, 8, 16, 24, 32, 40, 48, 56, 64].map((offset) => m.read64(block + offset));
    expect(values).toEqual([0x1111n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 0x1111n]);
    expect(m.hart.pc).toBe(0x1004n);
  });

  test("is a store: a page that may only be read faults with the address as given", () => {
    const m = execute("cbo.zero", 0x2055n, { leaf: V | R | A });
    expect([causeOf(m), m.hart.readCsr(0x343)]).toEqual([15n, 0x2055n]);
    expect(m.read64(block)).toBe(0x1111n);
  });

  test("undoes code that it overwrites", () => {
    const m = bareMachine({ model: "max" });
    m.load(ramBase, [
      a("auipc", { rd: 1, imm: 0 }),
      a("addi", { rd: 2, rs1: 1, imm: 0x40 }),
      a("jalr", { rd: 3, rs1: 1, imm: 0x40 }),
      a("cbo.zero", { rs1: 2 }),
      a("jalr", { rd: 3, rs1: 1, imm: 0x40 }),
    ]);
    m.load(ramBase + 0x40, [a("jalr", { rs1: 3 })]);
    m.hart.run(7);
    expect(causeOf(m)).toBe(2n);
    expect(m.hart.readCsr(0x341)).toBe(BigInt(ramBase + 0x40));
  });

  test("where nothing answers, an access fault", () => {
    const m = bareMachine({ model: "max" });
    m.load(ramBase, [a("cbo.zero", { rs1: 0 })]);
    m.hart.run(1);
    expect(causeOf(m)).toBe(7n);
  });
});

describe("cache-block management", () => {
  test.each(["cbo.clean", "cbo.flush", "cbo.inval"])("%s leaves memory as it is", (name) => {
    const m = execute(name, 0x2055n);
    expect([causeOf(m), m.hart.pc, m.read64(block)]).toEqual([0n, 0x1004n, 0x1111n]);
  });

  test("needs a page that may be read or written, and faults as a store", () => {
    expect(causeOf(execute("cbo.clean", 0x2055n, { leaf: V | R | A }))).toBe(0n);
    expect(causeOf(execute("cbo.clean", 0x2055n, { leaf: V | X | A }))).toBe(15n);
    expect(causeOf(execute("cbo.inval", 0x5000n))).toBe(15n);
  });
});

describe("enables of cache-block instructions", () => {
  test.each([
    ["cbo.zero", 0x80n],
    ["cbo.clean", 0x40n],
    ["cbo.flush", 0x40n],
    ["cbo.inval", 0x10n],
  ])("%s is illegal below M-mode without its bit", (name, bit) => {
    expect(causeOf(execute(name, 0x2000n, { menvcfg: 0n }))).toBe(2n);
    expect(causeOf(execute(name, 0x2000n, { menvcfg: bit, senvcfg: 0n }))).toBe(0n);
    expect(causeOf(execute(name, 0x2000n, { mode: "U", senvcfg: 0n }))).toBe(2n);
    expect(causeOf(execute(name, 0x2000n, { mode: "U", senvcfg: bit }))).toBe(0n);
  });

  test("cbo.zero is illegal as soon as its bit goes, where the page was zeroed just before", () => {
    for (const [mode, csr] of [
      ["S", menvcfg],
      ["U", menvcfg],
      ["U", senvcfg],
    ] as const) {
      const m = execute("cbo.zero", 0x2040n, { mode });
      m.hart.pc = 0x1000n;
      m.write64(block, 7n);
      m.hart.run(1);
      expect([causeOf(m), m.hart.pc, m.read64(block)]).toEqual([0n, 0x1004n, 0n]);
      m.hart.writeCsr(csr, 0x70n);
      m.hart.pc = 0x1000n;
      m.write64(block, 7n);
      m.hart.run(1);
      expect([causeOf(m), m.read64(block)], `${mode} ${csr}`).toEqual([2n, 7n]);
    }
  });

  test("the reserved value of CBIE leaves the field as it was", () => {
    const { hart } = bareMachine({ model: "max" });
    hart.writeCsr(menvcfg, 0x10n);
    hart.writeCsr(menvcfg, 0xe0n);
    expect(hart.readCsr(menvcfg)! & 0xf0n).toBe(0xd0n);
    hart.writeCsr(senvcfg, 0xf1n);
    expect(hart.readCsr(senvcfg)).toBe(0xf1n);
  });

  test("fields of extensions that a CPU lacks stay zero", () => {
    const { hart } = bareMachine({ features: { zicbom: false, zicboz: false } });
    hart.writeCsr(senvcfg, 0xf1n);
    expect(hart.readCsr(senvcfg)).toBe(1n);
  });
});

/** Runs an atomic at ramBase + 0x3000 in M-mode. */
function atomic(name: string, registers: Readonly<Record<number, bigint>>, memory: bigint, operands = {}): BareMachine {
  const m = bareMachine({ model: "max" });
  m.load(ramBase, [a(name, { rd: 10, rs1: 1, rs2: 12, ...operands }), spin]);
  m.write64(ramBase + 0x3000, memory);
  m.write64(ramBase + 0x3008, 0x9999n);
  m.hart.setX(1, BigInt(ramBase + 0x3000));
  for (const [n, value] of Object.entries(registers)) m.hart.setX(Number(n), value);
  m.hart.run(1);
  return m;
}
const outcome = (m: BareMachine): bigint[] => [m.hart.x(10), m.read64(ramBase + 0x3000)];

describe("Zacas", () => {
  test("a word is swapped where its low half is as expected, and the old value comes sign-extended", () => {
    const m = atomic("amocas.w", { 10: 0x5_8000_0000n, 12: 7n }, 0x1111_2222_8000_0000n);
    expect(outcome(m)).toEqual([0xffff_ffff_8000_0000n, 0x1111_2222_0000_0007n]);
  });

  test("a word that is not as expected stays", () => {
    expect(outcome(atomic("amocas.w", { 10: 1n, 12: 7n }, 2n))).toEqual([2n, 2n]);
  });

  test("doublewords compare all 64 bits", () => {
    expect(outcome(atomic("amocas.d", { 10: 1n << 40n, 12: 7n }, 1n << 40n))).toEqual([1n << 40n, 7n]);
    expect(outcome(atomic("amocas.d", { 10: 0n, 12: 7n }, 1n << 40n))).toEqual([1n << 40n, 1n << 40n]);
  });

  test("quadwords are pairs of registers", () => {
    const m = atomic("amocas.q", { 10: 5n, 11: 0x9999n, 12: 1n, 13: 2n }, 5n);
    expect([m.read64(ramBase + 0x3000), m.read64(ramBase + 0x3008)]).toEqual([1n, 2n]);
    expect([m.hart.x(10), m.hart.x(11)]).toEqual([5n, 0x9999n]);
    const other = atomic("amocas.q", { 10: 5n, 11: 0n, 12: 1n, 13: 2n }, 5n);
    expect([other.hart.x(10), other.hart.x(11), other.read64(ramBase + 0x3000)]).toEqual([5n, 0x9999n, 5n]);
  });

  test("the pair of x0 is zero and takes nothing", () => {
    const m = atomic("amocas.q", { 12: 1n, 13: 2n }, 0n, { rd: 0 });
    expect([m.hart.x(1), m.read64(ramBase + 0x3000)]).toEqual([BigInt(ramBase + 0x3000), 0n]);
  });

  test("an odd register names no pair", () => {
    const m = atomic("amocas.q", {}, 0n, { rs2: 12 });
    m.load(ramBase, [a("amocas.q", { rd: 10, rs1: 1, rs2: 12 }) | (1 << 7)]);
    m.hart.pc = BigInt(ramBase);
    m.hart.run(1);
    expect(causeOf(m)).toBe(2n);
  });

  test("a quadword must be aligned to 16 bytes", () => {
    const m = atomic("amocas.q", { 1: BigInt(ramBase + 0x3008) }, 0n);
    expect(causeOf(m)).toBe(6n);
  });
});

describe("Zabha", () => {
  test.each([
    ["amoadd.b", 0x01n, 0x1234_567fn, 0x7fn, 0x1234_5680n],
    ["amoadd.h", 0x01n, 0x1234_ffffn, 0xffff_ffff_ffff_ffffn, 0x1234_0000n],
    ["amomax.b", 0x01n, 0x1234_5680n, 0xffff_ffff_ffff_ff80n, 0x1234_5601n],
    ["amomaxu.b", 0x01n, 0x1234_5680n, 0xffff_ffff_ffff_ff80n, 0x1234_5680n],
    ["amominu.h", 0xffff_7fffn, 0x1234_8000n, 0xffff_ffff_ffff_8000n, 0x1234_7fffn],
    ["amoswap.b", 0xabcdn, 0x1234_5678n, 0x78n, 0x1234_56cdn],
  ])("%s with %s", (name, operand, memory, old, result) => {
    expect(outcome(atomic(name, { 12: operand }, memory))).toEqual([old, result]);
  });

  test("amocas.b compares and swaps one byte", () => {
    expect(outcome(atomic("amocas.b", { 10: 0xfff0n, 12: 0x55n }, 0xaaf0n))).toEqual([0xffff_ffff_ffff_fff0n, 0xaa55n]);
  });
});

describe("Zawrs", () => {
  test("without a reservation it goes on at once; with one, the other harts get their turn", () => {
    const m = bareMachine({ model: "max" });
    m.load(ramBase, [a("wrs.nto"), a("lr.d", { rd: 2, rs1: 1 }), a("wrs.sto"), spin]);
    m.hart.setX(1, BigInt(ramBase + 0x3000));
    expect(m.hart.run(3)).toBe("yield");
    expect(m.hart.pc).toBe(BigInt(ramBase + 12));
  });
});
