// Runs a machine of QEMU options with -icount and writes down what it was like on the way: a digest of each hart's registers
// every so many instructions, and now and then one of memory.
//
//     tsx tools/support/traced-boot.ts TRACE REPORT EVERY -accel jit -icount shift=0 …
import { createHash } from "node:crypto";
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { openPlan } from "../../src/cli/open-plan.ts";
import { parseQemuOptions } from "../../src/cli/qemu-options/parse.ts";
import { machineReport } from "../../src/cli/report.ts";
import { createNodeHost, silentTrace } from "../../src/host/node/index.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import type { HartPlanner } from "../../src/machine/index.ts";
import type { RamBlock } from "../../src/memory/index.ts";
import { W } from "../../src/target/riscv/hart-core.ts";
import { planHarts, type RiscvHart } from "../../src/target/riscv/index.ts";
import { MEMORY, POINT_WORDS } from "./boot-points.ts";

const MEMORY_EVERY = 250_000_000;
const BUFFERED_POINTS = 4096;

class TraceFile {
  readonly #file: number;
  readonly #points: Float64Array = new Float64Array(BUFFERED_POINTS * POINT_WORDS);
  #count = 0;

  constructor(path: string) {
    this.#file = openSync(path, "w");
  }

  add(hart: number, executed: number, digest: number): void {
    this.#points.set([hart, executed, digest], this.#count++ * POINT_WORDS);
    if (this.#count === BUFFERED_POINTS) this.flush();
  }

  flush(): void {
    writeSync(this.#file, this.#points, 0, this.#count * POINT_WORDS * 8);
    this.#count = 0;
  }

  close(): void {
    this.flush();
    closeSync(this.#file);
  }
}

/** First word and number of words, in a hart's block. */
const compared: readonly (readonly [number, number])[] = [
  [W.x, 64],
  [W.f, 64],
  [W.pc, 2],
  [W.fcsr, 1],
  ...(["mstatus", "mie", "mip", "satp", "sepc", "scause", "stval", "sscratch", "stimecmp"] as const).map(
    (name) => [W[name], 2] as const,
  ),
];

/** Of registers, pc and what the kernel changes most in CSRs: FNV-1a over 32-bit words. */
function digestOf({ core }: RiscvHart): number {
  const { words, base32 } = core;
  let hash = 0x811c9dc5 ^ core.mode;
  for (const [first, count] of compared) {
    for (let i = base32 + first; i < base32 + first + count; i++) hash = Math.imul(hash ^ words[i]!, 0x01000193);
  }
  return hash >>> 0;
}

function memoryDigest(blocks: readonly RamBlock[]): number {
  const hash = createHash("sha1");
  for (const { bytes } of blocks) hash.update(bytes);
  return hash.digest().readUIntBE(0, 6);
}

const [tracePath, reportPath, everyText, ...options] = process.argv.slice(2) as [string, string, string, ...string[]];
const every = Number(everyText);
const trace = new TraceFile(tracePath);
let total = 0;
let memoryAt = MEMORY_EVERY;

/** Cuts the hart's runs into steps, each followed by a point of the trace: the same steps whatever executes them. */
function traceRuns(hart: RiscvHart, memory: () => number): void {
  const run = hart.run.bind(hart);
  hart.run = (budget) => {
    for (let left = budget; ;) {
      const before = hart.executed;
      const exit = run(Math.min(left, every));
      left -= hart.executed - before;
      total += hart.executed - before;
      trace.add(hart.index, hart.executed, digestOf(hart));
      if (total >= memoryAt) {
        memoryAt += MEMORY_EVERY;
        trace.add(MEMORY, total, memory());
      }
      if (exit !== "budget" || left === 0) return exit;
    }
  };
}

const tracedHarts: HartPlanner = (plan, configs, accelerator) => {
  const planned = planHarts(plan, configs, accelerator);
  return {
    create(world, surroundings) {
      const harts = planned.create(world, surroundings);
      for (const hart of harts) traceRuns(hart, () => memoryDigest(world.blocks));
      return harts;
    },
  };
};

const parsed = parseQemuOptions(options);
if (parsed.kind === "information") throw new Error(parsed.text);
const opened = await openPlan(parsed.plan.machine, { warn: console.error, onQuit: () => {}, onWaiting: () => {} });
const host = createNodeHost({ trace: silentTrace });
const { config, chardevs, blockNodes } = opened;
const machine = buildMachine(config, { ...host, chardevs, blockNodes }, tracedHarts);
const keepAlive = setInterval(() => {}, 1000);
machine.start();
const exit = await machine.ended;
trace.add(MEMORY, total, memoryDigest(machine.memoryBlocks));
trace.close();
writeFileSync(reportPath, JSON.stringify({ exit, ...machineReport(machine), jit: machine.accelerator.figures }));
await opened.drained();
await machine.close();
await opened.close();
host.close();
clearInterval(keepAlive);
