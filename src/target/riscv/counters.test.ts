import { describe, expect, test } from "vitest";
import { assemble as a } from "./testing/assemble.ts";
import { bareMachine, ramBase, type BareMachine } from "./testing/bare-machine.ts";

const mtvec = 0x305;
const mcountinhibit = 0x320;
const mcycle = 0xb00;
const minstret = 0xb02;
const [mhpmevent3, mhpmcounter3, mhpmevent18, mhpmcounter18] = [0x323, 0xb03, 0x332, 0xb12];
const [mcounteren, scounteren] = [0x306, 0x106];
const read = (rd: number, csr: number): number => a("csrrs", { rd, csr });
const write = (csr: number, rs1: number): number => a("csrrw", { csr, rs1 });

function run(words: readonly number[]): ReturnType<typeof bareMachine>["hart"] {
  const m = bareMachine();
  m.load(ramBase, words);
  m.hart.run(words.length);
  return m.hart;
}

describe("mcycle and minstret", () => {
  test("read as they were before the instruction that reads", () => {
    const hart = run([a("addi"), read(1, minstret), read(2, minstret), a("addi"), read(3, mcycle)]);
    expect([hart.x(1), hart.x(2), hart.x(3)]).toEqual([1n, 2n, 4n]);
  });

  test("the instruction after a write reads what was written", () => {
    const hart = run([
      a("addi", { rd: 5, imm: 77 }),
      write(minstret, 5),
      read(1, minstret),
      write(mcycle, 5),
      read(2, mcycle),
    ]);
    expect([hart.x(1), hart.x(2)]).toEqual([77n, 77n]);
  });

  test("stand still while mcountinhibit says so, and can be written then", () => {
    const hart = run([
      a("addi", { rd: 5, imm: -1 }),
      write(mcountinhibit, 5),
      read(1, mcountinhibit),
      a("addi", { rd: 6, imm: 9 }),
      write(mcycle, 6),
      a("addi"),
      read(2, mcycle),
      read(3, minstret),
      a("addi"),
      read(4, minstret),
      write(mcountinhibit, 0),
      read(7, mcycle),
      read(8, mcycle),
    ]);
    expect(hart.x(1)).toBe(0x7fffdn);
    expect(hart.x(2)).toBe(9n);
    expect(hart.x(4)).toBe(hart.x(3));
    expect([hart.x(7), hart.x(8)]).toEqual([9n, 10n]);
  });

  test("an instruction that traps costs a cycle and does not retire", () => {
    const hart = run([
      a("auipc", { rd: 5 }),
      a("addi", { rd: 5, rs1: 5, imm: 20 }),
      write(mtvec, 5),
      read(1, minstret),
      a("ecall"),
      read(2, minstret),
      read(3, mcycle),
    ]);
    expect([hart.x(1), hart.x(2), hart.x(3)]).toEqual([3n, 4n, 6n]);
  });

  test("nor does a load that faults", () => {
    const hart = run([
      a("auipc", { rd: 5 }),
      a("addi", { rd: 5, rs1: 5, imm: 20 }),
      write(mtvec, 5),
      read(1, minstret),
      a("ld", { rd: 6, rs1: 0, imm: 64 }),
      read(2, minstret),
    ]);
    expect([hart.x(1), hart.x(2)]).toEqual([3n, 4n]);
  });
});

function after(instructions: number, setUp: (m: BareMachine) => void): BareMachine {
  const m = bareMachine();
  m.load(ramBase, [a("jal", { rd: 0, imm: 0 })]);
  setUp(m);
  m.hart.run(instructions);
  return m;
}

describe("programmable counters", () => {
  test.each([
    [1n, 25n],
    [2n, 25n],
    [3n, 5n],
    [0n, 5n],
  ])("with event %i, twenty instructions bring five to %i", (event, value) => {
    const m = after(20, ({ hart }) => {
      hart.writeCsr(mhpmevent18, event);
      hart.writeCsr(mhpmcounter18, 5n);
    });
    expect(m.hart.readCsr(mhpmcounter18)).toBe(value);
  });

  test("stand still while they are inhibited, and go on from there", () => {
    const m = after(20, ({ hart }) => {
      hart.writeCsr(mhpmevent3, 2n);
      hart.writeCsr(mcountinhibit, 8n);
    });
    expect(m.hart.readCsr(mhpmcounter3)).toBe(0n);
    m.hart.writeCsr(mcountinhibit, 0n);
    m.hart.run(7);
    expect(m.hart.readCsr(mhpmcounter3)).toBe(7n);
  });

  test("keep their value when their event changes", () => {
    const m = after(20, ({ hart }) => hart.writeCsr(mhpmevent3, 2n));
    m.hart.writeCsr(mhpmevent3, 0n);
    m.hart.run(5);
    expect(m.hart.readCsr(mhpmcounter3)).toBe(20n);
  });

  test("of retired instructions leave out those that trap", () => {
    const m = after(20, ({ hart, load }) => {
      load(ramBase, [a("ecall")]);
      hart.writeCsr(mtvec, BigInt(ramBase));
      hart.writeCsr(mhpmevent3, 2n);
      hart.writeCsr(mhpmevent18, 1n);
    });
    expect([m.hart.readCsr(mhpmcounter3), m.hart.readCsr(mhpmcounter18)]).toEqual([0n, 20n]);
  });

  test("come back from saved state", () => {
    const m = after(20, ({ hart }) => hart.writeCsr(mhpmevent3, 2n));
    const other = bareMachine();
    other.hart.loadState(m.hart.saveState());
    expect([other.hart.readCsr(mhpmcounter3), other.hart.readCsr(mhpmevent3)]).toEqual([20n, 2n]);
  });
});

test("a hart has sixteen of them, and shows those to lower modes", () => {
  const { hart } = bareMachine();
  for (const csr of [mcounteren, scounteren]) {
    hart.writeCsr(csr, 0xffff_ffffn);
    expect(hart.readCsr(csr)).toBe(0x7ffffn);
  }
  hart.writeCsr(mcountinhibit, 0xffff_ffffn);
  expect(hart.readCsr(mcountinhibit)).toBe(0x7fffdn);
});
