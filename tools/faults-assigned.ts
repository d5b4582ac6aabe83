// Every call that a machine with assigned devices makes of its host, made to fail: once, with all of its kind, its device's
// or its host's from then on:
//   npm run faults:assigned -- [--from N] [--every N]
// A run goes on where another ended by --from. A fault that is not taken well is printed.
import { parseArgs } from "node:util";
import { Errno } from "../src/iommufd/index.ts";
import { countCalls, FAULT_ERRNOS, FAULT_REACHES, NOTHING_LEFT, runFault } from "../test/model/vfio/faults.ts";

const REPORT_MS = 5000;
const { values } = parseArgs({
  options: { from: { type: "string", default: "1" }, every: { type: "string", default: "1" } },
});
const calls = await countCalls();
let [failures, runs, reported] = [0, 0, performance.now()];

for (let n = Number(values.from); n <= calls; n += Number(values.every)) {
  for (const reach of FAULT_REACHES) {
    for (const errno of FAULT_ERRNOS) {
      runs += 1;
      const wrong = await tryFault(n, reach, errno);
      if (wrong === undefined) continue;
      failures += 1;
      console.log(`call ${n}, ${reach}, ${Errno.name(errno)}: ${wrong}`);
    }
  }
  if (performance.now() - reported < REPORT_MS) continue;
  reported = performance.now();
  console.log(`call ${n} of ${calls}: ${runs} faults, ${failures} not taken well`);
}
console.log(`${runs} faults, ${failures} not taken well`);
if (failures > 0) process.exitCode = 1;

async function tryFault(n: number, reach: (typeof FAULT_REACHES)[number], errno: Errno): Promise<string | undefined> {
  try {
    const { left, runState } = await runFault({ n, reach, errno });
    if (left !== NOTHING_LEFT) return `left is ${left}`;
    return runState === "prelaunch" || runState === "refused" ? undefined : `the machine is ${runState}`;
  } catch (error) {
    return error instanceof Error ? error.stack : String(error);
  }
}
