import { describe, expect, test } from "vitest";
import { mmioRegion } from "../../../memory/index.ts";
import { assemble as a } from "../testing/assemble.ts";
import { reg } from "../testing/assembler.ts";
import { bareMachine, ramBase, type BareMachine } from "../testing/bare-machine.ts";
import { program, sameInBothTiers } from "../testing/both-tiers.ts";

const { zero, t0, s0, a0, a1, a2 } = reg;
const sstatus = 0x100;
const handlerAt = ramBase + 0x1000;
const spin = a("jal", { rd: 0, imm: 0 });

/** All memory for all modes, a supervisor's handler that does not come back, everything delegated. */
function supervisor(
  code: readonly number[],
  { status, mode = "S", features = {} }: { status: bigint; mode?: "U" | "S" | "M"; features?: Record<string, boolean> },
): BareMachine {
  const m = bareMachine({ features });
  m.load(ramBase, [...code, spin]);
  m.load(handlerAt, [spin]);
  m.hart.writeCsr(0x305, BigInt(handlerAt));
  m.hart.writeCsr(0x105, BigInt(handlerAt));
  m.hart.writeCsr(0x3b0, (1n << 54n) - 1n);
  m.hart.writeCsr(0x3a0, 0x1fn);
  m.hart.writeCsr(0x303, 0x222n);
  m.hart.writeCsr(0x300, status);
  m.hart.mode = mode;
  return m;
}

const clear = a("csrrci", { rd: 5, rs1: 2, csr: sstatus });
const set = a("csrrsi", { rd: 5, rs1: 2, csr: sstatus });
const restore = a("csrrs", { rd: 5, rs1: 6, csr: sstatus });

describe("switching sstatus.SIE", () => {
  // FS Dirty shows as SD, UXL is 64 bits, MPP, MPIE and TW are machine mode's alone.
  test.each([
    ["csrrci", clear, 0x2n, 0x8000_0002_0000_0002n | 0x6000n, 0n],
    ["csrrci of a clear bit", clear, 0x0n, 0x8000_0002_0000_0000n | 0x6000n, 0n],
    ["csrrsi", set, 0x0n, 0x8000_0002_0000_0000n | 0x6000n, 2n],
    ["csrrs of nothing", restore, 0x2n, 0x8000_0002_0000_0002n | 0x6000n, 2n],
  ])("%s reads all of it and changes one bit", (_name, word, sie, read, after) => {
    for (const mode of ["S", "M"] as const) {
      const m = supervisor([word], { status: 0x20_7880n | sie, mode });
      m.hart.run(1);
      expect(m.hart.x(5)).toBe(read);
      expect(m.hart.readCsr(0x300)! & 0xffff_ffffn).toBe(0x20_7880n | after);
      expect(m.hart.mode).toBe(mode);
    }
  });

  test("csrrs sets other bits too, and those of its destination", () => {
    const m = supervisor([a("csrrs", { rd: 6, rs1: 6, csr: sstatus })], { status: 0x2n });
    m.hart.setX(6, 0x4_0000n);
    m.hart.run(1);
    expect(m.hart.x(6)).toBe(0x2_0000_0002n);
    expect(m.hart.readCsr(sstatus)).toBe(0x2_0004_0002n);
  });

  test("is illegal in user mode", () => {
    for (const word of [clear, set, restore]) {
      const m = supervisor([word], { status: 0n, mode: "U" });
      m.hart.run(2);
      expect([m.hart.readCsr(0x342), m.hart.readCsr(0x343)]).toEqual([2n, BigInt(word >>> 0)]);
    }
  });

  test("what is pending is taken right behind the instruction that opens the gate", () => {
    for (const word of [set, restore]) {
      const m = supervisor([word, a("addi", { rd: 7, rs1: 7, imm: 1 })], { status: 0n });
      m.hart.setX(6, 2n);
      m.hart.writeCsr(0x304, 0x2n);
      m.hart.writeCsr(0x344, 0x2n);
      m.hart.run(20);
      expect([m.hart.readCsr(0x142), m.hart.readCsr(0x141)]).toEqual([(1n << 63n) | 1n, BigInt(ramBase + 4)]);
      expect(m.hart.x(7)).toBe(0n);
    }
  });

  test("a line that rises inside a compiled critical section interrupts at its end", () => {
    const device = 0x1000_0000;
    const { figures, m } = sameInBothTiers({
      prepare: (machine) => {
        const write = (_offset: number, _width: number, value: number): void => machine.hart.setIrq(9, value !== 0);
        machine.root.add(mmioRegion("line", 4096, { read: () => 0, write }), device);
        program((p) => {
          p.li(s0, device);
          p.label("loop");
          p.op("csrrci", { rd: t0, rs1: 2, csr: sstatus });
          p.op("addi", { rd: a0, rs1: a0, imm: 1 });
          p.op("andi", { rd: a1, rs1: a0, imm: 7 });
          p.to("bne", "quiet", { rs1: a1, rs2: zero });
          p.op("sw", { rs1: s0, rs2: s0 });
          p.label("quiet");
          p.op("addi", { rd: a2, rs1: a2, imm: 1 });
          p.op("csrrs", { rs1: t0, csr: sstatus });
          p.jump("loop");
        })(machine);
        program((p) => {
          // Counts, and keeps the difference of what the loop counts before and behind the device.
          p.op("sw", { rs1: s0, rs2: zero });
          p.op("addi", { rd: reg.s1, rs1: reg.s1, imm: 1 });
          p.op("sub", { rd: reg.s2, rs1: a0, rs2: a2 });
          p.op("or", { rd: reg.s3, rs1: reg.s3, rs2: reg.s2 });
          p.op("sret");
        }, handlerAt)(machine);
        machine.hart.writeCsr(0x105, BigInt(handlerAt));
        machine.hart.writeCsr(0x3b0, (1n << 54n) - 1n);
        machine.hart.writeCsr(0x3a0, 0x1fn);
        machine.hart.writeCsr(0x303, 0x200n);
        machine.hart.writeCsr(0x304, 0x200n);
        machine.hart.writeCsr(0x300, 0x2n);
        machine.hart.mode = "S";
      },
    });
    expect(figures.regionInstructions).toBeGreaterThan(20_000);
    expect(m.hart.x(reg.s1)).toBe(m.hart.x(a0) / 8n);
    expect(m.hart.x(reg.s3)).toBe(0n);
  });

  test("an interrupt that only mvien gives the supervisor is taken too", () => {
    for (const word of [set, restore]) {
      const m = supervisor([word], { status: 0n, features: { smaia: true, ssaia: true } });
      m.hart.setX(6, 2n);
      m.hart.mode = "M";
      m.hart.writeCsr(0x308, 1n << 20n);
      m.hart.writeCsr(0x309, 1n << 20n);
      m.hart.writeCsr(0x104, 1n << 20n);
      m.hart.mode = "S";
      m.hart.run(20);
      expect([m.hart.readCsr(0x142), m.hart.readCsr(0x141)]).toEqual([(1n << 63n) | 20n, BigInt(ramBase + 4)]);
    }
  });
});
