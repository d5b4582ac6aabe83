import { describe, expect, test } from "vitest";
import { ModuleBuilder } from "./module-builder.ts";
import { probeFeatures } from "./features.ts";

describe("a built module", () => {
  test("computes with 64-bit arithmetic and a loop", () => {
    const module = new ModuleBuilder();
    const { builder: f } = module.define({ params: ["i64"], results: ["i64"] }, "factorial");
    const n = f.param(0);
    const product = f.local("i64");
    f.i64(1n);
    f.set(product);
    const done = f.block();
    const again = f.loop();
    f.get(n);
    f.op("i64.eqz");
    f.brIf(done, "unlikely");
    f.get(product);
    f.get(n);
    f.op("i64.mul");
    f.set(product);
    f.get(n);
    f.i64(-1n);
    f.op("i64.add");
    f.set(n);
    f.br(again);
    f.end();
    f.end();
    f.get(product);
    const bytes = module.encode();
    expect(WebAssembly.validate(bytes)).toBe(true);
    const { factorial } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as {
      factorial: (n: bigint) => bigint;
    };
    expect(factorial(20n)).toBe(2432902008176640000n);
  });

  test("holds signed constants of every size", () => {
    const values = [0n, -1n, 63n, 64n, -64n, -65n, 2n ** 63n - 1n, -(2n ** 63n), 0x1234_5678_9abc_def0n];
    const module = new ModuleBuilder();
    values.forEach((value, i) => module.define({ params: [], results: ["i64"] }, `c${i}`).builder.i64(value));
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()));
    expect(values.map((_, i) => (exports[`c${i}`] as () => bigint)())).toEqual(values);
  });

  test("imports functions before its own and calls them", () => {
    const module = new ModuleBuilder();
    const twice = module.importFunction("env", "twice", { params: ["i32"], results: ["i32"] });
    const { builder: f } = module.define({ params: ["i32"], results: ["i32"] }, "plusOne");
    f.get(f.param(0));
    f.call(twice);
    f.i32(1);
    f.op("i32.add");
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), {
      env: { twice: (n: number) => n * 2 },
    });
    expect((instance.exports["plusOne"] as (n: number) => number)(20)).toBe(41);
  });
});

test("the feature probe answers on this engine", () => {
  expect(probeFeatures().sharedMemory).toBe(true);
});
