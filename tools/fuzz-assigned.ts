// Hostile guests with assigned devices, a fresh machine for each seed:
//   npm run fuzz:assigned -- [--from SEED] [--seeds N] [--steps N]
// A run goes on where another ended by --from. A seed that fails is printed, with what would repeat it.
import { parseArgs } from "node:util";
import { fuzzAssigned } from "../test/fuzz/assigned/hostile-guest.ts";

const REPORT_MS = 5000;
const { values } = parseArgs({
  options: {
    from: { type: "string", default: "1" },
    seeds: { type: "string", default: "200" },
    steps: { type: "string", default: "1000" },
  },
});
const from = Number(values.from);
const end = from + Number(values.seeds);
const steps = Number(values.steps);

let failures = 0;
let reported = performance.now();
for (let seed = from; seed < end; seed++) {
  const finding = await fuzzAssigned(seed, steps);
  if (finding !== undefined) {
    failures += 1;
    console.log(`--from ${seed} --seeds 1 --steps ${steps}: ${finding}`);
  }
  if (performance.now() - reported < REPORT_MS && seed + 1 < end) continue;
  reported = performance.now();
  console.log(`seeds ${from} to ${seed}: ${failures} failed`);
}
if (failures > 0) process.exitCode = 1;
