import { expect, test } from "vitest";
import { Decoder } from "./decoder.ts";
import { disassemble } from "./disassembler.ts";

const decoder = new Decoder(() => true);
const text = (word: number, pc = 0x8000_0000n): string => disassemble(decoder, word, pc).text;

test.each([
  [0x00c58533, "add a0, a1, a2"],
  [0xff010113, "addi sp, sp, -16"],
  [0x12345537, "lui a0, 0x12345"],
  [0x00853783, "ld a5, 8(a0)"],
  [0xfef43c23, "sd a5, -8(s0)"],
  [0xfe0518e3, "bne a0, zero, 0x7ffffff0"],
  [0x30200073, "mret"],
  [0x300315f3, "csrrw a1, mstatus, t1"],
  [0x12a58073, "sfence.vma a1, a0"],
  [0x0ff0000f, "fence iorw, iorw"],
  [0x02c5f53b, "remuw a0, a1, a2"],
  [0x1005272f, "lr.w a4, (a0)"],
  [0x02b57543, "fmadd.d fa0, fa0, fa1, ft0, dyn"],
  [0x0001, "addi zero, zero, 0"],
  [0x8082, "jalr zero, 0(ra)"],
  [0x0000, ".half 0x0000"],
  [0xffff_ffff | 0, ".word 0xffffffff"],
])("%s reads as %s", (word, expected) => {
  expect(text(word)).toBe(expected);
});
