// The operations that the slow path executes, numbered for the field `fpOp`.
import { assert } from "../../../base/index.ts";

type Suffix = "h" | "s" | "d";
type IntegerSuffix = "w" | "wu" | "l" | "lu";
type Each<N extends string> = `${N}.${Suffix}`;
export type FpOperationName =
  | Each<"fadd" | "fsub" | "fmul" | "fdiv" | "fsqrt" | "fmadd" | "fmsub" | "fnmsub" | "fnmadd">
  | Each<"fmin" | "fmax" | "feq" | "flt" | "fle" | "fclass">
  | Each<"fminm" | "fmaxm" | "fltq" | "fleq" | "fround" | "froundnx">
  | `fcvt.${Suffix}.${IntegerSuffix}`
  | `fcvt.${IntegerSuffix}.${Suffix}`
  | FpConversionName
  | "fcvtmod.w.d";
/** From the format that is named last. */
export type FpConversionName =
  | ("fcvt.s.d" | "fcvt.d.s" | "fcvt.s.h" | "fcvt.h.s" | "fcvt.d.h" | "fcvt.h.d")
  | ("fcvt.s.bf16" | "fcvt.bf16.s");

const suffixes: readonly Suffix[] = ["s", "d", "h"];
const stems = [
  ...["fadd", "fsub", "fmul", "fdiv", "fsqrt", "fmadd", "fmsub", "fnmsub", "fnmadd", "fmin", "fmax"],
  ...["feq", "flt", "fle", "fclass", "fminm", "fmaxm", "fltq", "fleq", "fround", "froundnx"],
];
const integerSuffixes: readonly IntegerSuffix[] = ["w", "wu", "l", "lu"];
export const fpConversionNames: readonly FpConversionName[] = [
  ...(["fcvt.s.d", "fcvt.d.s", "fcvt.s.h", "fcvt.h.s", "fcvt.d.h", "fcvt.h.d"] as const),
  ...(["fcvt.s.bf16", "fcvt.bf16.s"] as const),
];

/** In the order of their numbers. */
export const fpOperationNames: readonly FpOperationName[] = [
  ...stems.flatMap((stem) => suffixes.map((suffix) => `${stem}.${suffix}` as FpOperationName)),
  ...integerSuffixes.flatMap((n) => suffixes.flatMap((f) => [`fcvt.${f}.${n}`, `fcvt.${n}.${f}`] as const)),
  ...fpConversionNames,
  "fcvtmod.w.d",
];

export function fpOperation(name: FpOperationName): number {
  const index = fpOperationNames.indexOf(name);
  assert(index >= 0, "a floating-point operation has a number", name);
  return index;
}
