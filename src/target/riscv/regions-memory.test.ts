// How much memory compiled code takes: programs that never stop bringing new code.
import { runInNewContext } from "node:vm";
import { setFlagsFromString } from "node:v8";
import { afterEach, expect, test } from "vitest";
import { assemble as a } from "./testing/assemble.ts";
import { reg, type Assembler } from "./testing/assembler.ts";
import { bareMachine, ramBase, type BareMachine } from "./testing/bare-machine.ts";
import { program, sameInBothTiers } from "./testing/both-tiers.ts";

const { zero, ra, t0, t1, t2, s0, s1, s2, a0 } = reg;
const functionBytes = 256;
const functions = ramBase + 0x2000;
const { Module, Instance } = WebAssembly;

afterEach(() => {
  WebAssembly.Module = Module;
  WebAssembly.Instance = Instance;
});

/** Calls each of `count` functions `calls` times, one after the other, without end. */
const callAll = (p: Assembler, count: number, calls: number): void => {
  p.label("round");
  p.la(s0, functions);
  p.li(s1, count);
  p.label("function");
  p.li(s2, calls);
  p.label("call");
  p.op("jalr", { rd: ra, rs1: s0 });
  p.op("addi", { rd: s2, rs1: s2, imm: -1 });
  p.to("bne", "call", { rs1: s2, rs2: zero });
  p.op("addi", { rd: s0, rs1: s0, imm: functionBytes });
  p.op("addi", { rd: s1, rs1: s1, imm: -1 });
  p.to("bne", "function", { rs1: s1, rs2: zero });
  p.jump("round");
};

/** Code that no engine has seen before. */
function functionOf(n: number): number[] {
  const steps = Array.from({ length: functionBytes / 4 - 1 }, (_, i) =>
    a(i % 2 === 0 ? "addi" : "xori", { rd: a0, rs1: a0, imm: ((n * 61 + i * 7) & 2047) - 1024 }),
  );
  return [...steps, a("jalr", { rs1: ra })];
}

function load(m: BareMachine, count: number): void {
  for (let n = 0; n < count; n++) m.load(functions + n * functionBytes, functionOf(n));
}

/** Counts the instances of modules that are not collected. */
function countInstances(): { live(): Promise<number> } {
  let live = 0;
  const registry = new FinalizationRegistry(() => live--);
  class Counted extends Instance {
    constructor(module: WebAssembly.Module, imports?: WebAssembly.Imports) {
      super(module, imports);
      live++;
      registry.register(this, undefined);
    }
  }
  WebAssembly.Instance = Counted;
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  return {
    async live() {
      for (let i = 0; i < 4; i++) {
        collect();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return live;
    },
  };
}

test("a cache that is far too small: pages are decoded anew, modules given up, results the same", () => {
  const count = 1200;
  const { figures } = sameInBothTiers({
    machine: { ramBytes: 1 << 20 },
    accelerator: { cacheBytes: 1 << 20 },
    prepare: (m) => {
      program((p) => callAll(p, count, 4))(m);
      load(m, count);
    },
    instructions: 500_000,
  });
  expect(figures.evictions).toBeGreaterThan(20);
  expect(figures.compiledRegions).toBeGreaterThan(1000);
  expect(figures.codeBytes).toBeLessThan(figures.codeLimitBytes * 1.05);
});

test("modules are collected when they are given up, and their number has a bound", async () => {
  const instances = countInstances();
  const count = 2400;
  const m = bareMachine({ ramBytes: 1 << 20, accelerator: { tier: "jit", cacheBytes: 1 << 20, eager: true } });
  program((p) => callAll(p, count, 4))(m);
  load(m, count);
  const { accelerator } = m.hart;
  for (let i = 0; i < 20; i++) {
    m.hart.run(50_000);
    const { codeBytes, codeLimitBytes } = accelerator.figures;
    expect(codeBytes).toBeLessThan(codeLimitBytes * 1.05);
  }
  const { modules, compiledRegions } = accelerator.figures;
  expect(compiledRegions).toBeGreaterThan(2000);
  expect(modules).toBeLessThan(compiledRegions / 2);
  // Besides those of the regions: the interpreter, the slow paths, what probed the engine.
  expect(await instances.live()).toBeLessThan(modules + 20);
});

test("a module of which little is left makes room before others, and counts as a whole until then", async () => {
  const instances = countInstances();
  const count = 64;
  const m = bareMachine({ ramBytes: 1 << 20, accelerator: { tier: "jit", cacheBytes: 1 << 20, hotJumps: 2048 } });
  program((p) => callAll(p, count, 3000))(m);
  load(m, count);
  const { accelerator } = m.hart;
  const round = count * 3000 * (functionBytes / 4 + 3);
  for (let i = 0; i < 12; i++) {
    // All but the first of every 32 become other code.
    for (let n = 0; n < count; n++) if (n % 32 !== 0) m.load(functions + n * functionBytes, functionOf(n + i * count));
    m.hart.run(round);
    const { codeBytes, codeLimitBytes } = accelerator.figures;
    expect(codeBytes).toBeLessThan(codeLimitBytes * 1.05);
  }
  const { modules, batches, dropped } = accelerator.figures;
  expect(dropped).toBeGreaterThan(300);
  expect(modules).toBeLessThan(batches);
  expect(await instances.live()).toBeLessThan(modules + 20);
});

test("an engine without memory for more code: what waits is interpreted, and tried again later", () => {
  const prepare = program((p) => {
    p.label("loop");
    p.op("addi", { rd: t0, rs1: t0, imm: 1 });
    p.op("xor", { rd: t1, rs1: t1, rs2: t0 });
    p.op("add", { rd: t2, rs1: t2, rs2: t1 });
    p.jump("loop");
  });
  let refusals = 0;
  class Refusing extends Module {
    constructor(bytes: Uint8Array<ArrayBuffer>) {
      if (refusals > 0 && refusals-- > 0) throw new RangeError("WebAssembly.Module(): Out of memory");
      super(bytes);
    }
  }
  WebAssembly.Module = Refusing;
  const { figures } = sameInBothTiers({
    prepare,
    between: (m, slice) => {
      if (slice > 0) return;
      // The interpreter's module is made by the first run; it is not to be refused.
      m.hart.run(1);
      if (m.hart.accelerator.tier === "jit") refusals = 3;
    },
  });
  expect(figures.failedModules).toBe(3);
  expect(figures.regions).toBeGreaterThan(0);
  expect(figures.regionInstructions).toBeGreaterThan(10_000);
});
