// Each extension that the profile RVA22S64 mandates (RISC-V Profiles 1.0, §4.1 and §4.2), as software meets it with
// `-cpu rva22s64`.
import { describe, expect, test } from "vitest";
import { cpuFeatures } from "./cpu-models.ts";
import { F } from "./hart-core.ts";
import { assemble as a, type Operand } from "./testing/assemble.ts";
import { bareMachine, ramBase, type BareMachine } from "./testing/bare-machine.ts";
import { enterPaged, mapPage, Pte } from "./testing/paging.ts";

const model = "rva22s64";
const data = ramBase + 0x1000;
const [mcause, mtval, mtvec, mstatus, fpOn] = [0x342, 0x343, 0x305, 0x300, 0x6000n];

/** A hart with its FPU on and x11 pointing to data, after `words`; the first exception ends in a loop. */
function after(words: readonly number[], setUp: (m: BareMachine) => void = () => {}): BareMachine {
  const m = bareMachine({ model });
  m.load(ramBase + 0x800, [a("jal", { rd: 0, imm: 0 })]);
  m.hart.writeCsr(mtvec, BigInt(ramBase + 0x800));
  m.hart.writeCsr(mstatus, fpOn);
  m.hart.setX(11, BigInt(data));
  setUp(m);
  m.load(ramBase, words);
  m.hart.run(words.length);
  return m;
}

const ends = (m: BareMachine, words: number): boolean => m.hart.pc === BigInt(ramBase + 4 * words);

describe("user level", () => {
  const legal: readonly (readonly [extension: string, name: string, operand: Operand])[] = [
    ["m", "divu", { rd: 1, rs1: 11, rs2: 11 }],
    ["a, ziccamoa", "amomaxu.d", { rd: 1, rs1: 11, rs2: 2 }],
    ["f", "fmadd.s", { rd: 1, rs1: 2, rs2: 3, rs3: 4 }],
    ["d", "fsqrt.d", { rd: 1, rs1: 2 }],
    ["zicsr", "csrrsi", { rd: 1, csr: 0x340 }],
    ["zicntr", "csrrs", { rd: 1, csr: 0xc00 }],
    ["zicntr", "csrrs", { rd: 1, csr: 0xc01 }],
    ["zicntr", "csrrs", { rd: 1, csr: 0xc02 }],
    ["zihpm", "csrrs", { rd: 1, csr: 0xc03 }],
    ["zihpm", "csrrs", { rd: 1, csr: 0xc1f }],
    ["zihintpause", "pause", {}],
    ["zba", "sh3add.uw", { rd: 1, rs1: 2, rs2: 3 }],
    ["zbb", "orc.b", { rd: 1, rs1: 2 }],
    ["zbs", "bexti", { rd: 1, rs1: 2, imm: 63 }],
    ["zicbom", "cbo.inval", { rs1: 11 }],
    ["zicbom", "cbo.clean", { rs1: 11 }],
    ["zicbom", "cbo.flush", { rs1: 11 }],
    // prefetch.w, a form of ORI.
    ["zicbop", "ori", { rd: 0, rs1: 11, imm: 3 }],
    ["zfhmin", "flh", { rd: 1, rs1: 11, imm: 2 }],
    ["zfhmin", "fcvt.h.d", { rd: 1, rs1: 2 }],
    ["zfhmin", "fmv.h.x", { rd: 1, rs1: 2 }],
  ];
  test.each(legal)("%s: %s %j is executed", (_extension, name, operand) => {
    expect(ends(after([a(name, operand)]), 1)).toBe(true);
  });

  test("c: a compressed instruction is executed", () => {
    const m = after([0x0505_0505]); // c.addi a0, 1 twice
    m.hart.run(1);
    expect(m.hart.x(10)).toBe(2n);
  });

  test("zicboz, zic64b: cbo.zero clears the 64 bytes around an address", () => {
    const m = after([a("cbo.zero", { rs1: 11 })], ({ write64, hart }) => {
      for (let at = data - 8; at <= data + 64; at += 8) write64(at, 0x5555n);
      hart.setX(11, BigInt(data + 40));
    });
    const words = [-8, 0, 8, 16, 24, 32, 40, 48, 56, 64].map((offset) => m.read64(data + offset));
    expect(words).toEqual([0x5555n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 0x5555n]);
  });

  test("ziccrse, za64rs: a reservation and its store succeed, with a store to the next block between them", () => {
    const m = after([
      a("lr.d", { rd: 1, rs1: 11 }),
      a("sd", { rs1: 11, rs2: 11, imm: 64 }),
      a("sc.d", { rd: 5, rs1: 11, rs2: 11 }),
    ]);
    expect([m.hart.x(5), m.read64(data)]).toEqual([0n, BigInt(data)]);
  });

  test("zicclsm: misaligned loads and stores are done, over a page boundary too", () => {
    const m = after([a("sd", { rs1: 11, rs2: 12, imm: -3 }), a("ld", { rd: 1, rs1: 11, imm: -3 })], ({ hart }) =>
      hart.setX(12, 0x0123_4567_89ab_cdefn),
    );
    expect(m.hart.x(1)).toBe(0x0123_4567_89ab_cdefn);
  });

  test("zfhmin: a half keeps its value when it becomes a single", () => {
    const m = after([a("fcvt.s.h", { rd: 1, rs1: 2 })], ({ hart }) => hart.core.set(F.f + 2, 0xffff_ffff_ffff_3e00n));
    expect(m.hart.core.get(F.f + 1)).toBe(0xffff_ffff_3fc0_0000n);
  });
});

describe("supervisor level", () => {
  const va = 0x4000_0000n;
  const leaf = Pte.V | Pte.R | Pte.W | Pte.X | Pte.A | Pte.D;
  /** The hart in S-mode at `va`, after one instruction of the page there. */
  function paged(word: number, bits = leaf, setUp: (m: BareMachine) => void = () => {}): BareMachine {
    const m = bareMachine({ model });
    mapPage(m, va, data, bits);
    setUp(m);
    enterPaged(m, va);
    m.load(data, [word]);
    m.hart.run(1);
    return m;
  }

  test("zifencei, svinval: their instructions are executed", () => {
    const words = ["fence.i", "sfence.w.inval", "sinval.vma", "sfence.inval.ir"].map((name) => a(name));
    expect(ends(after(words), words.length)).toBe(true);
  });

  test("svbare, sv39: satp takes both modes, and no other", () => {
    const { hart } = bareMachine({ model });
    hart.writeCsr(0x180, 8n << 60n);
    expect(hart.readCsr(0x180)).toBe(8n << 60n);
    hart.writeCsr(0x180, 9n << 60n);
    expect(hart.readCsr(0x180)).toBe(8n << 60n);
    hart.writeCsr(0x180, 0n);
    expect(hart.readCsr(0x180)).toBe(0n);
  });

  test("sv39, ssccptr: code runs under a page table in main memory", () => {
    expect(paged(a("addi")).hart.pc).toBe(va + 4n);
  });

  test("svade: an entry that was not accessed faults", () => {
    expect(paged(a("addi"), leaf & ~Pte.A).hart.readCsr(mcause)).toBe(12n);
  });

  test("svpbmt: an entry has a memory type once menvcfg enables them", () => {
    const uncached = leaf | (1n << 61n);
    const enable = (m: BareMachine): void => m.hart.writeCsr(0x30a, 1n << 62n);
    const disable = (m: BareMachine): void => m.hart.writeCsr(0x30a, 0n);
    expect(paged(a("addi"), uncached, enable).hart.pc).toBe(va + 4n);
    expect(paged(a("addi"), uncached, disable).hart.readCsr(mcause)).toBe(12n);
  });

  test("sstvecd: stvec holds any aligned address in direct mode", () => {
    const { hart } = bareMachine({ model });
    hart.writeCsr(0x105, 0xffff_ffff_ffff_fffcn);
    expect(hart.readCsr(0x105)).toBe(0xffff_ffff_ffff_fffcn);
  });

  test("sstvala: the trap value is the faulting address, or the illegal instruction", () => {
    const load = paged(a("ld", { rd: 1, rs1: 5, imm: 8 }), leaf, ({ hart }) => hart.setX(5, 0x7000n));
    expect([load.hart.readCsr(mcause), load.hart.readCsr(mtval)]).toEqual([13n, 0x7008n]);
    const illegal = paged(0x0000_707f);
    expect([illegal.hart.readCsr(mcause), illegal.hart.readCsr(mtval)]).toEqual([2n, 0x707fn]);
  });

  test("sscounterenw: every counter that counts has a writable bit in scounteren", () => {
    const { hart } = bareMachine({ model });
    hart.writeCsr(0x106, 0xffff_ffffn);
    for (let i = 3; i < 32; i++) hart.writeCsr(0xb00 + i, 5n);
    const counting = Array.from({ length: 29 }, (_, i) => i + 3).filter((i) => hart.readCsr(0xb00 + i) !== 0n);
    const bits = counting.reduce((sum, i) => sum | (1n << BigInt(i)), 7n);
    expect(hart.readCsr(0x106)! & bits).toBe(bits);
    expect(counting).toHaveLength(16);
  });

  test("ssu64xl: user mode has 64 bits", () => {
    expect((bareMachine({ model }).hart.readCsr(0x100)! >> 32n) & 3n).toBe(2n);
  });
});

// What no program can tell: fetches are whole, timing does not depend on data (no instruction of Zkt has a slow path).
test.each(["ziccif", "zkt", "ziccamoa", "ziccrse", "zicclsm", "za64rs", "zic64b", "ssccptr"])(
  "%s is claimed",
  (name) => {
    expect(cpuFeatures(model, {}).isa.extensions).toContain(name);
  },
);
