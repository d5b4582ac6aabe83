// One SBI call, as an extension sees it, and what it may answer.
import type { Hart } from "../../../target/riscv/port.ts";
import { SbiError } from "./spec.ts";

export interface SbiCall {
  readonly hart: Hart;
  /** a6. */
  readonly functionId: bigint;
  /** a0 to a5. */
  readonly args: readonly [bigint, bigint, bigint, bigint, bigint, bigint];
}

/** a0 and a1 as the caller gets them; undefined when the call does not come back (a hart stopped or resumed elsewhere). */
export type SbiAnswer = { readonly error: SbiError; readonly value: bigint } | undefined;

export interface SbiExtension {
  readonly eid: number;
  call(call: SbiCall): SbiAnswer;
}

export function success(value: bigint = 0n): SbiAnswer {
  return { error: SbiError.success, value };
}

export function failure(error: SbiError): SbiAnswer {
  return { error, value: 0n };
}

export const notSupported: SbiAnswer = failure(SbiError.notSupported);
