// The operations that the slow path executes, numbered for the field `fpOp`.
import { assert } from "../../../base/index.ts";

type Suffix = "s" | "d";
type IntegerSuffix = "w" | "wu" | "l" | "lu";
type Both<N extends string> = `${N}.${Suffix}`;
export type FpOperationName =
  | Both<"fadd" | "fsub" | "fmul" | "fdiv" | "fsqrt" | "fmadd" | "fmsub" | "fnmsub" | "fnmadd">
  | Both<"fmin" | "fmax" | "feq" | "flt" | "fle" | "fclass">
  | `fcvt.${Suffix}.${IntegerSuffix}`
  | `fcvt.${IntegerSuffix}.${Suffix}`
  | "fcvt.s.d"
  | "fcvt.d.s";

const stems = ["fadd", "fsub", "fmul", "fdiv", "fsqrt", "fmadd", "fmsub", "fnmsub", "fnmadd", "fmin", "fmax"];
const integerSuffixes = ["w", "wu", "l", "lu"];

/** In the order of their numbers. */
export const fpOperationNames: readonly FpOperationName[] = [
  ...[...stems, "feq", "flt", "fle", "fclass"].flatMap((stem) => [`${stem}.s`, `${stem}.d`]),
  ...integerSuffixes.flatMap((n) => [`fcvt.s.${n}`, `fcvt.d.${n}`, `fcvt.${n}.s`, `fcvt.${n}.d`]),
  "fcvt.s.d",
  "fcvt.d.s",
] as FpOperationName[];

export function fpOperation(name: FpOperationName): number {
  const index = fpOperationNames.indexOf(name);
  assert(index >= 0, "a floating-point operation has a number", name);
  return index;
}
