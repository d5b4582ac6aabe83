// The exact slow path of floating-point instructions.
import type { HartCore } from "../hart-core.ts";

/** Executes the instruction whose identity is in `fpOp`; false when it is illegal in this state. */
export function executeFp(_core: HartCore, _word: number): boolean {
  return false;
}
