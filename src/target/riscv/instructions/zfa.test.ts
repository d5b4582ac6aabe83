import { expect, test } from "vitest";
import { F } from "../hart-core.ts";
import { makeEvaluator } from "../testing/evaluate.ts";
import { assemble } from "../testing/assemble.ts";
import { bareMachine, ramBase } from "../testing/bare-machine.ts";
import { disassemble } from "../disassembler.ts";
import { Decoder } from "../decoder.ts";

/** f10 after `fli`, with what follows it if anything. */
function constant(name: string, rs1: number): bigint {
  const m = bareMachine({ model: "max" });
  m.hart.writeCsr(0x300, 0x6000n);
  m.load(ramBase, [assemble(name, { rd: 10, rs1 })]);
  m.hart.run(1);
  return m.hart.core.get(F.f + 10);
}

// Unprivileged spec, Zfa, the table of FLI's values.
test.each([
  ["fli.s", 0, 0xffff_ffff_bf80_0000n],
  ["fli.s", 1, 0xffff_ffff_0080_0000n],
  ["fli.s", 9, 0xffff_ffff_3ea0_0000n],
  ["fli.s", 31, 0xffff_ffff_7fc0_0000n],
  ["fli.d", 0, 0xbff0_0000_0000_0000n],
  ["fli.d", 1, 0x0010_0000_0000_0000n],
  ["fli.d", 16, 0x3ff0_0000_0000_0000n],
  ["fli.d", 30, 0x7ff0_0000_0000_0000n],
  ["fli.h", 1, 0xffff_ffff_ffff_0400n],
  ["fli.h", 2, 0xffff_ffff_ffff_0100n],
  ["fli.h", 22, 0xffff_ffff_ffff_4200n],
  ["fli.h", 29, 0xffff_ffff_ffff_7c00n],
])("%s with index %i loads its constant", (name, rs1, bits) => {
  expect(constant(name, rs1)).toBe(bits);
});

test("fli is shown with its constant", () => {
  const decoder = new Decoder(() => true);
  const text = (rs1: number): string => disassemble(decoder, assemble("fli.d", { rd: 10, rs1 }), 0n).text;
  expect([1, 11, 30, 31].map(text)).toEqual([
    "fli.d fa0, min",
    "fli.d fa0, 0.4375",
    "fli.d fa0, inf",
    "fli.d fa0, nan",
  ]);
});

test("without Zfh, Zfa's half-precision forms are illegal", () => {
  const { trapOf } = makeEvaluator("rv64");
  expect([trapOf(assemble("fli.h", { rd: 1 })), trapOf(assemble("fround.h", { rd: 1 }))]).toEqual([2n, 2n]);
});

test("Zfhmin converts, loads and moves halves, and computes nothing", () => {
  const { machine, trapOf } = makeEvaluator("rva22s64");
  machine.hart.writeCsr(0x300, 0x6000n);
  expect(["flh", "fcvt.s.h", "fcvt.h.d", "fmv.x.h"].map((name) => trapOf(assemble(name, { rs1: 11 })))).not.toContain(
    2n,
  );
  expect(["fadd.h", "fmin.h", "fsgnj.h"].map((name) => trapOf(assemble(name)))).toEqual([2n, 2n, 2n]);
});
