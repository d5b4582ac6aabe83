// table: the constants of fli (unprivileged spec, Zfa, "FLI"), in every format.
import { binary16, binary32, binary64, signed, type FloatFormat } from "./float-format.ts";
import { roundTo } from "./rounding.ts";

/** The finite ones in order, but for the second, as numbers; what a format cannot hold becomes its infinity. */
const values: readonly number[] = [
  ...[-1, 0, 2 ** -16, 2 ** -15, 2 ** -8, 2 ** -7, 0.0625, 0.125, 0.25, 0.3125, 0.375, 0.4375, 0.5, 0.625, 0.75, 0.875],
  ...[1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 8, 16, 128, 256, 2 ** 15, 2 ** 16],
];
/** All of them are whole in these units. */
const unitExponent = -16;

function patterns(f: FloatFormat): readonly bigint[] {
  const smallestNormal = 2n * f.quietBit;
  const finite = values.map((value, i) => {
    if (i === 1) return smallestNormal;
    const significand = BigInt(Math.abs(value) * 2 ** -unitExponent);
    const magnitude = roundTo(f, { significand, exponent: unitExponent }, { rounding: 0, flags: 0 });
    return signed(f, value < 0, magnitude);
  });
  return [...finite, f.infinity, f.canonicalNaN];
}

const toImmediate = (bits: bigint): number => Number(BigInt.asIntN(32, bits));
const constants: Readonly<Record<"fli.h" | "fli.s" | "fli.d", readonly number[]>> = {
  "fli.h": patterns(binary16).map(toImmediate),
  "fli.s": patterns(binary32).map(toImmediate),
  "fli.d": patterns(binary64).map((bits) => toImmediate(bits >> 32n)),
};

/** The pattern of constant `index`; of a double its upper half, below which all bits are zero. */
export function floatConstant(instruction: keyof typeof constants, index: number): number {
  return constants[instruction][index]!;
}

/** How assembly names it. */
export function floatConstantName(index: number): string {
  if (index === 1) return "min";
  return index === 30 ? "inf" : index === 31 ? "nan" : String(values[index]!);
}
