// table: Zbs, single bits (unprivileged spec §28.4.4).
import { i64, type Expr } from "../../../accel/index.ts";
import type { Instruction } from "../encoding.ts";
import { integerForms, type Binary } from "./integer-forms.ts";

const { register, shift } = integerForms(["zbs"]);

/** Shifts take their amount modulo 64, so that only the low six bits of an index count. */
const bitAt = (index: Expr<"i64">): Expr<"i64"> => i64.shl(i64.const(1), index);
const clear: Binary = (a, b) => i64.and(a, i64.xor(bitAt(b), i64.const(-1)));
const extract: Binary = (a, b) => i64.and(i64.shrU(a, b), i64.const(1));
const invert: Binary = (a, b) => i64.xor(a, bitAt(b));
const set: Binary = (a, b) => i64.or(a, bitAt(b));

export const zbs: readonly Instruction[] = [
  register("bclr", 1, 0x24, clear),
  shift("bclri", 1, 0x12, clear),
  register("bext", 5, 0x24, extract),
  shift("bexti", 5, 0x12, extract),
  register("binv", 1, 0x34, invert),
  shift("binvi", 1, 0x1a, invert),
  register("bset", 1, 0x14, set),
  shift("bseti", 1, 0x0a, set),
];
