// table: Zcb, more compressed forms (unprivileged spec §27.6).
import type { CompressedForm, DecodedOperands } from "../encoding.ts";
import { bit, short1, short2 } from "./compressed.ts";

type Expand = (half: number) => Partial<DecodedOperands>;

const byteOffset = (half: number): number => bit(half, 6, 0) | bit(half, 5, 1);
const halfOffset = (half: number): number => bit(half, 5, 1);
const load =
  (offset: (half: number) => number): Expand =>
  (h) => ({ rd: short2(h), rs1: short1(h), imm: offset(h) });
const store =
  (offset: (half: number) => number): Expand =>
  (h) => ({ rs1: short1(h), rs2: short2(h), imm: offset(h) });
const unary =
  (others: Partial<DecodedOperands> = {}): Expand =>
  (h) => ({ rd: short1(h), rs1: short1(h), ...others });

function form(
  name: string,
  match: number,
  mask: number,
  expandsTo: string,
  expand: Expand,
  extensions: readonly string[] = ["zcb"],
): CompressedForm {
  return { name, extensions, match, mask, expandsTo, expand };
}

const oneRegister = 0xfc7f;
const twoRegisters = 0xfc63;
const withFunction = 0xfc43;

export const zcb: readonly CompressedForm[] = [
  form("c.lbu", 0x8000, 0xfc03, "lbu", load(byteOffset)),
  form("c.lhu", 0x8400, withFunction, "lhu", load(halfOffset)),
  form("c.lh", 0x8440, withFunction, "lh", load(halfOffset)),
  form("c.sb", 0x8800, 0xfc03, "sb", store(byteOffset)),
  form("c.sh", 0x8c00, withFunction, "sh", store(halfOffset)),
  form("c.zext.b", 0x9c61, oneRegister, "andi", unary({ imm: 0xff })),
  form("c.sext.b", 0x9c65, oneRegister, "sext.b", unary(), ["zcb+zbb"]),
  form("c.zext.h", 0x9c69, oneRegister, "zext.h", unary(), ["zcb+zbb"]),
  form("c.sext.h", 0x9c6d, oneRegister, "sext.h", unary(), ["zcb+zbb"]),
  form("c.zext.w", 0x9c71, oneRegister, "add.uw", unary({ rs2: 0 }), ["zcb+zba"]),
  form("c.not", 0x9c75, oneRegister, "xori", unary({ imm: -1 })),
  form("c.mul", 0x9c41, twoRegisters, "mul", (h) => ({ rd: short1(h), rs1: short1(h), rs2: short2(h) }), [
    "zcb+m",
    "zcb+zmmul",
  ]),
];
