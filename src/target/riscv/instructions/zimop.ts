// table: Zimop, may-be-operations: they write zero until an extension redefines them (unprivileged spec §11).
import { i64 } from "../../../accel/index.ts";
import type { CompressedForm, Instruction } from "../encoding.ts";
import { setRd } from "../operands.ts";

const operation = (name: string, match: number, mask: number, assembly: string): Instruction => ({
  name,
  extensions: ["zimop"],
  match: match | 0,
  mask: mask | 0,
  operands: { dst: "x" },
  assembly,
  semantics: (c) => setRd(c, i64.const(0)),
});

export const zimop: readonly Instruction[] = [
  operation("mop.r", 0x81c04073, 0xb3c0707f, "rd"),
  operation("mop.rr", 0x82004073, 0xb200707f, "rd"),
];

/** Zcmop: the encodings of c.lui with an immediate of zero and an odd destination up to x15; they write nothing. */
export const zcmop: readonly CompressedForm[] = [
  { name: "c.mop", extensions: ["zcmop"], match: 0x6081, mask: 0xf8ff, expandsTo: "addi", expand: () => ({}) },
];
