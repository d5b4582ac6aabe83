import { describe, expect, test } from "vitest";
import { assemble as a } from "./testing/assemble.ts";
import { bareMachine, ramBase } from "./testing/bare-machine.ts";

const mtvec = 0x305;
const mcountinhibit = 0x320;
const mcycle = 0xb00;
const minstret = 0xb02;
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
    expect(hart.x(1)).toBe(5n);
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
