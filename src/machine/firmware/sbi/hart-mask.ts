// Lists of harts as SBI calls pass them (chapter 3, "Hart list parameter").
import type { Hart } from "../../../target/riscv/port.ts";
import { ALL_ONES, XLEN } from "./spec.ts";

/**
 * The harts that bit i of `mask` names as hart `base + i`; all of them when `base` is -1. Undefined when one of them
 * does not exist.
 */
export function hartsOf(harts: readonly Hart[], mask: bigint, base: bigint): readonly Hart[] | undefined {
  if (base === ALL_ONES) return harts;
  const found: Hart[] = [];
  for (let bit = 0; bit < XLEN; bit++) {
    if (((mask >> BigInt(bit)) & 1n) === 0n) continue;
    // Beyond 2^53 no hart exists, and Number only rounds.
    const hart = harts[Number(base) + bit];
    if (hart === undefined) return undefined;
    found.push(hart);
  }
  return found;
}
