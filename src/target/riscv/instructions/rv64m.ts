// table: RV64M and Zmmul (unprivileged spec §12). Division never traps: the divisor is made harmless before it is used.
import { call, extend32, extendS, i32, i64, op, select, wrap, type Code, type Expr } from "../../../accel/index.ts";
import { pattern, type Instruction } from "../encoding.ts";
import { low32, rs1, rs2, setRd } from "../operands.ts";

const M = ["m"];
const operands = { dst: "x", src1: "x", src2: "x" } as const;

function define(
  name: string,
  opcode: number,
  f3: number,
  extensions: readonly string[],
  semantics: (c: Code) => void,
): Instruction {
  return { name, extensions, ...pattern(opcode, f3, 1), operands, assembly: "rd, rs1, rs2", semantics };
}

const zero = i64.const(0);
const one = i64.const(1);

/** Signed: x / 0 = -1, min / -1 = min; the remainder is x and 0. Dividing by 1 instead gives both overflow answers. */
function signed(c: Code, a: Expr<"i64">, b: Expr<"i64">, minimum: bigint, remainder: boolean): Expr<"i64"> {
  const x = c.let(a);
  const y = c.let(b);
  const byZero = c.let(i64.eqz(y));
  const overflow = i32.and(i64.eq(x, i64.big(minimum)), i64.eq(y, i64.const(-1)));
  const safe = select(i32.or(byZero, overflow), one, y);
  return remainder
    ? select(byZero, x, op("i64.rem_s", x, safe))
    : select(byZero, i64.const(-1), op("i64.div_s", x, safe));
}

/** Unsigned: x / 0 = all ones, the remainder is x. */
function unsigned(c: Code, a: Expr<"i64">, b: Expr<"i64">, remainder: boolean): Expr<"i64"> {
  const x = c.let(a);
  const y = c.let(b);
  const byZero = c.let(i64.eqz(y));
  const safe = select(byZero, one, y);
  return remainder
    ? select(byZero, x, op("i64.rem_u", x, safe))
    : select(byZero, i64.const(-1), op("i64.div_u", x, safe));
}

const min64 = -(2n ** 63n);
/** Word operands are widened, so only division by zero is special: -2^31 / -1 fits in 64 bits and is cut afterwards. */
const noOverflow = min64;

const multiply = ["m", "zmmul"];

export const rv64m: readonly Instruction[] = [
  define("mul", 0x33, 0, multiply, (c) => setRd(c, i64.mul(rs1, rs2))),
  define("mulh", 0x33, 1, multiply, (c) => {
    const a = c.let(rs1);
    const b = c.let(rs2);
    const high = call("i64", "mulhu", a, b);
    const fixA = select(i64.ltS(a, zero), b, zero);
    const fixB = select(i64.ltS(b, zero), a, zero);
    setRd(c, i64.sub(i64.sub(high, fixA), fixB));
  }),
  define("mulhsu", 0x33, 2, multiply, (c) => {
    const a = c.let(rs1);
    const b = c.let(rs2);
    setRd(c, i64.sub(call("i64", "mulhu", a, b), select(i64.ltS(a, zero), b, zero)));
  }),
  define("mulhu", 0x33, 3, multiply, (c) => setRd(c, call("i64", "mulhu", rs1, rs2))),
  define("div", 0x33, 4, M, (c) => setRd(c, signed(c, rs1, rs2, min64, false))),
  define("divu", 0x33, 5, M, (c) => setRd(c, unsigned(c, rs1, rs2, false))),
  define("rem", 0x33, 6, M, (c) => setRd(c, signed(c, rs1, rs2, min64, true))),
  define("remu", 0x33, 7, M, (c) => setRd(c, unsigned(c, rs1, rs2, true))),
  define("mulw", 0x3b, 0, multiply, (c) => setRd(c, extendS(i32.mul(wrap(rs1), wrap(rs2))))),
  define("divw", 0x3b, 4, M, (c) => setRd(c, extend32(signed(c, extend32(rs1), extend32(rs2), noOverflow, false)))),
  define("divuw", 0x3b, 5, M, (c) => setRd(c, extend32(unsigned(c, low32(rs1), low32(rs2), false)))),
  define("remw", 0x3b, 6, M, (c) => setRd(c, extend32(signed(c, extend32(rs1), extend32(rs2), noOverflow, true)))),
  define("remuw", 0x3b, 7, M, (c) => setRd(c, extend32(unsigned(c, low32(rs1), low32(rs2), true)))),
];
