// Traps, triggers and floating point in compiled regions: precise everywhere.
import { describe, expect, test } from "vitest";
import type { Watch } from "./port.ts";
import { reg, type Assembler } from "./testing/assembler.ts";
import { ramBase } from "./testing/bare-machine.ts";
import { program, sameInBothTiers } from "./testing/both-tiers.ts";
import { digest, handler, withHandler } from "./testing/mixing-handler.ts";
import { enterPaged, mapPage, Pte, pte, tables } from "./testing/paging.ts";

const { zero, t0, t1, t2, s0, s1, s2, s3, a0, a1, a2, a3, a4, a5, t3, t4, t5, t6 } = reg;
const { V, R, W, X, A, D } = Pte;
describe("traps in the middle of regions", () => {
  test.each([
    ["a load", (p: Assembler) => p.op("ld", { rd: a3, rs1: t1, imm: 4 })],
    ["a store", (p: Assembler) => p.op("sd", { rs1: t1, rs2: a2, imm: 4 })],
    [
      "a member of a group of loads",
      (p: Assembler) => (p.op("lw", { rd: a3, rs1: t1 }), p.op("lw", { rd: a3, rs1: t1, imm: 8 })),
    ],
    ["an atomic operation", (p: Assembler) => p.op("amoadd.d", { rd: a3, rs1: t1, rs2: a2 })],
    ["an atomic operation at odd addresses", (p: Assembler) => p.op("amoadd.w", { rd: a3, rs1: a2, rs2: a2 })],
    ["cbo.zero", (p: Assembler) => p.op("cbo.zero", { rs1: t1 })],
    ["lr and sc", (p: Assembler) => (p.op("lr.w", { rd: a3, rs1: t1 }), p.op("sc.w", { rd: a3, rs1: t1, rs2: a2 }))],
    ["ecall", (p: Assembler) => p.op("ecall")],
    ["ebreak", (p: Assembler) => p.op("ebreak")],
    ["a CSR that is not there", (p: Assembler) => p.op("csrrs", { rd: a3, csr: 0x5c0, rs1: 0 })],
    ["floating point that is off", (p: Assembler) => p.op("fadd.d", { rd: 1, rs1: 1, rs2: 1, rm: 7 })],
    ["all zeroes", (p: Assembler) => p.word(0)],
  ])("%s: every register and counter is exact", (_what, trapping) => {
    const { figures, m } = sameInBothTiers({
      prepare: (machine) => {
        withHandler(machine, { isSkipped: true });
        program((p) => {
          p.la(s0, ramBase + 0x1000);
          p.label("loop");
          p.op("addi", { rd: a2, rs1: a2, imm: 3 });
          p.op("andi", { rd: t0, rs1: a2, imm: 31 });
          // Every so often the address is one where nothing is.
          p.op("add", { rd: t1, rs1: s0, rs2: zero });
          p.to("bne", "on", { rs1: t0, rs2: zero });
          p.op("sub", { rd: t1, rs1: zero, rs2: a2 });
          p.op("andi", { rd: t1, rs1: t1, imm: -8 });
          p.label("on");
          p.op("mul", { rd: a0, rs1: a2, rs2: a2 });
          p.op("add", { rd: a1, rs1: a1, rs2: a0 });
          p.op("sd", { rs1: s0, rs2: a1, imm: 64 });
          trapping(p);
          p.op("xor", { rd: a5, rs1: a5, rs2: a3 });
          p.op("addi", { rd: a4, rs1: a4, imm: 1 });
          p.jump("loop");
        })(machine);
      },
    });
    expect(figures.regionInstructions).toBeGreaterThan(3000);
    expect(digest(m)).not.toBe(0n);
  });

  test("cbo.zero of read-only and of writable pages, allowed and forbidden in turn, at whole blocks and inside them", () => {
    const code = 0x4000_0000n;
    const { figures, m } = sameInBothTiers({
      prepare: (machine) => {
        withHandler(machine, { isSkipped: true });
        const page = ramBase + 0x8000;
        mapPage(machine, code, page, V | R | X | A);
        machine.write64(tables + 0x2000 + 8, pte(ramBase + 0x9000, V | R | W | A | D));
        machine.write64(tables + 0x2000 + 16, pte(ramBase + 0xa000, V | R | A));
        enterPaged(machine, code);
        machine.hart.writeCsr(0x305, BigInt(handler));
        program((p) => {
          p.label("loop");
          p.op("addi", { rd: a2, rs1: a2, imm: 1 });
          p.op("andi", { rd: t0, rs1: a2, imm: 127 });
          p.op("slli", { rd: t0, rs1: t0, imm: 5 });
          p.op("add", { rd: t1, rs1: s0, rs2: t0 });
          p.op("sd", { rs1: s0, rs2: a2, imm: 64 });
          p.op("cbo.zero", { rs1: t1 });
          p.op("ld", { rd: a3, rs1: s0, imm: 64 });
          p.op("add", { rd: a1, rs1: a1, rs2: a3 });
          p.to("bne", "loop", { rs1: t0, rs2: zero });
          // Once around: the other page.
          p.op("xor", { rd: s0, rs1: s0, rs2: s1 });
          p.op("andi", { rd: t0, rs1: a2, imm: 128 });
          p.to("beq", "loop", { rs1: t0, rs2: zero });
          p.op("sd", { rs1: s2, rs2: a2, imm: 0 });
          p.jump("loop");
        }, page)(machine);
        machine.hart.setX(s0, code + 0x1000n);
        machine.hart.setX(s1, 0x3000n);
        machine.hart.setX(s2, code + 0x1000n);
      },
      between: (machine, slice) => machine.hart.writeCsr(0x30a, slice % 3 === 0 ? 0n : 0x80n),
    });
    expect(figures.regionInstructions).toBeGreaterThan(3000);
    expect(digest(m)).not.toBe(0n);
  });

  test("accesses of every width and place around the end of a page, where the next one comes and goes", () => {
    const code = 0x4000_0000n;
    const data = code + 0x1000n;
    const { figures, m } = sameInBothTiers({
      prepare: (machine) => {
        withHandler(machine, { isSkipped: true });
        const page = ramBase + 0x8000;
        mapPage(machine, code, page, V | R | X | A);
        const leaf = tables + 0x2000;
        machine.write64(leaf + 8, pte(ramBase + 0x9000, V | R | W | A | D));
        machine.write64(leaf + 24, pte(leaf, V | R | W | A | D));
        enterPaged(machine, code);
        machine.hart.writeCsr(0x305, BigInt(handler));
        program((p) => {
          p.label("loop");
          p.op("addi", { rd: a2, rs1: a2, imm: 1 });
          p.op("andi", { rd: t0, rs1: a2, imm: 15 });
          p.op("add", { rd: t1, rs1: s0, rs2: t0 });
          for (const name of ["ld", "lw", "lhu", "lb", "fld"]) p.op(name, { rd: a3, rs1: t1, imm: -8 });
          p.op("add", { rd: a1, rs1: a1, rs2: a3 });
          for (const name of ["sd", "sw", "sh", "sb", "fsd"]) p.op(name, { rs1: t1, rs2: a1, imm: -8 });
          p.op("andi", { rd: t0, rs1: a2, imm: 63 });
          p.to("bne", "loop", { rs1: t0, rs2: zero });
          p.op("ld", { rd: t2, rs1: s1, imm: 16 });
          p.op("xor", { rd: t2, rs1: t2, rs2: s2 });
          p.op("sd", { rs1: s1, rs2: t2, imm: 16 });
          p.op("sfence.vma");
          p.jump("loop");
        }, page)(machine);
        machine.hart.writeCsr(0x300, 0x6000n);
        machine.hart.setX(s0, data + 0x1000n);
        machine.hart.setX(s1, code + 0x3000n);
        machine.hart.setX(s2, pte(ramBase + 0xb000, V | R | W | A | D));
      },
    });
    expect(figures.regionInstructions).toBeGreaterThan(10_000);
    expect(digest(m)).not.toBe(0n);
  });
});

describe("storms", () => {
  test("of mret and sret between three modes", () => {
    const { figures } = sameInBothTiers({
      prepare: (m) => {
        m.hart.writeCsr(0x3b0, (1n << 54n) - 1n);
        m.hart.writeCsr(0x3a0, 0x1fn);
        const [supervisor, user] = [ramBase + 0x1000, ramBase + 0x2000];
        program((p) => {
          // From whichever mode the ecall came: one mode further down, or from U-mode back to S-mode by delegation.
          p.op("addi", { rd: a0, rs1: a0, imm: 1 });
          p.li(t0, 0x1800);
          p.clearCsrBits("mstatus", t0);
          p.li(t0, 0x800);
          p.setCsrBits("mstatus", t0);
          p.la(t1, supervisor);
          p.writeCsr("mepc", t1);
          p.op("mret");
        })(m);
        program((p) => {
          p.op("addi", { rd: a1, rs1: a1, imm: 1 });
          p.op("andi", { rd: t0, rs1: a1, imm: 7 });
          p.to("beq", "down", { rs1: t0, rs2: zero });
          p.op("csrrs", { rd: t1, csr: 0x142, rs1: 0 });
          p.op("add", { rd: a3, rs1: a3, rs2: t1 });
          p.li(t2, 0x100);
          p.op("csrrc", { rs1: t2, csr: 0x100 });
          p.la(t1, user);
          p.op("csrrw", { rs1: t1, csr: 0x141 });
          p.op("sret");
          p.label("down");
          p.op("ecall");
        }, supervisor)(m);
        program((p) => {
          p.op("addi", { rd: a2, rs1: a2, imm: 5 });
          p.op("xor", { rd: a4, rs1: a4, rs2: a2 });
          p.op("ecall");
        }, user)(m);
        m.hart.writeCsr(0x302, 1n << 8n);
        m.hart.writeCsr(0x105, BigInt(supervisor));
        m.hart.writeCsr(0x305, BigInt(ramBase));
      },
    });
    expect(figures.regionInstructions).toBeGreaterThan(5000);
  });
});

describe("floating point in loops", () => {
  test.each([0, 1, 2, 3, 4])(
    "with the rounding mode changed all the time, from %i, and flags read and cleared",
    (first) => {
      const { figures } = sameInBothTiers({
        instructions: 60_000,
        prepare: program((p) => {
          p.li(t0, 0x6000);
          p.setCsrBits("mstatus", t0);
          p.op("csrrwi", { rs1: first, csr: 2 });
          p.li(t1, 7);
          p.op("fcvt.d.l", { rd: 1, rs1: t1, rm: 7 });
          p.op("fcvt.s.l", { rd: 8, rs1: t1, rm: 7 });
          p.label("loop");
          p.op("addi", { rd: a0, rs1: a0, imm: 1 });
          p.op("fcvt.d.l", { rd: 2, rs1: a0, rm: 7 });
          p.op("fdiv.d", { rd: 3, rs1: 2, rs2: 1, rm: 7 });
          p.op("fsub.d", { rd: 4, rs1: 4, rs2: 3, rm: 7 });
          p.op("fmadd.d", { rd: 5, rs1: 3, rs2: 4, rs3: 5, rm: 7 });
          p.op("fnmsub.d", { rd: 6, rs1: 3, rs2: 1, rs3: 6, rm: 2 });
          p.op("fsqrt.d", { rd: 7, rs1: 4, rm: 7 });
          p.op("fcvt.s.d", { rd: 9, rs1: 3, rm: 7 });
          p.op("fmul.s", { rd: 10, rs1: 9, rs2: 8, rm: 7 });
          p.op("fadd.s", { rd: 11, rs1: 11, rs2: 10, rm: 4 });
          p.op("fcvt.w.s", { rd: a1, rs1: 10, rm: 7 });
          p.op("fmin.d", { rd: 12, rs1: 7, rs2: 3 });
          p.op("fsgnjx.d", { rd: 13, rs1: 12, rs2: 4 });
          p.op("feq.d", { rd: a2, rs1: 7, rs2: 7 });
          p.op("add", { rd: a3, rs1: a3, rs2: a2 });
          p.op("csrrs", { rd: t2, csr: 1, rs1: 0 });
          p.op("add", { rd: a4, rs1: a4, rs2: t2 });
          p.op("andi", { rd: t2, rs1: a0, imm: 15 });
          p.to("bne", "loop", { rs1: t2, rs2: zero });
          // The next of the five modes, now and then one that is none; then the flags are gone.
          p.op("csrrs", { rd: t3, csr: 2, rs1: 0 });
          p.op("addi", { rd: t3, rs1: t3, imm: 1 });
          p.op("addi", { rd: t4, rs1: t3, imm: -5 });
          p.to("bne", "set", { rs1: t4, rs2: zero });
          p.li(t3, 0);
          p.label("set");
          p.op("csrrw", { rs1: t3, csr: 2 });
          p.op("csrrwi", { rs1: 0, csr: 1 });
          p.jump("loop");
        }),
      });
      expect(figures.regionInstructions).toBeGreaterThan(3000);
    },
  );
});

describe("triggers and watches on compiled code", () => {
  /** A hot loop; every 128th round writes a trigger's address and turns it on or off. */
  test.each([
    ["execution", 4n, (p: Assembler) => p.labelAddress(t5, "watched")],
    ["loads", 1n, (p: Assembler) => p.la(t5, ramBase + 0x1008)],
    ["stores", 2n, (p: Assembler) => p.la(t5, ramBase + 0x1010)],
  ])("the guest arms one for %s, and takes it away", (_what, kind, address) => {
    const { figures, m } = sameInBothTiers({
      prepare: (machine) => {
        withHandler(machine, { isSkipped: true });
        program((p) => {
          p.la(s0, ramBase + 0x1000);
          address(p);
          p.writeCsr(0x7a2, t5);
          p.li(t6, (2n << 60n) | 0x40n | kind);
          p.li(s3, 0);
          p.label("loop");
          p.op("ld", { rd: t0, rs1: s0, imm: 8 });
          p.op("addi", { rd: t0, rs1: t0, imm: 1 });
          p.label("watched");
          p.op("sd", { rs1: s0, rs2: t0, imm: 16 });
          p.op("add", { rd: a1, rs1: a1, rs2: t0 });
          p.op("addi", { rd: a2, rs1: a2, imm: 1 });
          p.op("andi", { rd: t1, rs1: a2, imm: 127 });
          p.to("bne", "loop", { rs1: t1, rs2: zero });
          p.op("xor", { rd: s3, rs1: s3, rs2: t6 });
          p.writeCsr(0x7a1, s3);
          p.jump("loop");
        })(machine);
      },
    });
    expect(figures.regionInstructions).toBeGreaterThan(3000);
    expect(m.hart.readCsr(0x342)).toBe(3n);
  });

  test("a debugger's watch stops at the instruction, and its removal lets the loop run", () => {
    const watch: Watch = { kind: "execute", address: BigInt(ramBase + 8), lengthBytes: 4 };
    const exits: string[] = [];
    const { figures } = sameInBothTiers({
      prepare: (m) => {
        program((p) => {
          p.label("loop");
          p.op("addi", { rd: a0, rs1: a0, imm: 1 });
          p.op("addi", { rd: a1, rs1: a1, imm: 3 });
          p.op("xor", { rd: a2, rs1: a1, rs2: a0 });
          p.jump("loop");
        })(m);
      },
      between: (m, slice) => {
        if (slice % 8 === 3) m.hart.watch(watch);
        if (slice % 8 === 7) m.hart.unwatch(watch);
        exits.push(`${m.hart.pc}`);
      },
    });
    expect(exits.filter((pc) => pc === String(ramBase + 8)).length).toBeGreaterThan(20);
    expect(figures.regionInstructions).toBeGreaterThan(1000);
  });
});
