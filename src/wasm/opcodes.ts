// table: the WebAssembly instructions that generated code uses, by their text names (core specification 2.0, §5.4).

export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";

/** Binary encoding of a value type (§5.3.1). */
export const valueTypeCode: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

type IntegerOp =
  | "eqz"
  | "eq"
  | "ne"
  | "clz"
  | "ctz"
  | "popcnt"
  | "add"
  | "sub"
  | "mul"
  | "and"
  | "or"
  | "xor"
  | "shl"
  | "rotl"
  | "rotr"
  | "extend8_s"
  | "extend16_s"
  | `${"lt" | "gt" | "le" | "ge" | "div" | "rem" | "shr"}_${"s" | "u"}`;
type FloatOp =
  | ("eq" | "ne" | "lt" | "gt" | "le" | "ge" | "abs" | "neg" | "ceil" | "floor" | "trunc" | "nearest" | "sqrt")
  | ("add" | "sub" | "mul" | "div" | "min" | "max" | "copysign");
type ConversionOp =
  | "i32.wrap_i64"
  | "i64.extend32_s"
  | `i64.extend_i32_${"s" | "u"}`
  | `${"f32" | "f64"}.convert_${"i32" | "i64"}_${"s" | "u"}`
  | "f32.demote_f64"
  | "f64.promote_f32"
  | "i32.reinterpret_f32"
  | "i64.reinterpret_f64"
  | "f32.reinterpret_i32"
  | "f64.reinterpret_i64"
  | `${"i32" | "i64"}.trunc_sat_${"f32" | "f64"}_${"s" | "u"}`;
export type NumericOp = `${"i32" | "i64"}.${IntegerOp}` | `${"f32" | "f64"}.${FloatOp}` | ConversionOp;

const range = <const N extends NumericOp>(first: number, names: readonly N[]): Record<N, number> =>
  Object.fromEntries(names.map((name, i) => [name, first + i])) as Record<N, number>;

/** Numeric instructions without immediates: text name to opcode; values above 0xff carry a prefix byte (0xfc) on top. */
export const numericOps: Readonly<Record<NumericOp, number>> = {
  ...range(0x45, ["i32.eqz", "i32.eq", "i32.ne", "i32.lt_s", "i32.lt_u", "i32.gt_s", "i32.gt_u"]),
  ...range(0x4c, ["i32.le_s", "i32.le_u", "i32.ge_s", "i32.ge_u"]),
  ...range(0x50, ["i64.eqz", "i64.eq", "i64.ne", "i64.lt_s", "i64.lt_u", "i64.gt_s", "i64.gt_u"]),
  ...range(0x57, ["i64.le_s", "i64.le_u", "i64.ge_s", "i64.ge_u"]),
  ...range(0x5b, ["f32.eq", "f32.ne", "f32.lt", "f32.gt", "f32.le", "f32.ge"]),
  ...range(0x61, ["f64.eq", "f64.ne", "f64.lt", "f64.gt", "f64.le", "f64.ge"]),
  ...range(0x67, ["i32.clz", "i32.ctz", "i32.popcnt", "i32.add", "i32.sub", "i32.mul", "i32.div_s", "i32.div_u"]),
  ...range(0x6f, ["i32.rem_s", "i32.rem_u", "i32.and", "i32.or", "i32.xor", "i32.shl", "i32.shr_s", "i32.shr_u"]),
  ...range(0x77, ["i32.rotl", "i32.rotr"]),
  ...range(0x79, ["i64.clz", "i64.ctz", "i64.popcnt", "i64.add", "i64.sub", "i64.mul", "i64.div_s", "i64.div_u"]),
  ...range(0x81, ["i64.rem_s", "i64.rem_u", "i64.and", "i64.or", "i64.xor", "i64.shl", "i64.shr_s", "i64.shr_u"]),
  ...range(0x89, ["i64.rotl", "i64.rotr"]),
  ...range(0x8b, ["f32.abs", "f32.neg", "f32.ceil", "f32.floor", "f32.trunc", "f32.nearest", "f32.sqrt"]),
  ...range(0x92, ["f32.add", "f32.sub", "f32.mul", "f32.div", "f32.min", "f32.max", "f32.copysign"]),
  ...range(0x99, ["f64.abs", "f64.neg", "f64.ceil", "f64.floor", "f64.trunc", "f64.nearest", "f64.sqrt"]),
  ...range(0xa0, ["f64.add", "f64.sub", "f64.mul", "f64.div", "f64.min", "f64.max", "f64.copysign"]),
  "i32.wrap_i64": 0xa7,
  "i64.extend_i32_s": 0xac,
  "i64.extend_i32_u": 0xad,
  "f32.convert_i32_s": 0xb2,
  "f32.convert_i32_u": 0xb3,
  "f32.convert_i64_s": 0xb4,
  "f32.convert_i64_u": 0xb5,
  "f32.demote_f64": 0xb6,
  "f64.convert_i32_s": 0xb7,
  "f64.convert_i32_u": 0xb8,
  "f64.convert_i64_s": 0xb9,
  "f64.convert_i64_u": 0xba,
  "f64.promote_f32": 0xbb,
  "i32.reinterpret_f32": 0xbc,
  "i64.reinterpret_f64": 0xbd,
  "f32.reinterpret_i32": 0xbe,
  "f64.reinterpret_i64": 0xbf,
  "i32.extend8_s": 0xc0,
  "i32.extend16_s": 0xc1,
  "i64.extend8_s": 0xc2,
  "i64.extend16_s": 0xc3,
  "i64.extend32_s": 0xc4,
  "i32.trunc_sat_f32_s": 0xfc00,
  "i32.trunc_sat_f32_u": 0xfc01,
  "i32.trunc_sat_f64_s": 0xfc02,
  "i32.trunc_sat_f64_u": 0xfc03,
  "i64.trunc_sat_f32_s": 0xfc04,
  "i64.trunc_sat_f32_u": 0xfc05,
  "i64.trunc_sat_f64_s": 0xfc06,
  "i64.trunc_sat_f64_u": 0xfc07,
};

/** Loads and stores: text name to opcode and access width in bytes. */
export const memoryOps = {
  "i32.load": { code: 0x28, widthBytes: 4 },
  "i64.load": { code: 0x29, widthBytes: 8 },
  "f32.load": { code: 0x2a, widthBytes: 4 },
  "f64.load": { code: 0x2b, widthBytes: 8 },
  "i32.load8_s": { code: 0x2c, widthBytes: 1 },
  "i32.load8_u": { code: 0x2d, widthBytes: 1 },
  "i32.load16_s": { code: 0x2e, widthBytes: 2 },
  "i32.load16_u": { code: 0x2f, widthBytes: 2 },
  "i64.load8_s": { code: 0x30, widthBytes: 1 },
  "i64.load8_u": { code: 0x31, widthBytes: 1 },
  "i64.load16_s": { code: 0x32, widthBytes: 2 },
  "i64.load16_u": { code: 0x33, widthBytes: 2 },
  "i64.load32_s": { code: 0x34, widthBytes: 4 },
  "i64.load32_u": { code: 0x35, widthBytes: 4 },
  "i32.store": { code: 0x36, widthBytes: 4 },
  "i64.store": { code: 0x37, widthBytes: 8 },
  "f32.store": { code: 0x38, widthBytes: 4 },
  "f64.store": { code: 0x39, widthBytes: 8 },
  "i32.store8": { code: 0x3a, widthBytes: 1 },
  "i32.store16": { code: 0x3b, widthBytes: 2 },
  "i64.store8": { code: 0x3c, widthBytes: 1 },
  "i64.store16": { code: 0x3d, widthBytes: 2 },
  "i64.store32": { code: 0x3e, widthBytes: 4 },
} as const;
export type MemoryOp = keyof typeof memoryOps;

/** Control and variable instructions (§5.4.1, §5.4.3). */
export const control = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  drop: 0x1a,
  select: 0x1b,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  i32Const: 0x41,
  i64Const: 0x42,
  f32Const: 0x43,
  f64Const: 0x44,
  simdPrefix: 0xfd,
} as const;

/** Vector instructions used for fused multiply-add (fixed-width and relaxed SIMD proposals). */
export const vectorOps = {
  "f64x2.splat": 0x14,
  "f32x4.splat": 0x13,
  "f64x2.extract_lane": 0x21,
  "f32x4.extract_lane": 0x1f,
  "f32x4.relaxed_madd": 0x105,
  "f64x2.relaxed_madd": 0x107,
} as const;
export type VectorOp = keyof typeof vectorOps;

/** The type an instruction leaves on the stack, from its name: comparisons and tests leave i32. */
export function resultType(op: NumericOp): ValueType {
  const [prefix, rest = ""] = op.split(".") as [ValueType, string];
  return /^(eqz|eq|ne|lt|gt|le|ge)(_|$)/.test(rest) ? "i32" : prefix;
}
