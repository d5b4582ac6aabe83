// Random operations of the software IOMMUFD host against naive address spaces:
//   npm run property:iommufd -- [--seed N] [--steps N] [--fresh]
// Steps go in runs of ten thousand, each on a host of its own; runs that agreed are remembered in test/results and not made
// again by the next call with the same seed.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runModel } from "../test/model/iommufd/model-run.ts";

const STEPS_PER_RUN = 10_000;
const REPORT_MS = 5000;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    steps: { type: "string", default: "1000000" },
    fresh: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed);
const runs = Math.ceil(Number(values.steps) / STEPS_PER_RUN);
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(runs) || runs <= 0) {
  process.stderr.write("--seed and --steps: whole numbers would do\n");
  process.exit(1);
}

const folder = join(import.meta.dirname, "../test/results");
const file = join(folder, `property-iommufd-${seed}.json`);
const before =
  !values.fresh && existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { runs: number }).runs : 0;
if (before > 0) process.stdout.write(`${before * STEPS_PER_RUN} steps agreed before\n`);
mkdirSync(folder, { recursive: true });
let reported = performance.now();
for (let run = before; run < runs; run++) {
  runModel(seed * 1_000_000 + run, STEPS_PER_RUN);
  writeFileSync(file, JSON.stringify({ runs: run + 1 }));
  if (performance.now() - reported < REPORT_MS) continue;
  reported = performance.now();
  process.stdout.write(`${(run + 1) * STEPS_PER_RUN} of ${runs * STEPS_PER_RUN} steps agree\n`);
}
process.stdout.write(`${runs * STEPS_PER_RUN} steps agree with the naive spaces, and nothing leaked\n`);
