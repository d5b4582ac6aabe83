import { describe, expect, test } from "vitest";
import { assemble, type Operand } from "./testing/assemble.ts";
import { bareMachine, ramBase } from "./testing/bare-machine.ts";

const [mstateen0, mseccfg, stateAll] = [0x30c, 0x747, (1n << 64n) - 1n];

/** The cause of the exception that an instruction ends with in a mode, or undefined. */
function trapIn(
  mode: "S" | "U",
  settings: Readonly<Record<number, bigint>>,
  name: string,
  o: Operand,
): bigint | undefined {
  const m = bareMachine({ model: "max" });
  m.load(ramBase, [assemble(name, o)]);
  m.hart.writeCsr(0x3b0, (1n << 54n) - 1n);
  m.hart.writeCsr(0x3a0, 0x1fn);
  m.hart.writeCsr(0x305, BigInt(ramBase + 0x100));
  for (const [csr, value] of Object.entries(settings)) m.hart.writeCsr(Number(csr), value);
  m.hart.mode = mode;
  m.hart.run(1);
  return m.hart.pc === BigInt(ramBase + 4) ? undefined : m.hart.readCsr(0x342);
}

describe("mstateen0 keeps from the supervisor, until it says otherwise,", () => {
  test.each([
    ["senvcfg", 0x10a],
    ["sstateen0", 0x10c],
    ["siselect", 0x150],
    ["stopi", 0xdb0],
  ])("%s", (_name, csr) => {
    expect(trapIn("S", {}, "csrrs", { rd: 1, csr })).toBe(2n);
    expect(trapIn("S", { [mstateen0]: stateAll }, "csrrs", { rd: 1, csr })).toBeUndefined();
  });
});

describe("seed", () => {
  test.each([
    ["U", 0x100n],
    ["S", 0x200n],
  ] as const)("is read in %s-mode as far as mseccfg lets it", (mode, enable) => {
    expect(trapIn(mode, { [mseccfg]: 0x300n ^ enable }, "csrrw", { rd: 1, csr: 0x015 })).toBe(2n);
    expect(trapIn(mode, { [mseccfg]: enable }, "csrrw", { rd: 1, csr: 0x015 })).toBeUndefined();
  });

  test("is illegal to read without writing", () => {
    expect(trapIn("S", { [mseccfg]: 0x300n }, "csrrs", { rd: 1, csr: 0x015 })).toBe(2n);
  });

  test("gives sixteen bits at a time, with the state that says so", () => {
    const { hart } = bareMachine({ model: "max" });
    const words = Array.from({ length: 8 }, () => hart.readCsr(0x015)!);
    expect(words.map((word) => word >> 16n)).toEqual(Array.from({ length: 8 }, () => 0x8000n));
    expect(new Set(words).size).toBeGreaterThan(6);
  });
});
