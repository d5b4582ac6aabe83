// table: RV64A: load-reserved, store-conditional and atomic operations (unprivileged spec §13), and Zabha, those of bytes
// and halfwords (§16).
import { field, i64, op, select, type Expr, type Width } from "../../../accel/index.ts";
import type { Instruction } from "../encoding.ts";
import { rs1, rs2, setRd } from "../operands.ts";
import { noReservation } from "../state.ts";

/** funct5 in bits 31:27; aq and rl (26:25) are free: harts run in turn, so order is kept anyway. */
export function atomicPattern(funct5: number, f3: number, fixed = 0): { match: number; mask: number } {
  return { match: 0x2f | (f3 << 12) | (funct5 << 27), mask: 0x7f | (7 << 12) | (0x1f << 27) | fixed };
}

const widths: readonly { readonly suffix: string; readonly f3: number; readonly width: Width }[] = [
  { suffix: "w", f3: 2, width: 4 },
  { suffix: "d", f3: 3, width: 8 },
];

const narrowWidths: typeof widths = [
  { suffix: "b", f3: 0, width: 1 },
  { suffix: "h", f3: 1, width: 2 },
];

/** The low `width` bytes, sign-extended as loaded values are; that keeps the order of unsigned values too. */
export function extendTo(width: Width, a: Expr<"i64">): Expr<"i64"> {
  return width === 8 ? a : op(`i64.extend${(width * 8) as 8 | 16 | 32}_s`, a);
}

type Combine = (old: Expr<"i64">, operand: Expr<"i64">) => Expr<"i64">;

function amo(name: string, funct5: number, combine: Combine): readonly Instruction[] {
  return [...widths, ...narrowWidths].map(({ suffix, f3, width }) => ({
    name: `${name}.${suffix}`,
    extensions: width < 4 ? ["zabha"] : ["a", "zaamo"],
    ...atomicPattern(funct5, f3),
    operands: { dst: "x", src1: "x", src2: "x" },
    assembly: "rd, rs2, (rs1)",
    semantics: (c) => {
      const at = c.translate(rs1, width, "atomic");
      const old = c.hostLoad(at, width, true);
      const operand = c.let(extendTo(width, rs2));
      c.hostStore(at, width, combine(old, operand));
      setRd(c, old);
    },
  }));
}

const pick =
  (compare: "i64.lt_s" | "i64.gt_s" | "i64.lt_u" | "i64.gt_u"): Combine =>
  (old, operand) =>
    select(op<"i32">(compare, old, operand), old, operand);

export const rv64a: readonly Instruction[] = [
  ...widths.map(({ suffix, f3, width }): Instruction => ({
    name: `lr.${suffix}`,
    extensions: ["a", "zalrsc"],
    ...atomicPattern(0x02, f3, 0x1f << 20),
    operands: { dst: "x", src1: "x" },
    assembly: "rd, (rs1)",
    semantics: (c) => {
      const address = c.let(rs1);
      const value = c.hostLoad(c.translate(address, width, "atomicLoad"), width, true);
      c.setField("reservationVa", address);
      c.setField("reservationValue", value);
      setRd(c, value);
    },
  })),
  ...widths.map(({ suffix, f3, width }): Instruction => ({
    name: `sc.${suffix}`,
    extensions: ["a", "zalrsc"],
    ...atomicPattern(0x03, f3),
    operands: { dst: "x", src1: "x", src2: "x" },
    assembly: "rd, rs2, (rs1)",
    semantics: (c) => {
      const address = c.let(rs1);
      const value = c.let(rs2);
      const failed = c.let(i64.const(1));
      const wanted = c.let(field("i64", "reservationVa"));
      // What is misaligned traps in any case (§13.2); a failure is otherwise treated like no store.
      const misaligned = op<"i32">("i64.ne", i64.and(address, i64.const(width - 1)), i64.const(0));
      c.if(op<"i32">("i32.or", i64.eq(address, wanted), misaligned), () => {
        const at = c.translate(address, width, "atomic");
        c.if(i64.eq(c.hostLoad(at, width, true), field("i64", "reservationValue")), () => {
          c.hostStore(at, width, value);
          c.set(failed, i64.const(0));
        });
      });
      c.setField("reservationVa", i64.big(noReservation));
      setRd(c, failed);
    },
  })),
  ...amo("amoswap", 0x01, (_old, operand) => operand),
  ...amo("amoadd", 0x00, i64.add),
  ...amo("amoxor", 0x04, i64.xor),
  ...amo("amoand", 0x0c, i64.and),
  ...amo("amoor", 0x08, i64.or),
  ...amo("amomin", 0x10, pick("i64.lt_s")),
  ...amo("amomax", 0x14, pick("i64.gt_s")),
  ...amo("amominu", 0x18, pick("i64.lt_u")),
  ...amo("amomaxu", 0x1c, pick("i64.gt_u")),
];
