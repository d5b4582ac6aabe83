// Hostile drivers on the NVMe controller, a fresh one for each seed:
//   npm run fuzz:nvme -- [--from SEED] [--seeds N] [--steps N]
// A run goes on where another ended by --from. A seed that fails is printed, with what would repeat it.
import { parseArgs } from "node:util";
import { HostileDriver } from "../src/device/storage/nvme/test-hostile-driver.ts";

const REPORT_MS = 5000;

const { values } = parseArgs({
  options: {
    from: { type: "string", default: "1" },
    seeds: { type: "string", default: "1000" },
    steps: { type: "string", default: "2000" },
  },
});
const from = BigInt(values.from);
const end = from + BigInt(values.seeds);
const steps = Number(values.steps);

let failures = 0;
let reported = performance.now();
for (let seed = from; seed < end; seed++) {
  const hostile = new HostileDriver(seed);
  let done = 0;
  try {
    for (; done < steps; done++) await hostile.step();
    await hostile.check();
  } catch (error) {
    failures++;
    console.log(`seed ${seed} fails after ${done} steps (--from ${seed} --seeds 1 --steps ${steps}):`);
    console.log(error instanceof Error ? error.stack : String(error));
  }
  if (performance.now() - reported < REPORT_MS && seed + 1n < end) continue;
  reported = performance.now();
  console.log(`seeds ${from} to ${seed}: ${failures} failed`);
}
if (failures > 0) process.exitCode = 1;
