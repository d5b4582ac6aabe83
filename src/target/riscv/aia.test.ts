import { describe, expect, test } from "vitest";
import { HartIrq, type ExternalInterruptPort } from "./port.ts";
import { assemble as a } from "./testing/assemble.ts";
import { bareMachine, ramBase, type BareMachine } from "./testing/bare-machine.ts";

const SIE = 0x104;
const SIP = 0x144;
const SISELECT = 0x150;
const SIREG = 0x151;
const STOPEI = 0x15c;
const STOPI = 0xdb0;
const MIDELEG = 0x303;
const MIE = 0x304;
const MVIEN = 0x308;
const MVIP = 0x309;
const MIP = 0x344;
const MISELECT = 0x350;
const MIREG = 0x351;
const MTOPEI = 0x35c;
const MCAUSE = 0x342;
const SCAUSE = 0x142;
const MTOPI = 0xfb0;
const SSTATUS_SIE = 2n;
const INTERRUPT = 1n << 63n;
const spin = a("jal", { rd: 0, imm: 0 });

/** An interrupt file whose registers hold what is written; odd halves of arrays are missing. */
class TestFile {
  top = 0;
  claims = 0;
  readonly registers: Map<number, bigint> = new Map();

  claim(): void {
    this.claims++;
    this.top = 0;
  }

  readRegister(select: number): bigint | undefined {
    return select >= 0x80 && select % 2 !== 0 ? undefined : (this.registers.get(select) ?? 0n);
  }

  writeRegister(select: number, value: bigint): void {
    this.registers.set(select, value);
  }
}

function controller(file: TestFile): ExternalInterruptPort {
  return { priority: () => file.top, priorityMask: 0xff, file };
}

/** A hart with IMSICs; handlers that spin at ramBase + 0x100 (M) and + 0x200 (S); memory is open to all modes. */
function aiaMachine(code: readonly number[] = [spin]): BareMachine & { m: TestFile; s: TestFile } {
  const m = new TestFile();
  const s = new TestFile();
  const machine = bareMachine({
    features: { smaia: true, ssaia: true },
    external: { machine: controller(m), supervisor: controller(s) },
  });
  machine.load(ramBase, code);
  machine.load(ramBase + 0x100, [spin]);
  machine.load(ramBase + 0x200, [spin]);
  machine.hart.writeCsr(0x305, BigInt(ramBase + 0x100));
  machine.hart.writeCsr(0x105, BigInt(ramBase + 0x200));
  machine.hart.writeCsr(0x3b0, (1n << 54n) - 1n);
  machine.hart.writeCsr(0x3a0, 0x1fn);
  return { ...machine, m, s };
}

/** Runs one instruction in `mode`; true when it was illegal. */
function isIllegal(machine: BareMachine, mode: "M" | "S" | "U", instruction: number): boolean {
  machine.load(ramBase, [instruction, spin]);
  machine.hart.pc = BigInt(ramBase);
  machine.hart.mode = mode;
  machine.hart.writeCsr(MCAUSE, 0xffn);
  machine.hart.run(1);
  return machine.hart.readCsr(MCAUSE) === 2n;
}

const reads = (csr: number): number => a("csrrs", { rd: 5, csr });

describe("which registers there are", () => {
  test("without Smaia and Ssaia none of them", () => {
    const plain = bareMachine();
    const numbers = [SISELECT, SIREG, STOPEI, STOPI, MVIEN, MVIP, MISELECT, MIREG, MTOPEI, MTOPI];
    expect(numbers.filter((csr) => !isIllegal(plain, "M", reads(csr)))).toEqual([]);
  });

  test("with Smaia and no supervisor mode, nothing is virtual", () => {
    const machine = bareMachine({ model: "rv64i", features: { zicsr: true, smaia: true } });
    const numbers = [MISELECT, MTOPI, MVIEN, MVIP, SISELECT, STOPI];
    expect(numbers.map((csr) => isIllegal(machine, "M", reads(csr)))).toEqual([false, false, true, true, true, true]);
  });

  test("without an IMSIC there is no interrupt file", () => {
    const machine = bareMachine({ features: { smaia: true, ssaia: true } });
    machine.hart.writeCsr(MISELECT, 0x70n);
    expect([MTOPEI, STOPEI, MIREG].map((csr) => isIllegal(machine, "M", reads(csr)))).toEqual([true, true, true]);
  });

  test("mtopi and stopi are read-only", () => {
    expect(isIllegal(aiaMachine(), "M", a("csrrw", { csr: MTOPI, rs1: 5 }))).toBe(true);
    expect(isIllegal(aiaMachine(), "S", a("csrrw", { csr: STOPI, rs1: 5 }))).toBe(true);
  });
});

describe("indirect registers", () => {
  test.each([
    [0x00, true],
    [0x2f, true],
    [0x30, false],
    [0x31, true],
    [0x3e, false],
    [0x40, true],
    [0x6f, true],
    [0x70, false],
    [0x71, false],
    [0x80, false],
    [0x81, true],
    [0xfe, false],
    [0xff, true],
    [0x100, true],
  ])("number 0x%s is illegal at both levels: %s", (select, illegal) => {
    const machine = aiaMachine();
    machine.hart.writeCsr(MISELECT, BigInt(select));
    machine.hart.writeCsr(SISELECT, BigInt(select));
    expect(isIllegal(machine, "M", reads(MIREG))).toBe(illegal);
    expect(isIllegal(machine, "S", reads(SIREG))).toBe(illegal);
  });

  test("select has nine bits", () => {
    const { hart } = aiaMachine();
    hart.writeCsr(MISELECT, 0xffff_ffff_ffff_ffffn);
    expect(hart.readCsr(MISELECT)).toBe(0x1ffn);
  });

  test("each level reaches its own interrupt file", () => {
    const { hart, m, s } = aiaMachine();
    hart.writeCsr(MISELECT, 0x80n);
    hart.writeCsr(MIREG, 5n);
    hart.writeCsr(SISELECT, 0xc0n);
    hart.writeCsr(SIREG, 6n);
    expect([...m.registers]).toEqual([[0x80, 5n]]);
    expect([...s.registers]).toEqual([[0xc0, 6n]]);
  });

  test("priorities can be set where an interrupt can be taken, but for the external one", () => {
    const { hart } = aiaMachine();
    const all = 0xffff_ffff_ffff_ffffn;
    const written = (select: number, register: number, number: number): bigint => {
      hart.writeCsr(select, BigInt(number));
      hart.writeCsr(register, all);
      return hart.readCsr(register)!;
    };
    expect(written(MISELECT, MIREG, 0x30)).toBe(0xff00_ff00_ff00_ff00n);
    expect(written(MISELECT, MIREG, 0x32)).toBe(0x0000_0000_0000_ff00n);
    expect(written(MISELECT, MIREG, 0x34)).toBe(0n);
    expect(written(SISELECT, SIREG, 0x30)).toBe(0x0000_ff00_0000_ff00n);
    expect(written(SISELECT, SIREG, 0x32)).toBe(0xffff_ff00_0000_0000n);
    expect(written(SISELECT, SIREG, 0x3e)).toBe(all);
  });
});

describe("topei", () => {
  test("shows the identity twice, and a write claims it", () => {
    const machine = aiaMachine([a("csrrw", { rd: 6, csr: STOPEI, rs1: 0 }), spin]);
    machine.s.top = 37;
    machine.hart.mode = "S";
    machine.hart.run(2);
    expect(machine.hart.x(6)).toBe((37n << 16n) | 37n);
    expect(machine.s.claims).toBe(1);
    expect(machine.m.claims).toBe(0);
  });

  test("a read alone claims nothing", () => {
    const machine = aiaMachine([a("csrrs", { rd: 6, csr: MTOPEI }), spin]);
    machine.m.top = 3;
    machine.hart.run(2);
    expect(machine.m.claims).toBe(0);
  });
});

describe("topi", () => {
  test("is the interrupt that would be taken, whatever the global enables", () => {
    const { hart } = aiaMachine();
    hart.writeCsr(MIE, 0xaaan);
    hart.writeCsr(MIDELEG, 0x222n);
    expect([MTOPI, STOPI].map((csr) => hart.readCsr(csr))).toEqual([0n, 0n]);
    hart.setIrq(HartIrq.mtip, true);
    hart.setIrq(HartIrq.ssip, true);
    expect(hart.readCsr(MTOPI)).toBe((7n << 16n) | 255n);
    expect(hart.readCsr(STOPI)).toBe((1n << 16n) | 255n);
  });

  test("an external interrupt has its controller's priority number, 255 at most", () => {
    const { hart, m, s } = aiaMachine();
    hart.writeCsr(MIE, 0xaaan);
    hart.writeCsr(MIDELEG, 0x222n);
    m.top = 12;
    s.top = 300;
    hart.setIrq(HartIrq.meip, true);
    hart.setIrq(HartIrq.seip, true);
    expect(hart.readCsr(MTOPI)).toBe((11n << 16n) | 12n);
    expect(hart.readCsr(STOPI)).toBe((9n << 16n) | 255n);
  });

  test("an interrupt with a smaller number than the external one comes before it, with the same one after it", () => {
    const { hart, s } = aiaMachine();
    hart.writeCsr(MIE, 0x222n);
    hart.writeCsr(MIDELEG, 0x222n);
    s.top = 20;
    hart.setIrq(HartIrq.seip, true);
    hart.setIrq(HartIrq.ssip, true);
    hart.writeCsr(SISELECT, 0x30n);
    expect(hart.readCsr(STOPI)).toBe((9n << 16n) | 20n);
    hart.writeCsr(SIREG, 19n << 8n);
    expect(hart.readCsr(STOPI)).toBe((1n << 16n) | 19n);
    hart.writeCsr(SIREG, 20n << 8n);
    expect(hart.readCsr(STOPI)).toBe((9n << 16n) | 20n);
  });

  test("a software SEIP has no number and comes after every interrupt that has one", () => {
    const { hart } = aiaMachine();
    hart.writeCsr(MIE, 0x222n);
    hart.writeCsr(MIDELEG, 0x222n);
    hart.writeCsr(MIP, 0x200n);
    hart.setIrq(HartIrq.ssip, true);
    hart.writeCsr(SISELECT, 0x30n);
    hart.writeCsr(SIREG, 255n << 8n);
    expect(hart.readCsr(STOPI)).toBe((1n << 16n) | 255n);
    hart.writeCsr(SIREG, 0n);
    expect(hart.readCsr(STOPI)).toBe((9n << 16n) | 255n);
  });

  test("the machine's priorities decide which interrupt traps", () => {
    const machine = aiaMachine();
    const { hart } = machine;
    hart.writeCsr(MIE, 0x888n);
    hart.writeCsr(MISELECT, 0x30n);
    hart.writeCsr(MIREG, 9n << 56n);
    hart.setIrq(HartIrq.msip, true);
    hart.setIrq(HartIrq.mtip, true);
    hart.writeCsr(0x300, 8n);
    hart.run(2);
    expect(hart.readCsr(MCAUSE)).toBe(INTERRUPT | 7n);
  });
});

describe("virtual interrupts", () => {
  test("mvien gives interrupts 1, 9 and 13 to 63 to the supervisor", () => {
    const { hart } = aiaMachine();
    hart.writeCsr(MVIEN, 0xffff_ffff_ffff_ffffn);
    expect(hart.readCsr(MVIEN)).toBe(0xffff_ffff_ffff_e202n);
    hart.writeCsr(SIE, 0xffff_ffff_ffff_ffffn);
    expect(hart.readCsr(SIE)).toBe(0xffff_ffff_ffff_e202n);
    expect(hart.readCsr(MIE)).toBe(0n);
  });

  test("without mvien and mideleg sie and sip are 0", () => {
    const { hart } = aiaMachine();
    hart.writeCsr(MVIP, 0xffff_ffff_ffff_ffffn);
    hart.writeCsr(SIE, 0xffff_ffff_ffff_ffffn);
    expect([SIE, SIP].map((csr) => hart.readCsr(csr))).toEqual([0n, 0n]);
  });

  test("mvip's bit 1 is mip's until mvien makes it the supervisor's own", () => {
    const { hart } = aiaMachine();
    hart.writeCsr(MVIP, 2n);
    expect(hart.readCsr(MIP)).toBe(2n);
    hart.writeCsr(MVIEN, 2n);
    hart.writeCsr(MVIP, 0n);
    expect(hart.readCsr(MIP)).toBe(2n);
    hart.writeCsr(SIP, 2n);
    expect([SIP, MVIP].map((csr) => hart.readCsr(csr))).toEqual([2n, 2n]);
    hart.writeCsr(MIP, 0n);
    expect([MIP, SIP].map((csr) => hart.readCsr(csr))).toEqual([0n, 2n]);
  });

  test("mvip's bit 5 is mip's while software writes that", () => {
    const { hart } = aiaMachine();
    hart.writeCsr(MVIP, 0x20n);
    expect([MIP, MVIP].map((csr) => hart.readCsr(csr))).toEqual([0x20n, 0x20n]);
    hart.writeCsr(0x14d, 0xffff_ffff_ffff_ffffn);
    hart.writeCsr(0x30a, 1n << 63n);
    expect(hart.readCsr(MVIP)).toBe(0n);
  });

  test("with mvien's bit 9, mip's SEIP is the controller's alone, and sip's is mvip's", () => {
    const { hart } = aiaMachine();
    hart.writeCsr(MVIP, 0x200n);
    expect(hart.readCsr(MIP)).toBe(0x200n);
    hart.writeCsr(MVIEN, 0x200n);
    expect([MIP, MVIP, SIP].map((csr) => hart.readCsr(csr))).toEqual([0n, 0x200n, 0x200n]);
    hart.writeCsr(MIP, 0x200n);
    hart.writeCsr(MVIP, 0n);
    hart.setIrq(HartIrq.seip, true);
    expect([MIP, MVIP, SIP].map((csr) => hart.readCsr(csr))).toEqual([0x200n, 0n, 0n]);
  });

  test("with mvien's bit 9, the supervisor does not reach its interrupt file, and machine mode does", () => {
    const machine = aiaMachine();
    machine.hart.writeCsr(MVIEN, 0x200n);
    machine.hart.writeCsr(SISELECT, 0x70n);
    expect(isIllegal(machine, "S", reads(SIREG))).toBe(true);
    expect(isIllegal(machine, "S", reads(STOPEI))).toBe(true);
    expect(isIllegal(machine, "M", reads(SIREG))).toBe(false);
    expect(isIllegal(machine, "M", reads(STOPEI))).toBe(false);
    machine.hart.writeCsr(SISELECT, 0x30n);
    expect(isIllegal(machine, "S", reads(SIREG))).toBe(false);
  });

  test("a virtual interrupt traps to the supervisor, by its own enable", () => {
    const { hart } = aiaMachine();
    hart.writeCsr(MVIEN, 1n << 43n);
    hart.writeCsr(MVIP, 1n << 43n);
    hart.mode = "S";
    hart.writeCsr(0x100, SSTATUS_SIE);
    hart.run(2);
    expect(hart.pc).toBe(BigInt(ramBase));
    hart.writeCsr(SIE, 1n << 43n);
    expect(hart.readCsr(STOPI)).toBe(43n << 16n);
    hart.run(2);
    expect(hart.readCsr(SCAUSE)).toBe(INTERRUPT | 43n);
    expect(hart.pc).toBe(BigInt(ramBase + 0x200));
  });

  test("a virtual interrupt ends wfi", () => {
    const machine = aiaMachine([a("wfi"), a("addi", { rd: 5, imm: 1 }), spin]);
    const { hart } = machine;
    hart.writeCsr(MVIEN, 1n << 20n);
    hart.writeCsr(SIE, 1n << 20n);
    expect(hart.run(10)).toBe("wait");
    hart.writeCsr(MVIP, 1n << 20n);
    hart.run(2);
    expect(hart.x(5)).toBe(1n);
  });

  test("a supervisor interrupt that is filtered traps to machine mode first", () => {
    const { hart } = aiaMachine();
    hart.writeCsr(MVIEN, 0x200n);
    hart.writeCsr(MIE, 0x200n);
    hart.mode = "S";
    hart.setIrq(HartIrq.seip, true);
    hart.run(2);
    expect(hart.readCsr(MCAUSE)).toBe(INTERRUPT | 9n);
  });
});

test("what the AIA adds is saved, loaded and reset", () => {
  const from = aiaMachine();
  from.hart.writeCsr(MVIEN, 0x202n);
  from.hart.writeCsr(MVIP, 2n);
  from.hart.writeCsr(SIE, 0x202n);
  from.hart.writeCsr(SISELECT, 0x30n);
  from.hart.writeCsr(SIREG, 7n << 8n);
  const to = aiaMachine();
  to.hart.loadState(from.hart.saveState());
  const numbers = [MVIEN, MVIP, SIE, SISELECT, SIREG];
  expect(numbers.map((csr) => to.hart.readCsr(csr))).toEqual([0x202n, 2n, 0x202n, 0x30n, 0x700n]);
  to.hart.reset();
  expect(to.hart.saveState().aia).toEqual(aiaMachine().hart.saveState().aia);
});
