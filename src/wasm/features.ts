// What this engine can do, found by validating tiny modules; nothing is guessed from version numbers.
import { ModuleBuilder } from "./module-builder.ts";

export interface WasmFeatures {
  /** Memories that several threads can share (atomics). */
  readonly sharedMemory: boolean;
  /** Relaxed SIMD, with a multiply-add that rounds once on this machine. */
  readonly fusedMultiplyAdd: boolean;
}

export function probeFeatures(): WasmFeatures {
  return { sharedMemory: hasSharedMemory(), fusedMultiplyAdd: hasFusedMultiplyAdd() };
}

function hasSharedMemory(): boolean {
  const module = new ModuleBuilder();
  module.importMemory({ module: "env", name: "memory", minimumPages: 1, maximumPages: 1, shared: true });
  return WebAssembly.validate(module.encode());
}

/**
 * Relaxed multiply-add may round once or twice, as the engine likes. (1 + 2^-27)^2 - 1 differs in its last bits between
 * the two, so one call decides; optimising tiers of the same engine on the same processor use the same instruction.
 */
function hasFusedMultiplyAdd(): boolean {
  const module = new ModuleBuilder();
  const { builder } = module.define({ params: ["f64", "f64", "f64"], results: ["f64"] }, "madd");
  for (const i of [0, 1, 2]) {
    builder.get(builder.param(i));
    builder.vector("f64x2.splat");
  }
  builder.vector("f64x2.relaxed_madd");
  builder.vector("f64x2.extract_lane", 0);
  const bytes = module.encode();
  if (!WebAssembly.validate(bytes)) return false;
  const madd = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports["madd"] as (
    a: number,
    b: number,
    c: number,
  ) => number;
  const a = 1 + 2 ** -27;
  const fused = 2 ** -26 + 2 ** -54;
  for (let i = 0; i < 20_000; i++) if (madd(a, a, -1) !== fused) return false;
  return true;
}
