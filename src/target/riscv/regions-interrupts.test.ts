// Interrupts that come into compiled loops of every kind.
import { describe, expect, test } from "vitest";
import { mmioRegion } from "../../memory/index.ts";
import { reg, type Assembler } from "./testing/assembler.ts";
import { ramBase } from "./testing/bare-machine.ts";
import { program, sameInBothTiers } from "./testing/both-tiers.ts";
import { digest, withHandler } from "./testing/mixing-handler.ts";

const { zero, ra, t0, t1, t2, s0, s1, a0, a1, a2 } = reg;

/** Kinds of loops that an interrupt may come into. */
const loops: readonly (readonly [string, (p: Assembler) => void])[] = [
  ["a jump to itself", (p) => (p.label("loop"), p.jump("loop"))],
  [
    "a loop of one branch",
    (p) => {
      p.label("loop");
      p.op("addi", { rd: a0, rs1: a0, imm: 1 });
      p.to("bne", "loop", { rs1: a0, rs2: zero });
      p.jump("loop");
    },
  ],
  [
    "calls and returns",
    (p) => {
      p.la(s0, ramBase + 0x1000);
      p.label("loop");
      p.to("jal", "f", { rd: ra });
      p.op("addi", { rd: a1, rs1: a1, imm: 1 });
      p.jump("loop");
      p.label("f");
      p.op("sd", { rs1: s0, rs2: ra });
      p.to("jal", "g", { rd: ra });
      p.op("ld", { rd: ra, rs1: s0 });
      p.op("jalr", { rs1: ra });
      p.label("g");
      p.op("addi", { rd: a0, rs1: a0, imm: 3 });
      p.op("jalr", { rs1: ra });
    },
  ],
  [
    "loads and stores",
    (p) => {
      p.la(s0, ramBase + 0x1000);
      p.label("loop");
      p.op("ld", { rd: t0, rs1: s0 });
      p.op("addi", { rd: t0, rs1: t0, imm: 1 });
      p.op("sd", { rs1: s0, rs2: t0 });
      p.op("lw", { rd: t1, rs1: s0, imm: 3 });
      p.jump("loop");
    },
  ],
  [
    "floating point",
    (p) => {
      p.li(t0, 0x6000);
      p.setCsrBits("mstatus", t0);
      p.op("addi", { rd: t1, rs1: zero, imm: 3 });
      p.op("fcvt.d.l", { rd: 1, rs1: t1, rm: 7 });
      p.label("loop");
      p.op("fdiv.d", { rd: 2, rs1: 2, rs2: 1, rm: 7 });
      p.op("fadd.d", { rd: 2, rs1: 2, rs2: 1, rm: 7 });
      p.op("fmadd.d", { rd: 3, rs1: 2, rs2: 1, rs3: 3, rm: 7 });
      p.jump("loop");
    },
  ],
  [
    "a loop that is entered in two places",
    (p) => {
      p.label("loop");
      p.op("addi", { rd: a0, rs1: a0, imm: 1 });
      p.op("andi", { rd: t0, rs1: a0, imm: 1 });
      p.to("beq", "b", { rs1: t0, rs2: zero });
      p.label("a");
      p.op("addi", { rd: a1, rs1: a1, imm: 1 });
      p.op("andi", { rd: t1, rs1: a1, imm: 7 });
      p.to("beq", "loop", { rs1: t1, rs2: zero });
      p.label("b");
      p.op("addi", { rd: a2, rs1: a2, imm: 1 });
      p.op("andi", { rd: t2, rs1: a2, imm: 3 });
      p.to("bne", "a", { rs1: t2, rs2: zero });
      p.jump("loop");
    },
  ],
  [
    "wfi",
    (p) => {
      p.label("loop");
      p.op("addi", { rd: a0, rs1: a0, imm: 1 });
      p.op("wfi");
      p.op("addi", { rd: a1, rs1: a1, imm: 1 });
      p.jump("loop");
    },
  ],
];

describe("interrupts of the timer", () => {
  test.each(loops)("in %s come at the same instruction", (_kind, loop) => {
    const { m } = sameInBothTiers({
      prepare: (machine) => {
        // The timer's next time is 3 ticks later.
        const more = (p: Assembler): void => {
          p.readCsr(t1, "time");
          p.op("addi", { rd: t1, rs1: t1, imm: 3 });
          p.writeCsr("stimecmp", t1);
        };
        withHandler(machine, { isSkipped: false, more });
        program((p) => {
          p.li(t0, 1n << 63n);
          p.setCsrBits("menvcfg", t0);
          p.writeCsr("stimecmp", zero);
          p.li(t0, 1 << 5);
          p.setCsrBits("mie", t0);
          p.op("csrrsi", { rs1: 8, csr: 0x300 });
          loop(p);
        })(machine);
      },
      between: (machine, slice) => machine.advance(1 + (slice % 2)),
    });
    expect(m.hart.readCsr(0x342)).toBe((1n << 63n) | 5n);
    expect(digest(m)).not.toBe(0n);
  });

  test("that a store to a device in a region raises is taken right behind it", () => {
    const device = 0x1000_0000;
    const { figures, m } = sameInBothTiers({
      prepare: (machine) => {
        const write = (_offset: number, _width: number, value: number): void =>
          machine.hart.setIrq(11, (value & 1) !== 0);
        machine.root.add(mmioRegion("line", 4096, { read: () => 0, write }), device);
        withHandler(machine, { isSkipped: false, more: (p) => (p.li(t1, device), p.op("sw", { rs1: t1, rs2: zero })) });
        program((p) => {
          p.li(t0, 1 << 11);
          p.setCsrBits("mie", t0);
          p.op("csrrsi", { rs1: 8, csr: 0x300 });
          p.li(s0, device);
          p.li(s1, 1);
          p.label("loop");
          p.op("addi", { rd: a0, rs1: a0, imm: 1 });
          p.op("andi", { rd: t0, rs1: a0, imm: 15 });
          p.to("bne", "on", { rs1: t0, rs2: zero });
          p.op("sw", { rs1: s0, rs2: s1 });
          p.label("on");
          p.op("addi", { rd: a1, rs1: a1, imm: 1 });
          p.jump("loop");
        })(machine);
      },
    });
    expect(figures.regionInstructions).toBeGreaterThan(3000);
    expect(m.hart.readCsr(0x342)).toBe((1n << 63n) | 11n);
  });
});
