// table: the C extension (unprivileged spec §26): each form states which 32-bit instruction it stands for.
import type { CompressedForm, DecodedOperands } from "../encoding.ts";

export const bit = (half: number, from: number, to: number): number => ((half >>> from) & 1) << to;
const span = (half: number, high: number, low: number, to: number): number =>
  ((half >>> low) & ((1 << (high - low + 1)) - 1)) << to;
const signed = (value: number, bits: number): number => (value << (32 - bits)) >> (32 - bits);

const full = (half: number): number => (half >>> 7) & 31;
const full2 = (half: number): number => (half >>> 2) & 31;
export const short1 = (half: number): number => 8 + ((half >>> 7) & 7);
export const short2 = (half: number): number => 8 + ((half >>> 2) & 7);

const imm6 = (half: number): number => signed(bit(half, 12, 5) | span(half, 6, 2, 0), 6);
const shamt = (half: number): number => bit(half, 12, 5) | span(half, 6, 2, 0);
const wordOffset = (half: number): number => span(half, 12, 10, 3) | bit(half, 6, 2) | bit(half, 5, 6);
const doubleOffset = (half: number): number => span(half, 12, 10, 3) | span(half, 6, 5, 6);
const wordStackLoad = (half: number): number => bit(half, 12, 5) | span(half, 6, 4, 2) | span(half, 3, 2, 6);
const doubleStackLoad = (half: number): number => bit(half, 12, 5) | span(half, 6, 5, 3) | span(half, 4, 2, 6);
const wordStackStore = (half: number): number => span(half, 12, 9, 2) | span(half, 8, 7, 6);
const doubleStackStore = (half: number): number => span(half, 12, 10, 3) | span(half, 9, 7, 6);
const jumpOffset = (half: number): number =>
  signed(
    bit(half, 12, 11) |
      bit(half, 11, 4) |
      span(half, 10, 9, 8) |
      bit(half, 8, 10) |
      bit(half, 7, 6) |
      bit(half, 6, 7) |
      span(half, 5, 3, 1) |
      bit(half, 2, 5),
    12,
  );
const branchOffset = (half: number): number =>
  signed(bit(half, 12, 8) | span(half, 11, 10, 3) | span(half, 6, 5, 6) | span(half, 4, 3, 1) | bit(half, 2, 5), 9);

type Expand = (half: number) => Partial<DecodedOperands>;

function form(
  name: string,
  match: number,
  mask: number,
  expandsTo: string,
  expand: Expand,
  reserved?: (half: number) => boolean,
  extensions: readonly string[] = ["c", "zca"],
): CompressedForm {
  return { name, extensions, match, mask, expandsTo, expand, ...(reserved === undefined ? {} : { reserved }) };
}

const quadrant = 0xe003;
const withBit12 = 0xf003;
const arithmetic = 0xfc63;
const double = ["c+d", "zcd"];

const shortLoad =
  (offset: (half: number) => number): Expand =>
  (h) => ({ rd: short2(h), rs1: short1(h), imm: offset(h) });
const shortStore =
  (offset: (half: number) => number): Expand =>
  (h) => ({ rs1: short1(h), rs2: short2(h), imm: offset(h) });
const stackLoad =
  (offset: (half: number) => number): Expand =>
  (h) => ({ rd: full(h), rs1: 2, imm: offset(h) });
const stackStore =
  (offset: (half: number) => number): Expand =>
  (h) => ({ rs1: 2, rs2: full2(h), imm: offset(h) });
const registerPair: Expand = (h) => ({ rd: short1(h), rs1: short1(h), rs2: short2(h) });
const noDestination = (h: number): boolean => full(h) === 0;

const addi4spn = (h: number): number => span(h, 12, 11, 4) | span(h, 10, 7, 6) | bit(h, 6, 2) | bit(h, 5, 3);
const addi16sp = (h: number): number =>
  signed(bit(h, 12, 9) | bit(h, 6, 4) | bit(h, 5, 6) | span(h, 4, 3, 7) | bit(h, 2, 5), 10);

/** In order: a form that is a special case of a later one comes first. */
export const compressedForms: readonly CompressedForm[] = [
  form(
    "c.addi4spn",
    0x0000,
    quadrant,
    "addi",
    (h) => ({ rd: short2(h), rs1: 2, imm: addi4spn(h) }),
    (h) => addi4spn(h) === 0,
  ),
  form("c.fld", 0x2000, quadrant, "fld", shortLoad(doubleOffset), undefined, double),
  form("c.lw", 0x4000, quadrant, "lw", shortLoad(wordOffset)),
  form("c.ld", 0x6000, quadrant, "ld", shortLoad(doubleOffset)),
  form("c.fsd", 0xa000, quadrant, "fsd", shortStore(doubleOffset), undefined, double),
  form("c.sw", 0xc000, quadrant, "sw", shortStore(wordOffset)),
  form("c.sd", 0xe000, quadrant, "sd", shortStore(doubleOffset)),
  form("c.addi", 0x0001, quadrant, "addi", (h) => ({ rd: full(h), rs1: full(h), imm: imm6(h) })),
  form("c.addiw", 0x2001, quadrant, "addiw", (h) => ({ rd: full(h), rs1: full(h), imm: imm6(h) }), noDestination),
  form("c.li", 0x4001, quadrant, "addi", (h) => ({ rd: full(h), rs1: 0, imm: imm6(h) })),
  form(
    "c.addi16sp",
    0x6101,
    0xef83,
    "addi",
    (h) => ({ rd: 2, rs1: 2, imm: addi16sp(h) }),
    (h) => addi16sp(h) === 0,
  ),
  form(
    "c.lui",
    0x6001,
    quadrant,
    "lui",
    (h) => ({ rd: full(h), imm: imm6(h) << 12 }),
    (h) => imm6(h) === 0,
  ),
  form("c.srli", 0x8001, 0xec03, "srli", (h) => ({ rd: short1(h), rs1: short1(h), imm: shamt(h) })),
  form("c.srai", 0x8401, 0xec03, "srai", (h) => ({ rd: short1(h), rs1: short1(h), imm: shamt(h) })),
  form("c.andi", 0x8801, 0xec03, "andi", (h) => ({ rd: short1(h), rs1: short1(h), imm: imm6(h) })),
  form("c.sub", 0x8c01, arithmetic, "sub", registerPair),
  form("c.xor", 0x8c21, arithmetic, "xor", registerPair),
  form("c.or", 0x8c41, arithmetic, "or", registerPair),
  form("c.and", 0x8c61, arithmetic, "and", registerPair),
  form("c.subw", 0x9c01, arithmetic, "subw", registerPair),
  form("c.addw", 0x9c21, arithmetic, "addw", registerPair),
  form("c.j", 0xa001, quadrant, "jal", (h) => ({ rd: 0, imm: jumpOffset(h) })),
  form("c.beqz", 0xc001, quadrant, "beq", (h) => ({ rs1: short1(h), rs2: 0, imm: branchOffset(h) })),
  form("c.bnez", 0xe001, quadrant, "bne", (h) => ({ rs1: short1(h), rs2: 0, imm: branchOffset(h) })),
  form("c.slli", 0x0002, quadrant, "slli", (h) => ({ rd: full(h), rs1: full(h), imm: shamt(h) })),
  form("c.fldsp", 0x2002, quadrant, "fld", stackLoad(doubleStackLoad), undefined, double),
  form("c.lwsp", 0x4002, quadrant, "lw", stackLoad(wordStackLoad), noDestination),
  form("c.ldsp", 0x6002, quadrant, "ld", stackLoad(doubleStackLoad), noDestination),
  form("c.jr", 0x8002, 0xf07f, "jalr", (h) => ({ rd: 0, rs1: full(h), imm: 0 }), noDestination),
  form("c.mv", 0x8002, withBit12, "add", (h) => ({ rd: full(h), rs1: 0, rs2: full2(h) })),
  form("c.ebreak", 0x9002, 0xffff, "ebreak", () => ({})),
  form("c.jalr", 0x9002, 0xf07f, "jalr", (h) => ({ rd: 1, rs1: full(h), imm: 0 })),
  form("c.add", 0x9002, withBit12, "add", (h) => ({ rd: full(h), rs1: full(h), rs2: full2(h) })),
  form("c.fsdsp", 0xa002, quadrant, "fsd", stackStore(doubleStackStore), undefined, double),
  form("c.swsp", 0xc002, quadrant, "sw", stackStore(wordStackStore)),
  form("c.sdsp", 0xe002, quadrant, "sd", stackStore(doubleStackStore)),
];
