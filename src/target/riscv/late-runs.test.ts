// Runs that take too long of their clock's time, because what they do is done outside of generated code.
import { expect, test } from "vitest";
import { mmioRegion } from "../../memory/index.ts";
import { reg, type Assembler } from "./testing/assembler.ts";
import { bareMachine, ramBase, type BareMachine } from "./testing/bare-machine.ts";
import { program } from "./testing/both-tiers.ts";

const { zero, t0, t1, t2, t3, t4, s0, a0, a1, a2, a3 } = reg;
const device = 0x1000_0000;

/** Everything that is slow, in one loop: devices, CSRs, exact floating point, atomics on a page of code, fences, traps. */
function slowLoop(p: Assembler): void {
  p.labelAddress(t0, "handler");
  p.writeCsr("mtvec", t0);
  p.li(t0, 0x6000);
  p.setCsrBits("mstatus", t0);
  p.li(s0, device);
  p.labelAddress(t3, "cell");
  p.label("loop");
  p.op("addi", { rd: a0, rs1: a0, imm: 1 });
  p.op("lw", { rd: t0, rs1: s0 });
  p.op("add", { rd: a1, rs1: a1, rs2: t0 });
  p.op("sw", { rs1: s0, rs2: a0, imm: 4 });
  p.op("csrrw", { rd: t1, rs1: a0, csr: 0x340 });
  // As many as make the slow things of a round share no factor with how often the clock is looked at.
  for (let i = 0; i < 4; i++) p.op("csrrs", { rd: t1, rs1: zero, csr: 0x340 });
  p.op("fcvt.d.l", { rd: 1, rs1: a0, rm: 1 });
  p.op("fdiv.d", { rd: 2, rs1: 1, rs2: 2, rm: 1 });
  p.op("amoadd.w", { rd: t2, rs1: t3, rs2: a0 });
  p.op("sd", { rs1: t3, rs2: t2, imm: 8 });
  p.op("sfence.vma");
  p.op("ecall");
  p.op("addi", { rd: a2, rs1: a2, imm: 1 });
  p.jump("loop");
  p.label("handler");
  p.op("addi", { rd: a3, rs1: a3, imm: 1 });
  p.readCsr(t4, "mepc");
  p.op("addi", { rd: t4, rs1: t4, imm: 4 });
  p.writeCsr("mepc", t4);
  p.op("mret");
  p.label("cell");
  p.word(0, 0, 0, 0);
}

/** Each access to the device takes so many ticks of 100 ns. */
function machine(tier: "jit" | "interpreter", ticks: number): BareMachine {
  const m = bareMachine({ accelerator: { tier, cacheBytes: 16 << 20, eager: true } });
  const wait = (): number => {
    if (ticks > 0) m.advance(ticks);
    return 7;
  };
  m.root.add(mmioRegion("clockwork", 4096, { read: wait, write: () => void wait() }), device);
  program(slowLoop)(m);
  return m;
}

test.each(["jit", "interpreter"] as const)("%s: are cut short everywhere, with an exact state", (tier) => {
  const late = machine(tier, 1500);
  const patient = machine("interpreter", 0);
  const places = new Set<bigint>();
  for (let i = 0; i < 150; i++) {
    const before = late.hart.executed;
    expect(late.hart.run(1_000_000)).toBe("kicked");
    const executed = late.hart.executed - before;
    // 2 ms are 14 accesses, and the clock is looked at every 64 times that anything is slow.
    expect(executed).toBeLessThan(1000);
    expect(patient.hart.run(executed)).toBe("budget");
    const { pc } = late.hart;
    places.add(pc);
    expect(late.hart.saveState()).toEqual(patient.hart.saveState());
  }
  expect(places.size).toBeGreaterThan(6);
  expect(late.hart.x(zero)).toBe(0n);
  expect(late.hart.pc).toBeGreaterThan(BigInt(ramBase));
});

test("are not cut short while their clock says that they are quick", () => {
  const quick = machine("jit", 0);
  expect(quick.hart.run(100_000)).toBe("budget");
  expect(quick.hart.executed).toBe(100_000);
});
