// V8 flags that make generated code faster. They hold for the whole process and must be set before the first compilation.
import { setFlagsFromString } from "node:v8";

/** First Node line that has branch hints and relaxed SIMD without a flag. */
const branchHintsSince = 26;
const relaxedSimdSince = 22;
/** The last line whose optimizer allocates registers of huge functions by a quicker and much worse method. */
const midTierAllocationUntil = 20;

/**
 * Turns on branch hints (a quarter more interpreter speed) and relaxed SIMD (the processor's own fused multiply-add) where
 * this Node has them behind flags, and lets the optimizer keep the interpreter's state in registers, a function of more
 * than 8192 values (a third of its time in a boot). What they mean for guests is the same either way.
 */
export function tuneEngine(): void {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < branchHintsSince) setFlagsFromString("--experimental-wasm-branch-hinting");
  if (major < relaxedSimdSince) setFlagsFromString("--experimental-wasm-relaxed-simd");
  if (major <= midTierAllocationUntil) setFlagsFromString("--no-turbo-use-mid-tier-regalloc-for-huge-functions");
}
