// table: Zacas, compare-and-swap (unprivileged spec §15.1).
import { i64, imm32, reg, type Width } from "../../../accel/index.ts";
import type { Instruction } from "../encoding.ts";
import { rs1, rs2, setRd } from "../operands.ts";
import { atomicPattern, extendTo } from "./rv64a.ts";

/** rd has the value to compare with and takes the old one. */
function compareAndSwap(suffix: string, f3: number, width: Width, extension: string): Instruction {
  return {
    name: `amocas.${suffix}`,
    extensions: [extension],
    ...atomicPattern(0x05, f3),
    operands: { dst: "x", src1: "x", src2: "x", src3: "rd" },
    assembly: "rd, rs2, (rs1)",
    semantics: (c) => {
      const expected = c.let(extendTo(width, reg("i64", "src3")));
      const wanted = c.let(rs2);
      const at = c.translate(rs1, width, "atomic");
      const old = c.hostLoad(at, width, true);
      c.if(i64.eq(old, expected), () => c.hostStore(at, width, wanted));
      setRd(c, old);
    },
  };
}

export const zacas: readonly Instruction[] = [
  compareAndSwap("w", 2, 4, "zacas"),
  compareAndSwap("d", 3, 8, "zacas"),
  compareAndSwap("b", 0, 1, "zacas+zabha"),
  compareAndSwap("h", 1, 2, "zacas+zabha"),
  {
    // 16 bytes: both halves of both register pairs are beyond what operands of generated code can name. Odd registers name
    // no pair, and their encodings are reserved.
    name: "amocas.q",
    extensions: ["zacas"],
    match: atomicPattern(0x05, 4).match,
    mask: atomicPattern(0x05, 4).mask | (1 << 7) | (1 << 20),
    operands: { imm: "raw" },
    assembly: "rd, rs2, (rs1)",
    semantics: (c) => c.helper("compareAndSwapPair", imm32),
  },
];
