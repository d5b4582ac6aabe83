import { setFlagsFromString } from "node:v8";
import { describe, expect, test } from "vitest";
import { ModuleBuilder, probeFeatures, type WasmFeatures } from "../../../wasm/index.ts";
import { multiplyAdd } from "./arithmetic.ts";
import { binary32, binary64, magnitudeOf, type FloatFormat } from "./float-format.ts";
import { fmaLibrary } from "./fma.ts";
import { Patterns } from "./testing/patterns.ts";

// Older V8 has relaxed SIMD behind this flag; engines that know it no more have it anyway.
setFlagsFromString("--experimental-wasm-relaxed-simd");
const engine = probeFeatures();
const software: WasmFeatures = { ...engine, fusedMultiplyAdd: false };

/** The library functions with patterns instead of values, as JavaScript numbers lose the bits of NaNs. */
function build(features: WasmFeatures): Record<"fma32" | "fma64", (a: bigint, b: bigint, c: bigint) => bigint> {
  const module = new ModuleBuilder();
  const library = fmaLibrary(features).map((entry) => {
    const { builder, index } = module.define(entry.type);
    entry.build(builder);
    return { name: entry.name, index };
  });
  for (const { name, index } of library) {
    const { builder } = module.define({ params: ["i64", "i64", "i64"], results: ["i64"] }, name);
    for (const i of [0, 1, 2]) {
      builder.get(builder.param(i));
      if (name === "fma32") builder.op("i32.wrap_i64");
      builder.op(name === "fma32" ? "f32.reinterpret_i32" : "f64.reinterpret_i64");
    }
    builder.call(index);
    builder.op(name === "fma32" ? "i32.reinterpret_f32" : "i64.reinterpret_f64");
    if (name === "fma32") builder.op("i64.extend_i32_u");
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()));
  const unsigned =
    (name: string) =>
    (a: bigint, b: bigint, c: bigint): bigint =>
      BigInt.asUintN(64, (exports[name] as (...args: bigint[]) => bigint)(a, b, c));
  return { fma32: unsigned("fma32"), fma64: unsigned("fma64") };
}

const smallestNormal = (f: FloatFormat): bigint => 2n * f.quietBit;
const isNormal = (f: FloatFormat, bits: bigint): boolean =>
  magnitudeOf(f, bits) > smallestNormal(f) && magnitudeOf(f, bits) < f.infinity;

describe.each([
  ["in software", software, true],
  ["by the engine", engine, engine.fusedMultiplyAdd],
] as const)("multiply-add %s", (_title, features, present) => {
  test.skipIf(!present).each([
    ["fma32", binary32],
    ["fma64", binary64],
  ] as const)("%s gives no normal number but the one rounded once", (name, f) => {
    const fma = build(features)[name];
    const patterns = new Patterns(9n);
    let normal = 0;
    for (let i = 0; i < 15_000; i++) {
      const a = patterns.any(f);
      const b = patterns.partner(f, a);
      const c = patterns.addend(f, a, b);
      const got = fma(a, b, c);
      if (!isNormal(f, got)) continue;
      const exact = multiplyAdd(f, a, b, c, { rounding: 0, flags: 0 });
      if (got !== exact) expect([a, b, c, got].map((x) => x.toString(16))).toBe(exact.toString(16));
      normal++;
    }
    expect(normal).toBeGreaterThan(3000);
  });

  test.skipIf(!present)("fma64 of ordinary numbers does not ask for the slow path", () => {
    const fma = build(features).fma64;
    const patterns = new Patterns(10n);
    const ordinary = (): bigint => (BigInt(1023 - 300 + patterns.below(600)) << 52n) | (patterns.any(binary64) >> 12n);
    for (let i = 0; i < 2000; i++) {
      const [a, b, c] = [ordinary(), ordinary(), ordinary()];
      expect(fma(a, b, c)).toBe(multiplyAdd(binary64, a, b, c, { rounding: 0, flags: 0 }));
    }
  });

  test.skipIf(!present).each([
    ["a zero product keeps the addend", 0n, 0x7fef_ffff_ffff_ffffn, 0x4000_0000_0000_0000n, 0x4000_0000_0000_0000n],
    ["minus zero plus minus zero", 1n << 63n, 0x3ff0_0000_0000_0000n, 1n << 63n, 1n << 63n],
    ["a zero addend keeps the product", 0x4000_0000_0000_0000n, 0x4000_0000_0000_0000n, 0n, 0x4010_0000_0000_0000n],
    [
      "one bit that two roundings lose",
      0x3ff0_0000_0200_0000n,
      0x3ff0_0000_0200_0000n,
      0xbff0_0000_0400_0000n,
      0x3c90_0000_0000_0000n,
    ],
  ])("%s", (_name, a, b, c, result) => {
    expect(build(features).fma64(a, b, c)).toBe(result);
  });
});
