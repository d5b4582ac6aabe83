import { describe, expect, test } from "vitest";
import type { Watch } from "./port.ts";
import { assemble as a } from "./testing/assemble.ts";
import { bareMachine, ramBase, type BareMachine } from "./testing/bare-machine.ts";

const [tselect, tdata1, tdata2, tdata3, tinfo, mcontext] = [0x7a0, 0x7a1, 0x7a2, 0x7a3, 0x7a4, 0x7a8];
const type2 = 2n << 60n;
const type6 = 6n << 60n;
const [load, store, execute, inUser, inMachine] = [1n, 2n, 4n, 8n, 0x40n];
const handler = ramBase + 0x100;
const data = ramBase + 0x2000;
const spin = a("jal", { rd: 0, imm: 0 });

/** x1 points at `data`; M-mode handler at `handler`. */
function machine(code: readonly number[]): BareMachine {
  const m = bareMachine();
  m.load(ramBase, code);
  m.load(handler, [spin]);
  m.hart.writeCsr(0x305, BigInt(handler));
  m.hart.setX(1, BigInt(data));
  return m;
}

function arm(m: BareMachine, control: bigint, address: number | bigint): void {
  m.hart.writeCsr(tdata1, control);
  m.hart.writeCsr(tdata2, BigInt(address));
}

/** mcause, mepc and mtval, addresses from `ramBase`. */
const trapped = (m: BareMachine): (bigint | number)[] => [
  m.hart.readCsr(0x342)!,
  Number(m.hart.readCsr(0x341)!) - ramBase,
  Number(m.hart.readCsr(0x343)!) - ramBase,
];

describe("trigger registers", () => {
  test("there are two of type 2, and what they can be stands in tinfo", () => {
    const m = machine([spin]);
    expect([m.hart.readCsr(tdata1), m.hart.readCsr(tinfo)]).toEqual([type2, 0x44n]);
    m.hart.writeCsr(tselect, 1n);
    m.hart.writeCsr(tselect, 2n);
    expect(m.hart.readCsr(tselect)).toBe(1n);
  });

  test.each([
    ["action 1 (debug mode) becomes the breakpoint exception", type2 | 0x1000n | inMachine, type2 | inMachine],
    ["dmode and chain stay 0", type2 | (1n << 59n) | (1n << 11n) | load, type2 | load],
    ["a size of 48 bits becomes any", type6 | (4n << 16n) | load, type6 | load],
    ["NAPOT is for type 6", type2 | (1n << 7n) | load, type2 | load],
    ["NAPOT is kept in type 6", type6 | (1n << 7n) | load, type6 | (1n << 7n) | load],
    ["a match that is not offered becomes equal", type6 | (4n << 7n) | load, type6 | load],
    ["no type is type 2", load | inMachine, type2 | load | inMachine],
    ["another type is a disabled type 2", (5n << 60n) | load | inMachine, type2],
  ])("%s", (_, written, read) => {
    const m = machine([spin]);
    m.hart.writeCsr(tdata1, written);
    expect(m.hart.readCsr(tdata1)).toBe(read);
  });

  test("tdata3 holds a context to compare with, and mcontext 13 bits", () => {
    const m = machine([spin]);
    m.hart.writeCsr(tdata3, (1n << 64n) - 1n);
    m.hart.writeCsr(mcontext, 0xffffn);
    expect([m.hart.readCsr(tdata3), m.hart.readCsr(mcontext)]).toEqual([(0x1fffn << 51n) | (4n << 48n), 0x1fffn]);
  });

  test("a hart without Sdtrig has none", () => {
    const m = bareMachine({ features: { sdtrig: false } });
    m.load(ramBase, [a("csrrs", { rd: 5, csr: 0x7a0 })]);
    m.hart.run(1);
    expect(m.hart.readCsr(0x342)).toBe(2n);
  });

  test("are saved with the hart, and armed again", () => {
    const from = machine([spin]);
    arm(from, type2 | store | inMachine, data);
    const to = machine([a("sd", { rs1: 1, imm: 0 })]);
    to.hart.loadState({ ...from.hart.saveState(), x: to.hart.saveState().x });
    to.hart.run(1);
    expect(trapped(to)).toEqual([3n, 0, data - ramBase]);
  });
});

describe("a trigger", () => {
  test("stops before an instruction is executed, which a jump inside its page reaches", () => {
    const m = machine([a("addi", { rd: 5, imm: 1 }), a("jal", { imm: 8 }), spin, a("addi", { rd: 5, imm: 2 })]);
    arm(m, type2 | execute | inMachine, ramBase + 12);
    m.hart.run(3);
    expect(trapped(m)).toEqual([3n, 12, 12]);
    expect(m.hart.x(5)).toBe(1n);
    expect(m.hart.readCsr(tdata1)).toBe(type2 | execute | inMachine | (1n << 20n));
  });

  test("that is set by the code of its own page stops that code", () => {
    const m = machine([
      a("csrrw", { csr: tdata1, rs1: 2 }),
      a("addi", { rd: 5, imm: 1 }),
      a("addi", { rd: 5, imm: 2 }),
    ]);
    m.hart.writeCsr(tdata2, BigInt(ramBase + 8));
    m.hart.setX(2, type2 | execute | inMachine);
    m.hart.run(4);
    expect(trapped(m)).toEqual([3n, 8, 8]);
    expect(m.hart.x(5)).toBe(1n);
  });

  test("stops before a load and not at stores, although the page was in the TLB", () => {
    const m = machine([
      a("sd", { rs1: 1, rs2: 1, imm: 0 }),
      a("ld", { rd: 5, rs1: 1, imm: 0 }),
      a("csrrw", { csr: tdata1, rs1: 2 }),
      a("sd", { rs1: 1, rs2: 0, imm: 0 }),
      a("ld", { rd: 5, rs1: 1, imm: 0 }),
    ]);
    m.hart.writeCsr(tdata2, BigInt(data));
    m.hart.setX(2, type2 | load | inMachine);
    m.hart.run(5);
    expect(trapped(m)).toEqual([3n, 16, data - ramBase]);
    expect(m.hart.x(5)).toBe(BigInt(data));
  });

  test("stops a store over a page boundary at the byte that it is set for", () => {
    const m = machine([a("sd", { rs1: 1, rs2: 1, imm: -4 })]);
    arm(m, type2 | store | inMachine, data + 1);
    m.hart.run(1);
    expect(trapped(m)).toEqual([3n, 0, data + 1 - ramBase]);
    expect(m.read64(data - 4)).toBe(0n);
  });

  test.each([
    ["amoadd.d", load],
    ["amoadd.d", store],
    ["lr.d", load],
  ])("stops %s", (name, kind) => {
    const m = machine([a("amoadd.d", { rd: 5, rs1: 1, rs2: 1 }), a(name, { rd: 6, rs1: 1 })]);
    m.hart.run(1);
    arm(m, type6 | kind | inMachine, data);
    m.hart.run(1);
    expect(trapped(m)).toEqual([3n, 4, data - ramBase]);
  });

  test("comes before a page that cannot be read and before misalignment", () => {
    const m = machine([a("lr.d", { rd: 5, rs1: 2 })]);
    m.hart.setX(2, 0x4001n);
    arm(m, type2 | load | inMachine, 0x4001);
    m.hart.run(1);
    expect(m.hart.readCsr(0x342)).toBe(3n);
  });

  test("holds in the modes that it names only", () => {
    const m = machine([a("ld", { rd: 5, rs1: 1, imm: 0 }), spin]);
    arm(m, type2 | load | inUser, data);
    m.hart.run(2);
    expect(m.hart.readCsr(0x342)).toBe(0n);
  });

  test("with a size takes accesses of that size only", () => {
    const m = machine([a("ld", { rd: 5, rs1: 1, imm: 0 }), a("lw", { rd: 5, rs1: 1, imm: 0 })]);
    arm(m, type6 | (3n << 16n) | load | inMachine, data);
    m.hart.run(2);
    expect(trapped(m)).toEqual([3n, 4, data - ramBase]);
  });

  test.each([
    ["NAPOT", 1n, data + 0x7f, -1],
    ["at least", 2n, data + 0x100, 0x100],
    ["below", 3n, data, -1],
  ])("matches a range: %s", (_, match, address, expected) => {
    const m = machine([a("lb", { rd: 5, rs1: 1, imm: -1 }), a("lb", { rd: 5, rs1: 1, imm: 0x100 }), spin]);
    arm(m, type6 | (match << 7n) | load | inMachine, address - (match === 1n ? 0x100 : 0));
    m.hart.run(2);
    expect(trapped(m)[2]).toBe(data - ramBase + expected);
  });

  test("with a context takes that context only", () => {
    const m = machine([
      a("lb", { rd: 5, rs1: 1, imm: 0 }),
      a("csrrwi", { csr: mcontext, rs1: 7 }),
      a("lb", { rs1: 1 }),
    ]);
    m.hart.writeCsr(tdata3, (7n << 51n) | (4n << 48n));
    arm(m, type6 | load | inMachine, data);
    m.hart.run(3);
    expect(trapped(m)[1]).toBe(8);
  });
});

describe("a watch", () => {
  const watchOf = (kind: Watch["kind"], address: number, lengthBytes = 1): Watch => ({
    kind,
    address: BigInt(address),
    lengthBytes,
  });

  test("stops before an instruction; the next run executes it", () => {
    const m = machine([
      a("addi", { rd: 5, rs1: 5, imm: 1 }),
      a("addi", { rd: 5, rs1: 5, imm: 1 }),
      a("jal", { imm: -8 }),
    ]);
    const watch = watchOf("execute", ramBase + 4);
    m.hart.run(2);
    m.hart.watch(watch);
    expect([m.hart.run(100), m.hart.pc, m.hart.executed]).toEqual(["watch", BigInt(ramBase + 4), 4]);
    expect(m.hart.watchHit).toEqual({ watch, address: BigInt(ramBase + 4) });
    expect([m.hart.run(100), m.hart.executed, m.hart.x(5)]).toEqual(["watch", 7, 5n]);
    m.hart.unwatch(watch);
    expect(m.hart.run(100)).toBe("budget");
    expect(m.hart.executed).toBe(107);
  });

  test.each([
    ["load", a("lw", { rd: 5, rs1: 1, imm: -2 })],
    ["store", a("sw", { rs1: 1, rs2: 1, imm: -2 })],
    ["access", a("amoadd.w", { rd: 5, rs1: 1, rs2: 1 })],
  ] as const)("stops before a %s of any byte of its range", (kind, instruction) => {
    const m = machine([a("addi", { rd: 6, imm: 1 }), instruction, a("addi", { rd: 7, imm: 1 }), spin]);
    m.hart.watch(watchOf(kind, data, 16));
    expect([m.hart.run(100), m.hart.pc, m.hart.executed]).toEqual(["watch", BigInt(ramBase + 4), 1]);
    expect(m.hart.watchHit?.address).toBe(BigInt(data));
    expect(m.hart.run(3)).toBe("budget");
    expect([m.hart.x(7), m.hart.executed, m.hart.readCsr(0x342)]).toEqual([1n, 4, 0n]);
  });

  test("of an access stops also the instruction that a watch has just stopped", () => {
    const m = machine([a("ld", { rd: 5, rs1: 1, imm: 0 }), spin]);
    const [instruction, access] = [watchOf("execute", ramBase), watchOf("load", data, 8)];
    m.hart.watch(instruction);
    m.hart.watch(access);
    expect([m.hart.run(9), m.hart.watchHit?.watch]).toEqual(["watch", instruction]);
    expect([m.hart.run(9), m.hart.watchHit?.watch, m.hart.executed]).toEqual(["watch", access, 0]);
    expect([m.hart.run(9), m.hart.executed]).toEqual(["budget", 9]);
  });

  test("hit by the last instruction of a budget is reported, and not counted", () => {
    const m = machine([a("ld", { rd: 5, rs1: 1, imm: 0 })]);
    m.hart.watch(watchOf("load", data));
    expect([m.hart.run(1), m.hart.executed]).toEqual(["watch", 0]);
  });

  test("survives a reset", () => {
    const m = machine([spin]);
    m.hart.watch(watchOf("execute", ramBase));
    m.hart.reset();
    expect(m.hart.run(9)).toBe("watch");
  });
});
