// table: Zicond, conditional zero (unprivileged spec §9).
import { i64, select } from "../../../accel/index.ts";
import type { Instruction } from "../encoding.ts";
import { integerForms } from "./integer-forms.ts";

const { register } = integerForms(["zicond"]);
const zero = i64.const(0);

export const zicond: readonly Instruction[] = [
  register("czero.eqz", 5, 0x07, (a, b) => select(i64.eqz(b), zero, a)),
  register("czero.nez", 7, 0x07, (a, b) => select(i64.eqz(b), a, zero)),
];
