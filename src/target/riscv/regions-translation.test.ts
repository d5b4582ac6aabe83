// Translations and protection that change under compiled regions.
import { describe, expect, test } from "vitest";
import { reg, type Assembler } from "./testing/assembler.ts";
import { ramBase, type BareMachine } from "./testing/bare-machine.ts";
import { program, sameInBothTiers } from "./testing/both-tiers.ts";
import { enterPaged, mapPage, Pte, pte, tables } from "./testing/paging.ts";

const { zero, ra, t0, t1, t2, s0, s1, s2, s3, s4, a0, a1, a2, a3, a4, t3 } = reg;
const { V, R, W, X, U, A, D } = Pte;
const executable = V | R | X | A;
const writable = V | R | W | A | D;

const code = 0x4000_0000n;
const data = code + 0x1000n;
const callee = code + 0x2000n;
const leaves = code + 0x3000n;
const leafTable = tables + 0x2000;
const page = { code: ramBase + 0x4000, one: ramBase + 0x5000, two: ramBase + 0x6000, three: ramBase + 0x7000 };
const leafOf = (va: bigint): number => leafTable + Number((va >> 12n) & 511n) * 8;
const satpOf = (root: number, asid: bigint): bigint => (8n << 60n) | (asid << 44n) | BigInt(root / 4096);

/** Code and the table of leaves are mapped; the handler at `ramBase` (M-mode) skips what traps and mixes what it was into a4. */
function world(m: BareMachine, body: (p: Assembler) => void): void {
  mapPage(m, code, page.code, executable);
  m.write64(leafOf(leaves), pte(leafTable, writable));
  program(body, page.code)(m);
  enterPaged(m, code);
  program((p) => {
    p.readCsr(t3, "mepc");
    p.op("addi", { rd: t3, rs1: t3, imm: 4 });
    p.writeCsr("mepc", t3);
    p.readCsr(t3, "mcause");
    p.op("add", { rd: a4, rs1: a4, rs2: t3 });
    p.readCsr(t3, "mtval");
    p.op("xor", { rd: a4, rs1: a4, rs2: t3 });
    p.op("slli", { rd: t3, rs1: a4, imm: 1 });
    p.op("add", { rd: a4, rs1: a4, rs2: t3 });
    p.op("mret");
  })(m);
  m.hart.setX(s0, leaves);
}

/** A loop of loads, stores and calls, which now and then does `change`. */
function hotLoop(p: Assembler, change: (p: Assembler) => void): void {
  p.label("loop");
  p.op("lw", { rd: t0, rs1: s1 });
  p.op("lw", { rd: t1, rs1: s1, imm: 8 });
  p.op("add", { rd: a0, rs1: a0, rs2: t0 });
  p.op("xor", { rd: a0, rs1: a0, rs2: t1 });
  p.op("sw", { rs1: s1, rs2: a0, imm: 16 });
  p.op("sw", { rs1: s1, rs2: a2, imm: 20 });
  p.op("jalr", { rd: ra, rs1: s2 });
  p.op("addi", { rd: a2, rs1: a2, imm: 1 });
  p.op("andi", { rd: t0, rs1: a2, imm: 31 });
  p.to("bne", "loop", { rs1: t0, rs2: zero });
  change(p);
  p.jump("loop");
}

/** Exchanges the leaf entries in s3 and s4 and writes one of them for the page at `index`. */
function exchange(p: Assembler, va: bigint): void {
  p.op("xor", { rd: s3, rs1: s3, rs2: s4 });
  p.op("xor", { rd: s4, rs1: s3, rs2: s4 });
  p.op("xor", { rd: s3, rs1: s3, rs2: s4 });
  p.op("sd", { rs1: s0, rs2: s3, imm: Number((va >> 12n) & 511n) * 8 });
}

function prepare(m: BareMachine, change: (p: Assembler) => void): void {
  world(m, (p) => hotLoop(p, change));
  m.write64(leafOf(data), pte(page.one, writable));
  m.write64(leafOf(callee), pte(page.three, executable));
  for (const [at, n] of [
    [page.one, 1],
    [page.two, 7],
    [page.three, 3],
  ] as const) {
    m.write64(at + 0x800, BigInt(n) * 0x0123_4567n);
    program((p) => {
      p.op("addi", { rd: a1, rs1: a1, imm: n });
      p.op("slli", { rd: a3, rs1: a1, imm: n });
      p.op("jalr", { rd: zero, rs1: ra });
    }, at)(m);
  }
  m.hart.setX(s1, data + 0x800n);
  m.hart.setX(s2, callee);
}

describe("a page that is remapped under a loop", () => {
  const fences: readonly (readonly [string, (p: Assembler, va: bigint) => void])[] = [
    ["everywhere", (p) => p.op("sfence.vma")],
    ["at its address", (p, va) => (p.li(t2, va), p.op("sfence.vma", { rs1: t2 }))],
    ["in its address space", (p) => (p.li(t2, 5), p.op("sfence.vma", { rs2: t2 }))],
    [
      "at its address in its address space",
      (p, va) => (p.li(t2, va), p.li(t1, 5), p.op("sfence.vma", { rs1: t2, rs2: t1 })),
    ],
    [
      "by sinval.vma",
      (p, va) => (p.op("sfence.w.inval"), p.li(t2, va), p.op("sinval.vma", { rs1: t2 }), p.op("sfence.inval.ir")),
    ],
  ];

  test.each(fences)("that loads and stores: fenced %s", (_how, fence) => {
    const { figures, m } = sameInBothTiers({
      machine: { model: "max" },
      prepare: (machine) => {
        prepare(machine, (p) => (exchange(p, data), fence(p, data)));
        machine.hart.writeCsr(0x180, satpOf(tables, 5n));
        machine.hart.setX(s3, pte(page.one, writable));
        machine.hart.setX(s4, pte(page.two, writable));
      },
    });
    expect(figures.regionInstructions).toBeGreaterThan(20_000);
    expect(m.read64(page.two + 0x810)).not.toBe(0n);
  });

  test.each(fences)("that calls into it: fenced %s", (_how, fence) => {
    const { figures } = sameInBothTiers({
      machine: { model: "max" },
      prepare: (m) => {
        prepare(m, (p) => (exchange(p, callee), fence(p, callee)));
        m.hart.writeCsr(0x180, satpOf(tables, 5n));
        m.hart.setX(s3, pte(page.one, executable));
        m.hart.setX(s4, pte(page.three, executable));
      },
    });
    expect(figures.regionInstructions).toBeGreaterThan(20_000);
  });

  test("becomes read-only, then is not there, then is back", () => {
    const { m } = sameInBothTiers({
      prepare: (machine) => {
        prepare(machine, (p) => {
          p.op("andi", { rd: t0, rs1: a2, imm: 96 });
          p.op("srli", { rd: t0, rs1: t0, imm: 5 });
          p.op("addi", { rd: t1, rs1: zero, imm: 0 });
          // 0: as it was; 1: read-only; 2: gone; 3: executable only.
          for (const [n, bits] of [
            [0, writable],
            [1, V | R | A],
            [3, V | X | A],
          ] as const) {
            const skip = p.fresh("skip");
            p.op("addi", { rd: t2, rs1: t0, imm: -n });
            p.to("bne", skip, { rs1: t2, rs2: zero });
            p.li(t1, pte(page.one, bits));
            p.label(skip);
          }
          p.op("sd", { rs1: s0, rs2: t1, imm: 8 });
          p.op("sfence.vma");
        });
      },
    });
    expect(m.hart.x(a4)).not.toBe(0n);
  });
});

describe("address spaces that take turns", () => {
  /** A second set of tables whose data and callee are other pages. */
  const second = tables + 0x8000;
  function secondSpace(m: BareMachine): void {
    for (const [from, to] of [
      [0, 0],
      [0x1000, 0x1000],
      [0x2000, 0x2000],
    ] as const) {
      for (let at = 0; at < 4096; at += 8) m.write64(second + to + at, m.read64(tables + from + at));
    }
    m.write64(second + Number((code >> 30n) & 511n) * 8, pte(second + 0x1000, V));
    m.write64(second + 0x1000 + Number((code >> 21n) & 511n) * 8, pte(second + 0x2000, V));
    m.write64(second + 0x2000 + 8, pte(page.two, writable));
    m.write64(second + 0x2000 + 16, pte(page.one, executable));
  }

  test.each([
    ["with different ASIDs and no fence", 1n, 2n, false],
    ["without ASIDs, with a fence", 0n, 0n, true],
    ["with one ASID and a fence", 3n, 3n, true],
  ])("%s", (_how, asid, otherAsid, isFenced) => {
    const { figures, m } = sameInBothTiers({
      prepare: (machine) => {
        prepare(machine, (p) => {
          p.op("csrrw", { rd: s3, rs1: s3, csr: 0x180 });
          if (isFenced) p.op("sfence.vma");
        });
        secondSpace(machine);
        machine.hart.writeCsr(0x180, satpOf(tables, asid));
        machine.hart.setX(s3, satpOf(second, otherAsid));
      },
    });
    expect(figures.regionInstructions).toBeGreaterThan(20_000);
    expect(m.read64(page.two + 0x810)).not.toBe(0n);
  });
});

describe("rights that change under a loop", () => {
  const loads = (p: Assembler, change: (p: Assembler) => void): void =>
    hotLoop(p, (q) => {
      change(q);
      q.op("addi", { rd: a0, rs1: a0, imm: 1 });
    });

  test.each([
    ["SUM", 1n << 18n, V | R | W | U | A | D],
    ["MXR", 1n << 19n, V | X | A],
  ])("%s is toggled by the supervisor", (_name, bit, bits) => {
    const { figures, m } = sameInBothTiers({
      prepare: (machine) => {
        prepare(machine, () => undefined);
        program(
          (p) =>
            loads(p, (q) => {
              q.li(t1, bit);
              q.op("csrrs", { rd: t2, rs1: zero, csr: 0x100 });
              q.op("xor", { rd: t2, rs1: t2, rs2: t1 });
              q.op("csrrw", { rd: zero, rs1: t2, csr: 0x100 });
            }),
          page.code,
        )(machine);
        machine.write64(leafOf(data), pte(page.one, bits));
      },
    });
    expect(figures.regionInstructions).toBeGreaterThan(5000);
    expect(m.hart.x(a4)).not.toBe(0n);
  });

  test("MPRV is toggled by machine mode: the same loop reads through the tables and past them", () => {
    const { figures } = sameInBothTiers({
      prepare: (m) => {
        const inMachine = ramBase + 0x8000;
        prepare(m, () => undefined);
        // Virtual and physical addresses of the data page are both there: identity, with other bits.
        mapPage(m, BigInt(page.one), page.two, writable);
        program(
          (p) =>
            loads(p, (q) => {
              q.li(t1, (1n << 17n) | (1n << 11n));
              q.readCsr(t2, "mstatus");
              q.op("xor", { rd: t2, rs1: t2, rs2: t1 });
              q.writeCsr("mstatus", t2);
            }),
          inMachine,
        )(m);
        m.hart.writeCsr(0x300, 0x1800n);
        m.hart.mode = "M";
        m.hart.pc = BigInt(inMachine);
        m.hart.setX(s1, BigInt(page.one + 0x800));
        m.hart.setX(s2, BigInt(page.three));
      },
    });
    expect(figures.regionInstructions).toBeGreaterThan(10_000);
  });

  test("PMP takes the data away and gives it back", () => {
    const { figures, m } = sameInBothTiers({
      prepare: (machine) => {
        const inMachine = ramBase + 0x8000;
        prepare(machine, () => undefined);
        // Entry 0 is locked for nobody but counts with MPRV and in S-mode: an ecall to M-mode toggles it.
        program((p) => {
          p.readCsr(t3, "mcause");
          p.op("addi", { rd: t3, rs1: t3, imm: -9 });
          p.to("bne", "skip", { rs1: t3, rs2: zero });
          p.readCsr(t3, "pmpcfg0");
          p.op("xori", { rd: t3, rs1: t3, imm: 7 });
          p.writeCsr("pmpcfg0", t3);
          p.op("sfence.vma");
          p.label("skip");
          p.readCsr(t3, "mepc");
          p.op("addi", { rd: t3, rs1: t3, imm: 4 });
          p.writeCsr("mepc", t3);
          p.readCsr(t3, "mtval");
          p.op("add", { rd: a4, rs1: a4, rs2: t3 });
          p.op("mret");
        }, inMachine)(machine);
        program((p) => loads(p, (q) => q.op("ecall")), page.code)(machine);
        // Entry 0: the data page, NAPOT; entry 1: everything.
        machine.hart.writeCsr(0x3b1, (1n << 54n) - 1n);
        machine.hart.writeCsr(0x3b0, BigInt(page.one >>> 2) | 0x1ffn);
        machine.hart.writeCsr(0x3a0, 0x1f1fn);
        machine.hart.writeCsr(0x305, BigInt(inMachine));
      },
    });
    expect(figures.regionInstructions).toBeGreaterThan(5000);
    expect(m.hart.x(a4)).not.toBe(0n);
  });

  test.each([
    ["hardware sets A and D again and again (Svadu)", 1n << 61n],
    ["each clear A or D bit traps (Svade)", 0n],
  ])("%s", (_how, menvcfg) => {
    const { figures, m } = sameInBothTiers({
      machine: { model: "max" },
      prepare: (machine) => {
        prepare(machine, (p) => {
          p.li(t1, pte(page.one, V | R | W));
          p.op("ld", { rd: t2, rs1: s0, imm: 8 });
          p.op("add", { rd: a0, rs1: a0, rs2: t2 });
          p.op("sd", { rs1: s0, rs2: t1, imm: 8 });
          p.op("sfence.vma", { rs1: s1 });
        });
        machine.hart.writeCsr(0x30a, menvcfg);
      },
    });
    expect(figures.regionInstructions).toBeGreaterThan(5000);
    expect(m.hart.x(a4) !== 0n).toBe(menvcfg === 0n);
  });

  test("the same code runs for the user and the supervisor in turn", () => {
    const { figures } = sameInBothTiers({
      prepare: (m) => {
        const user = code + 0x6000n;
        prepare(m, (p) => {
          // Into U-mode at the same code's user mapping, and back by ecall (delegated), round and round.
          p.op("csrrw", { rd: zero, rs1: s4, csr: 0x141 });
          p.op("sret");
        });
        m.write64(leafOf(user), pte(page.two, executable | U));
        program((p) => {
          p.label("loop");
          p.op("addi", { rd: a0, rs1: a0, imm: 3 });
          p.op("addi", { rd: a2, rs1: a2, imm: 1 });
          p.op("lw", { rd: t0, rs1: s1 });
          p.op("andi", { rd: t1, rs1: a2, imm: 15 });
          p.to("bne", "loop", { rs1: t1, rs2: zero });
          p.op("ecall");
          p.jump("loop");
        }, page.two)(m);
        m.write64(leafOf(data), pte(page.one, writable | U));
        m.hart.writeCsr(0x302, 1n << 8n);
        m.hart.writeCsr(0x105, code);
        m.hart.setX(s4, user);
      },
    });
    expect(figures.regionInstructions).toBeGreaterThan(5000);
  });
});
