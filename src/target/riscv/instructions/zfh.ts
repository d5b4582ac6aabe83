// table: Zfh and Zfhmin, half precision (unprivileged spec, Zfh), and Zfbfmin, BF16 conversions (BF16). WebAssembly computes in
// no format of 16 bits, so that all arithmetic is on the slow path.
import type { Instruction, Operands } from "../encoding.ts";
import type { FpOperationName } from "../fp/operations.ts";
import { double, encode, half, signInjections, single, slow, transfer, type Format } from "./float-forms.ts";

const full = ["zfh"];

interface Shape {
  readonly operands: Operands;
  readonly assembly: string;
}
const two: Shape = { operands: { dst: "f", src1: "f", src2: "f", imm: "fp" }, assembly: "fd, fs1, fs2" };
const twoRounded: Shape = { ...two, assembly: "fd, fs1, fs2, rm" };
const oneRounded: Shape = { operands: { dst: "f", src1: "f", imm: "fp" }, assembly: "fd, fs1, rm" };
const three: Shape = {
  operands: { dst: "f", src1: "f", src2: "f", src3: "f", imm: "fp" },
  assembly: "fd, fs1, fs2, fs3, rm",
};
const comparison: Shape = { operands: { dst: "x", src1: "f", src2: "f", imm: "fp" }, assembly: "rd, fs1, fs2" };
const toInteger: Shape = { operands: { dst: "x", src1: "f", imm: "fp" }, assembly: "rd, fs1, rm" };
const fromInteger: Shape = { operands: { dst: "f", src1: "x", imm: "fp" }, assembly: "fd, rs1, rm" };

function exact(
  name: FpOperationName,
  shape: Shape,
  bits: { match: number; mask: number },
  extensions: readonly string[] = full,
): Instruction {
  return { name, extensions, ...bits, ...shape, semantics: (c) => slow(c, name) };
}

const fused = (opcode: number): { match: number; mask: number } => ({
  match: opcode | (half.code << 25),
  mask: 0x7f | (3 << 25),
});

/** From one format to the other; both fields of the encoding name one. */
const convert = (name: FpOperationName, to: Format, from: number, extensions: readonly string[]): Instruction =>
  exact(name, oneRounded, encode(0x08, to, { rs2: from }), extensions);

const anyHalf = ["zfh", "zfhmin"];
const withDouble = ["zfh+d", "zfhmin+d"];

export const zfh: readonly Instruction[] = [
  ...transfer(half, ["zfh", "zfhmin", "zfbfmin"]),
  convert("fcvt.s.h", single, half.code, anyHalf),
  convert("fcvt.h.s", half, single.code, anyHalf),
  convert("fcvt.d.h", double, half.code, withDouble),
  convert("fcvt.h.d", half, double.code, withDouble),
  convert("fcvt.s.bf16", single, 6, ["zfbfmin"]),
  convert("fcvt.bf16.s", half, 8, ["zfbfmin"]),
  exact("fmadd.h", three, fused(0x43)),
  exact("fmsub.h", three, fused(0x47)),
  exact("fnmsub.h", three, fused(0x4b)),
  exact("fnmadd.h", three, fused(0x4f)),
  exact("fadd.h", twoRounded, encode(0x00, half)),
  exact("fsub.h", twoRounded, encode(0x01, half)),
  exact("fmul.h", twoRounded, encode(0x02, half)),
  exact("fdiv.h", twoRounded, encode(0x03, half)),
  exact("fsqrt.h", oneRounded, encode(0x0b, half, { rs2: 0 })),
  ...signInjections(half, full),
  exact("fmin.h", two, encode(0x05, half, { funct3: 0 })),
  exact("fmax.h", two, encode(0x05, half, { funct3: 1 })),
  exact("feq.h", comparison, encode(0x14, half, { funct3: 2 })),
  exact("flt.h", comparison, encode(0x14, half, { funct3: 1 })),
  exact("fle.h", comparison, encode(0x14, half, { funct3: 0 })),
  ...(["w", "wu", "l", "lu"] as const).flatMap((integer, rs2) => [
    exact(`fcvt.${integer}.h`, toInteger, encode(0x18, half, { rs2 })),
    exact(`fcvt.h.${integer}`, fromInteger, encode(0x1a, half, { rs2 })),
  ]),
  exact("fclass.h", { ...toInteger, assembly: "rd, fs1" }, encode(0x1c, half, { rs2: 0, funct3: 1 })),
];
