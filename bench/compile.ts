// `npm run bench:compile`: what the region compiler itself costs per guest instruction, apart from the engine that compiles what
// it wrote. Code of no particular kind: arithmetic, loads, stores, branches, loops, calls; every function another one.
import { performance } from "node:perf_hooks";
import { Jit } from "../src/accel/jit/jit.ts";
import { reg } from "../src/target/riscv/testing/assembler.ts";
import { bareMachine, ramBase } from "../src/target/riscv/testing/bare-machine.ts";
import { program } from "../src/target/riscv/testing/both-tiers.ts";
import { circumstances, median, printTable } from "./support/figures.ts";

const FUNCTIONS = 300;
const ROUNDS = 4;
/** Enough for every function to be hot. */
const INSTRUCTIONS = 30_000_000;
const { zero, ra, sp, a0, a1, a2, a3, t0, t1, s0 } = reg;

/** Costs of single regions in microseconds for each of their instructions: what else runs on the machine disturbs only some. */
let costs: number[] = [];
let engineMs = 0;

const { Module } = WebAssembly;
class TimedModule extends Module {
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    const start = performance.now();
    super(bytes);
    engineMs += performance.now() - start;
  }
}

/** Where the compiler is told of hot code; it collects regions, and calls the engine for some at a time. */
const compiler = Jit.prototype as unknown as {
  hot(this: { former: { count: number }; pendingInstructions: number }, entry: number): void;
};
const { hot } = compiler;
compiler.hot = function (entry) {
  const before = this.pendingInstructions;
  const start = performance.now();
  hot.call(this, entry);
  const us = (performance.now() - start) * 1000;
  const instructions = this.pendingInstructions - before;
  if (instructions > 0) costs.push(us / instructions);
};

/** Calls all functions over and over; each has a loop, a branch over a part of it, and accesses to its frame. */
function manyFunctions(): (m: ReturnType<typeof bareMachine>) => void {
  return program((p) => {
    p.li(sp, ramBase + (7 << 20));
    p.label("all");
    for (let n = 0; n < FUNCTIONS; n++) p.to("jal", `f${n}`, { rd: ra });
    p.jump("all");
    for (let n = 0; n < FUNCTIONS; n++) {
      p.label(`f${n}`);
      p.op("addi", { rd: sp, rs1: sp, imm: -48 });
      p.op("sd", { rs1: sp, rs2: ra, imm: 40 });
      p.op("sd", { rs1: sp, rs2: s0, imm: 32 });
      p.li(s0, 4);
      p.label(`loop${n}`);
      for (let i = 0; i < 3; i++) {
        p.op("addi", { rd: a0, rs1: a0, imm: (n * 7 + i) % 2000 });
        p.op("xor", { rd: a1, rs1: a1, rs2: a0 });
        p.op("sd", { rs1: sp, rs2: a1, imm: 8 * i });
        p.op("slli", { rd: t0, rs1: a1, imm: 1 + ((n + i) % 60) });
        p.op("addw", { rd: a2, rs1: a2, rs2: t0 });
        p.op("ld", { rd: a3, rs1: sp, imm: 8 * ((i + 1) % 3) });
      }
      p.op("andi", { rd: t1, rs1: a0, imm: 1 });
      p.to("beq", `even${n}`, { rs1: t1, rs2: zero });
      p.op("mul", { rd: a1, rs1: a1, rs2: a3 });
      p.op("sub", { rd: a2, rs1: a2, rs2: a1 });
      p.label(`even${n}`);
      p.op("addi", { rd: s0, rs1: s0, imm: -1 });
      p.to("bne", `loop${n}`, { rs1: s0, rs2: zero });
      p.op("ld", { rd: ra, rs1: sp, imm: 40 });
      p.op("ld", { rd: s0, rs1: sp, imm: 32 });
      p.op("addi", { rd: sp, rs1: sp, imm: 48 });
      p.op("jalr", { rs1: ra });
    }
  });
}

console.log(circumstances());
WebAssembly.Module = TimedModule;
const own: number[] = [];
const engine: number[] = [];
let instructions = 0;
for (let round = 0; round < ROUNDS; round++) {
  const m = bareMachine({ ramBytes: 8 << 20, accelerator: { tier: "jit", cacheBytes: 64 << 20, hotJumps: 2048 } });
  manyFunctions()(m);
  costs = [];
  engineMs = 0;
  m.hart.run(INSTRUCTIONS);
  instructions = m.hart.accelerator.figures.compiledInstructions;
  own.push(median(costs));
  engine.push((engineMs * 1000) / instructions);
}
printTable(
  ["instructions", "us each", "first round", "engine, when called: us each"],
  [[String(instructions), median(own.slice(1)).toFixed(2), own[0]!.toFixed(2), median(engine.slice(1)).toFixed(2)]],
);
