// table: Zba, address generation (unprivileged spec §28.4.1).
import { i64 } from "../../../accel/index.ts";
import type { Instruction } from "../encoding.ts";
import { integerForms, type Binary } from "./integer-forms.ts";

const { register, registerFromWord, shiftFromWord } = integerForms(["zba"]);
const scaledAdd =
  (shift: number): Binary =>
  (a, b) =>
    i64.add(i64.shl(a, i64.const(shift)), b);

export const zba: readonly Instruction[] = [
  registerFromWord("add.uw", 0, 0x04, i64.add),
  register("sh1add", 2, 0x10, scaledAdd(1)),
  register("sh2add", 4, 0x10, scaledAdd(2)),
  register("sh3add", 6, 0x10, scaledAdd(3)),
  registerFromWord("sh1add.uw", 2, 0x10, scaledAdd(1)),
  registerFromWord("sh2add.uw", 4, 0x10, scaledAdd(2)),
  registerFromWord("sh3add.uw", 6, 0x10, scaledAdd(3)),
  shiftFromWord("slli.uw", 1, 0x02, i64.shl),
];
