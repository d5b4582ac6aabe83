import { describe, expect, test } from "vitest";
import { assemble as a } from "./testing/assemble.ts";
import { bareMachine, ramBase, type BareMachine } from "./testing/bare-machine.ts";
import { HartIrq } from "./port.ts";

const spin = a("jal", { rd: 0, imm: 0 });
const mcause = 0x342;
const scause = 0x142;

/** M-mode handler at ramBase + 0x100, S-mode handler at ramBase + 0x200, memory open to all modes. */
function machine(code: readonly number[]): BareMachine {
  const m = bareMachine();
  m.load(ramBase, code);
  m.load(ramBase + 0x100, [spin]);
  m.load(ramBase + 0x200, [spin]);
  m.hart.writeCsr(0x305, BigInt(ramBase + 0x100));
  m.hart.writeCsr(0x105, BigInt(ramBase + 0x200));
  m.hart.writeCsr(0x3b0, (1n << 54n) - 1n);
  m.hart.writeCsr(0x3a0, 0x1fn);
  return m;
}

describe("traps", () => {
  test("a delegated exception goes to S-mode and sret comes back", () => {
    const m = machine([a("ecall"), a("addi", { rd: 5, imm: 1 }), spin]);
    m.load(ramBase + 0x200, [
      a("csrrs", { rd: 6, csr: 0x141 }),
      a("addi", { rd: 6, rs1: 6, imm: 4 }),
      a("csrrw", { csr: 0x141, rs1: 6 }),
      a("sret"),
    ]);
    m.hart.writeCsr(0x302, 0x100n);
    m.hart.mode = "U";
    m.hart.run(7);
    expect(m.hart.readCsr(scause)).toBe(8n);
    expect(m.hart.x(5)).toBe(1n);
    expect(m.hart.mode).toBe("U");
  });

  test("an illegal instruction reports its bits", () => {
    const m = machine([0xffff_ffff | 0]);
    m.hart.run(2);
    expect([m.hart.readCsr(mcause), m.hart.readCsr(0x343)]).toEqual([2n, 0xffff_ffffn]);
  });

  test("a line that a device drives stays up through a reset", () => {
    const m = machine([spin]);
    m.hart.setIrq(HartIrq.meip, true);
    m.hart.reset();
    expect(m.hart.readCsr(0x344)).toBe(1n << 11n);
    m.hart.setIrq(HartIrq.meip, false);
    expect(m.hart.readCsr(0x344)).toBe(0n);
  });

  test("a CSR that does not exist, or is not for this mode, is illegal", () => {
    const m = machine([a("csrrs", { rd: 5, csr: 0x800 })]);
    m.hart.run(2);
    expect(m.hart.readCsr(mcause)).toBe(2n);
    const s = machine([a("csrrs", { rd: 5, csr: 0x300 })]);
    s.hart.mode = "S";
    s.hart.run(2);
    expect(s.hart.readCsr(mcause)).toBe(2n);
  });

  test("vectored interrupts enter at four bytes per cause", () => {
    const m = machine([spin]);
    m.load(ramBase + 0x100 + 4 * 7, [spin]);
    m.hart.writeCsr(0x305, BigInt(ramBase + 0x100) | 1n);
    m.hart.writeCsr(0x304, 0x80n);
    m.hart.writeCsr(0x300, 8n);
    m.hart.run(3);
    m.hart.setIrq(HartIrq.mtip, true);
    m.hart.run(3);
    expect(m.hart.pc).toBe(BigInt(ramBase + 0x100 + 28));
    expect(m.hart.readCsr(mcause)).toBe((1n << 63n) | 7n);
  });

  test("an interrupt enabled by a CSR write is taken before the next instruction", () => {
    const m = machine([a("csrrsi", { csr: 0x300, rs1: 8 }), a("addi", { rd: 5, imm: 1 }), spin]);
    m.hart.writeCsr(0x304, 0x8n);
    m.hart.setIrq(HartIrq.msip, true);
    m.hart.run(4);
    expect(m.hart.x(5)).toBe(0n);
    expect(m.hart.readCsr(0x341)).toBe(BigInt(ramBase + 4));
  });

  test("wfi waits until an enabled interrupt is pending, whatever the global enable", () => {
    const m = machine([a("wfi"), a("addi", { rd: 5, imm: 1 }), spin]);
    m.hart.writeCsr(0x304, 0x800n);
    expect(m.hart.run(100)).toBe("wait");
    expect(m.hart.runnable).toBe(false);
    m.hart.setIrq(HartIrq.meip, true);
    expect(m.hart.runnable).toBe(true);
    m.hart.run(2);
    expect(m.hart.x(5)).toBe(1n);
  });

  test("the supervisor timer raises STIP when time reaches stimecmp", () => {
    const m = machine([spin]);
    m.hart.writeCsr(0x30a, 1n << 63n);
    m.hart.writeCsr(0x14d, 50n);
    m.advance(49);
    expect(m.hart.readCsr(0x344)).toBe(0n);
    m.advance(1);
    expect(m.hart.readCsr(0x344)).toBe(0x20n);
    m.hart.writeCsr(0x14d, 100n);
    expect(m.hart.readCsr(0x344)).toBe(0n);
  });

  test("the supervisor timer follows a time that is set", () => {
    const m = machine([spin]);
    m.hart.writeCsr(0x30a, 1n << 63n);
    m.hart.writeCsr(0x14d, 1000n);
    m.setTime(990);
    m.advance(9);
    expect(m.hart.readCsr(0x344)).toBe(0n);
    m.advance(1);
    expect(m.hart.readCsr(0x344)).toBe(0x20n);
    m.setTime(0);
    expect(m.hart.readCsr(0x344)).toBe(0n);
  });

  test("MPP takes no reserved mode", () => {
    const m = machine([spin]);
    m.hart.writeCsr(0x300, 0x1800n);
    m.hart.writeCsr(0x300, 0x1000n);
    expect(m.hart.readCsr(0x300)! & 0x1800n).toBe(0x1800n);
  });
});

test("state saved in one hart continues in another", () => {
  const program = [a("addi", { rd: 5, rs1: 5, imm: 1 }), a("jal", { rd: 0, imm: -4 })];
  const first = machine(program);
  first.hart.run(101);
  const second = machine(program);
  second.hart.loadState(first.hart.saveState());
  expect(second.hart.x(5)).toBe(first.hart.x(5));
  second.hart.run(100);
  expect(second.hart.x(5)).toBe(first.hart.x(5) + 50n);
  expect(second.hart.executed).toBe(201);
});

test("a trap handler that cannot be fetched uses up the budget instead of hanging", () => {
  const m = machine([]);
  m.hart.writeCsr(0x305, 0n);
  m.hart.pc = 0n;
  expect(m.hart.run(1000)).toBe("budget");
  expect(m.hart.readCsr(mcause)).toBe(1n);
});

test("a fault in the second half of an instruction uses up the budget when its handler is that instruction", () => {
  const m = bareMachine({ ramBytes: 0x1_0000 });
  const last = ramBase + 0xfffe;
  m.loadBytes(last, Uint8Array.of(0x13, 0));
  m.hart.writeCsr(0x305, BigInt(last - 2));
  m.loadBytes(last - 2, Uint8Array.of(0x01, 0));
  m.hart.pc = BigInt(last);
  expect(m.hart.run(1000)).toBe("budget");
  expect(m.hart.readCsr(0x343)).toBe(BigInt(ramBase + 0x1_0000));
});

describe("modes that a hart does not have", () => {
  const illegal = (features: Record<string, boolean>, word: number): boolean => {
    const m = bareMachine({ features });
    m.load(ramBase, [word]);
    m.hart.run(1);
    return m.hart.readCsr(mcause) === 2n;
  };
  const status = (features: Record<string, boolean>): bigint => {
    const m = bareMachine({ features });
    m.load(ramBase, [
      a("addi", { rd: 5, imm: -1 }),
      a("csrrw", { csr: 0x300, rs1: 5 }),
      a("csrrs", { rd: 6, csr: 0x300 }),
    ]);
    m.hart.run(3);
    return m.hart.x(6);
  };

  test("have no registers and no instructions", () => {
    const noSupervisor = { s: false };
    const sret = a("sret");
    expect(
      [sret, a("sfence.vma"), a("csrrs", { csr: 0x302 }), a("csrrs", { csr: 0x303 })].map((w) =>
        illegal(noSupervisor, w),
      ),
    ).toEqual([true, true, true, true]);
    expect([sret, a("sfence.vma"), a("csrrs", { csr: 0x302 })].map((w) => illegal({}, w))).toEqual([
      false,
      false,
      false,
    ]);
    expect(illegal({ s: false, u: false }, a("csrrs", { csr: 0x306 }))).toBe(true);
  });

  test("have no fields in mstatus", () => {
    expect(status({})).toBe(0x8000_000a_007e_79aan);
    expect(status({ s: false })).toBe(0x8000_0002_0022_7888n);
    expect(status({ s: false, u: false })).toBe(0x8000_0000_0000_7888n);
  });

  test("are not returned to", () => {
    const m = bareMachine({ features: { s: false, u: false } });
    m.load(ramBase, [a("auipc", { rd: 5 }), a("csrrw", { csr: 0x341, rs1: 5 }), a("mret")]);
    m.hart.run(3);
    expect(m.hart.mode).toBe("M");
    expect(m.hart.readCsr(0x300)! & 0x1800n).toBe(0x1800n);
  });
});
