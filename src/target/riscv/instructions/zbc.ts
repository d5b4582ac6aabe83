// table: Zbc and Zbkc, carry-less multiplication, and Zbkx, crossbar permutations (unprivileged spec §28.4.3, §28.4.6, §28.4.7).
import { call, i64 } from "../../../accel/index.ts";
import type { Instruction } from "../encoding.ts";
import { integerForms } from "./integer-forms.ts";

const { register: both } = integerForms(["zbc", "zbkc"]);
const { register } = integerForms(["zbc"]);
const { register: permute } = integerForms(["zbkx"]);

export const zbc: readonly Instruction[] = [
  both("clmul", 1, 0x05, (a, b) => call("i64", "clmul", a, b)),
  // The product has 127 bits: its upper 64 are those of the reversed product without the lowest.
  both("clmulh", 3, 0x05, (a, b) => i64.shrU(call("i64", "clmulr", a, b), i64.const(1))),
  register("clmulr", 2, 0x05, (a, b) => call("i64", "clmulr", a, b)),
  permute("xperm4", 2, 0x14, (a, b) => call("i64", "xperm4", a, b)),
  permute("xperm8", 4, 0x14, (a, b) => call("i64", "xperm8", a, b)),
];
