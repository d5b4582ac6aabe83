import { describe, expect, test } from "vitest";
import { assemble as a } from "./testing/assemble.ts";
import { bareMachine, ramBase, type BareMachine } from "./testing/bare-machine.ts";
import { enterPaged, mapPage, Pte, pte, tables } from "./testing/paging.ts";

const { V, R, W, X, A, D } = Pte;
const spin = a("jal", { rd: 0, imm: 0 });
const menvcfg = 0x30a;
const adue = 1n << 61n;
const pbmte = 1n << 62n;
const napot = 1n << 63n;
const leafOf = (va: bigint): number => tables + 0x2000 + Number((va >> 12n) & 511n) * 8;
const causeOf = (m: BareMachine): bigint | undefined => m.hart.readCsr(0x342);

/** Code at virtual 0x1000 that loads from `va` into x5, and the leaf of `va`. */
function loading(
  va: bigint,
  leaf: bigint,
  options: { features?: Record<string, boolean>; menvcfg?: bigint; model?: string } = {},
): BareMachine {
  const m = bareMachine({ model: "max", ...options });
  m.load(ramBase + 0x2000, [a("ld", { rd: 5, rs1: 1 }), spin]);
  mapPage(m, 0x1000n, ramBase + 0x2000, V | R | X | A);
  m.write64(leafOf(va), leaf);
  m.hart.writeCsr(menvcfg, options.menvcfg ?? adue | pbmte);
  enterPaged(m, 0x1000n);
  m.hart.setX(1, va);
  m.hart.run(1);
  return m;
}

describe("Svnapot", () => {
  const range = ramBase + 0x40000;

  test.each([0x10_0008n, 0x10_7008n, 0x10_f008n])("one entry maps 64 KiB: %s", (va) => {
    const at = range + Number(va & 0xffffn);
    const m = bareMachine({ model: "max" });
    m.write64(at, 0x1234n + va);
    m.load(ramBase + 0x2000, [a("ld", { rd: 5, rs1: 1 }), spin]);
    mapPage(m, 0x1000n, ramBase + 0x2000, V | R | X | A);
    m.write64(leafOf(va), pte(range + 0x8000, V | R | A) | napot);
    enterPaged(m, 0x1000n);
    m.hart.setX(1, va);
    m.hart.run(1);
    expect(m.hart.x(5)).toBe(0x1234n + va);
  });

  test("other sizes than 64 KiB are reserved", () => {
    expect(causeOf(loading(0x10_0000n, pte(range + 0x4000, V | R | A) | napot))).toBe(13n);
    expect(causeOf(loading(0x10_0000n, pte(range, V | R | A) | napot))).toBe(13n);
  });

  test("the bit is reserved in superpages and pointers, and without the extension everywhere", () => {
    const m = loading(0x4000_0000n, 0n);
    m.write64(tables + 8, pte(0x8000_0000 + 0x8000, V | R | A) | napot);
    m.hart.pc = 0x1000n;
    m.hart.mode = "S";
    m.hart.run(1);
    expect(causeOf(m)).toBe(13n);
    const leaf = pte(range + 0x8000, V | R | A) | napot;
    expect(causeOf(loading(0x10_0000n, leaf, { features: { svnapot: false } }))).toBe(13n);
  });

  test("sfence.vma for one of its pages forgets all of them", () => {
    const m = loading(0x10_0000n, pte(range + 0x8000, V | R | A) | napot);
    m.write64(leafOf(0x10_0000n), pte(range + 0x18000, V | R | A) | napot);
    m.write64(range + 0x10000, 0x55n);
    m.load(ramBase + 0x2000, [a("sfence.vma", { rs1: 2 }), a("ld", { rd: 5, rs1: 1 }), spin]);
    m.hart.setX(2, 0x10_3000n);
    m.hart.pc = 0x1000n;
    m.hart.run(2);
    expect(m.hart.x(5)).toBe(0x55n);
  });
});

describe("Svpbmt", () => {
  const page = (type: bigint): bigint => pte(ramBase + 0x3000, V | R | A) | (type << 61n);

  test.each([0n, 1n, 2n])("memory type %s is legal", (type) => {
    expect(causeOf(loading(0x2000n, page(type)))).toBe(0n);
  });

  test("memory type 3 is reserved, and any type where menvcfg.PBMTE is clear", () => {
    expect(causeOf(loading(0x2000n, page(3n)))).toBe(13n);
    expect(causeOf(loading(0x2000n, page(1n), { menvcfg: adue }))).toBe(13n);
  });

  test("PBMTE stays clear on a CPU without the extension", () => {
    const m = loading(0x2000n, page(1n), { model: "rv64" });
    expect(m.hart.readCsr(menvcfg)).toBe(adue);
    expect(causeOf(m)).toBe(13n);
  });
});

describe("Svade and Svadu", () => {
  const clean = pte(ramBase + 0x3000, V | R | W);
  const adueAtReset = (features: Record<string, boolean>): boolean =>
    (bareMachine({ features }).hart.readCsr(menvcfg)! & adue) !== 0n;

  test("Svadu alone starts with hardware updates, Svade with it does not", () => {
    expect(adueAtReset({})).toBe(true);
    expect(adueAtReset({ svade: true })).toBe(false);
    expect(adueAtReset({ svadu: false })).toBe(false);
  });

  test("Svade faults on a clear A bit; with neither, hardware sets it", () => {
    expect(causeOf(loading(0x2000n, clean, { features: { svade: true, svadu: false } }))).toBe(13n);
    const m = loading(0x2000n, clean, { features: { svadu: false } });
    expect(causeOf(m)).toBe(0n);
    expect(m.read64(leafOf(0x2000n)) & (A | D)).toBe(A);
  });

  test("a change of ADUE takes effect on pages that were used before", () => {
    const m = loading(0x2000n, clean, { features: { svade: true } });
    expect(m.read64(leafOf(0x2000n)) & A).toBe(A);
    m.write64(leafOf(0x2000n), clean);
    m.hart.writeCsr(menvcfg, 0n);
    m.hart.pc = 0x1000n;
    m.hart.mode = "S";
    m.hart.run(1);
    expect(causeOf(m)).toBe(13n);
  });
});

describe("Svinval", () => {
  test.each(["sfence.w.inval", "sfence.inval.ir"])("%s is illegal in U-mode and harmless above", (name) => {
    const m = bareMachine({ model: "max" });
    m.load(ramBase + 0x100, [a(name), spin]);
    m.hart.writeCsr(0x3b0, (1n << 54n) - 1n);
    m.hart.writeCsr(0x3a0, 0x1fn);
    m.hart.mode = "S";
    m.hart.pc = BigInt(ramBase + 0x100);
    m.hart.run(1);
    expect(m.hart.pc).toBe(BigInt(ramBase + 0x104));
    m.hart.mode = "U";
    m.hart.pc = BigInt(ramBase + 0x100);
    m.hart.run(1);
    expect(causeOf(m)).toBe(2n);
  });

  test("sinval.vma forgets a translation and obeys TVM", () => {
    const m = loading(0x2000n, pte(ramBase + 0x3000, V | R | A));
    m.write64(ramBase + 0x4000, 0x66n);
    m.write64(leafOf(0x2000n), pte(ramBase + 0x4000, V | R | A));
    m.load(ramBase + 0x2000, [a("sinval.vma", { rs1: 1 }), a("ld", { rd: 5, rs1: 1 }), spin]);
    m.hart.pc = 0x1000n;
    m.hart.run(2);
    expect(m.hart.x(5)).toBe(0x66n);
    m.hart.writeCsr(0x300, 1n << 20n);
    m.hart.pc = 0x1000n;
    m.hart.run(1);
    expect(causeOf(m)).toBe(2n);
  });
});
