// Moves while something goes wrong, chosen from a seed:
//   npm run faults:migration -- [--seed N] [--runs N] [--series N] [--fresh]
//   npm run faults:migration -- --sabotage: what is broken on purpose is found
//   npm run faults:migration -- --processes N [--seed N]: in processes of their own, which can be killed
//   npm run faults:migration -- --debian N [--seed N]: so with Debian at work
// Runs that were right are remembered in test/results, and a further call with the same seed goes on where they ended.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fetchGuest } from "../src/guest/index.ts";
import { nodeGuestHost } from "../src/host/node/index.ts";
import { FaultFinding } from "../test/model/migration/fault-finding.ts";
import { SABOTAGES } from "../test/model/migration/sabotage.ts";
import { ProcessFaults, type ProcessFaultsOptions } from "../test/model/migration/process-faults.ts";
import { debianGuest, smallGuest } from "../test/model/migration/process-guests.ts";
import { FaultRuns } from "../test/model/migration/fault-run.ts";

const REPORT_MS = 5000;
/** Runs of one series of machines; each series has a seed of its own, so that it can be repeated alone. */
const SERIES = 24;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    runs: { type: "string", default: "1000" },
    series: { type: "string" },
    processes: { type: "string" },
    debian: { type: "string" },
    sabotage: { type: "boolean", default: false },
    fresh: { type: "boolean", default: false },
  },
});
const [seed, wanted] = [Number(values.seed), Number(values.runs)];
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(wanted) || wanted <= 0) {
  process.stderr.write("--seed and --runs: whole numbers would do\n");
  process.exit(1);
}

const program = join(import.meta.dirname, "../dist/bin/ratite-system-riscv64.js");
type GuestOf = ProcessFaultsOptions["guest"];

if (values.processes !== undefined) {
  const guest: GuestOf = (random, at) => smallGuest(random, at, program);
  process.exit(await moveProcesses(seed, Number(values.processes), 400, guest));
}
if (values.debian !== undefined) {
  const files = await fetchGuest(nodeGuestHost({}), "debian", { release: "trixie" });
  const guest: GuestOf = (random, at) => debianGuest(random, at, program, files);
  process.exit(await moveProcesses(seed, Number(values.debian), 4000, guest));
}

if (values.sabotage) process.exit(await findSabotages(seed));

interface Totals {
  runs: number;
  /** Of those, runs in which what was to go wrong did; in the others the move was over before. */
  struck: number;
  outcomes: Record<string, number>;
  findings: string[];
}

const folder = join(import.meta.dirname, "../test/results");
const file = join(folder, `faults-migration-${seed}.json`);
mkdirSync(folder, { recursive: true });
const isAlone = values.series !== undefined;
const totals: Totals =
  !values.fresh && !isAlone && existsSync(file)
    ? (JSON.parse(readFileSync(file, "utf8")) as Totals)
    : { runs: 0, struck: 0, outcomes: {}, findings: [] };
if (totals.runs > 0) process.stdout.write(`${totals.runs} runs were made before\n`);

let reportedAt = performance.now();
const first = isAlone ? Number(values.series) : Math.floor(totals.runs / SERIES);
const end = isAlone ? first + 1 : Infinity;
for (let series = first; totals.runs < wanted && series < end; series++) {
  const runs = new FaultRuns(seed * 1_000_000 + series);
  for (let n = 0; n < SERIES && totals.runs < wanted; n++) {
    totals.runs++;
    try {
      const { outcome, fault, hasStruck } = await runs.run();
      if (hasStruck) totals.struck++;
      totals.outcomes[outcome] = (totals.outcomes[outcome] ?? 0) + 1;
      if (isAlone) process.stdout.write(`${fault}${hasStruck ? "" : ", which was never reached"}: ${outcome}\n`);
    } catch (error) {
      if (!(error instanceof FaultFinding)) throw error;
      totals.findings.push(`--seed ${seed} --series ${series}, run ${n + 1}: ${error.message}`);
      process.stdout.write(`${totals.findings.at(-1)}\n`);
      if (isAlone) process.stdout.write(`${error.stack}\n`);
    }
    if (performance.now() - reportedAt < REPORT_MS) continue;
    reportedAt = performance.now();
    process.stdout.write(`${totals.runs} of ${wanted} runs: ${JSON.stringify(totals.outcomes)}\n`);
  }
  await runs.end();
  if (!isAlone) writeFileSync(file, JSON.stringify(totals));
}
process.stdout.write(
  `${totals.runs} runs, ${totals.struck} struck: ${JSON.stringify(totals.outcomes)}, ${totals.findings.length} findings\n`,
);
process.exit(totals.findings.length === 0 ? 0 : 1);

async function findSabotages(from: number): Promise<number> {
  let missed = 0;
  for (const [what, sabotage] of Object.entries(SABOTAGES)) {
    const runs = new FaultRuns(from, { fault: sabotage.fault, sabotage });
    const said = await runs.run().then(
      ({ outcome }) => outcome,
      (error: Error) => error.message,
    );
    await runs.end();
    const isFound = sabotage.finding.test(said);
    if (!isFound) missed++;
    process.stdout.write(`${what}: ${isFound ? "found" : `not found: ${said}`}\n`);
  }
  process.stdout.write(`${missed} of ${Object.keys(SABOTAGES).length} sabotages were not found\n`);
  return missed === 0 ? 0 : 1;
}

async function moveProcesses(from: number, runs: number, moveMs: number, guest: GuestOf): Promise<number> {
  const faults = new ProcessFaults({ seed: from, moveMs, guest });
  const outcomes: Record<string, number> = {};
  let [struck, findings] = [0, 0];
  for (let run = 1; run <= runs; run++) {
    try {
      const { fault, outcome, hasStruck } = await faults.run();
      if (hasStruck) struck++;
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      process.stdout.write(`${run} of ${runs}: ${fault}${hasStruck ? "" : ", which was never reached"}: ${outcome}\n`);
    } catch (error) {
      if (!(error instanceof FaultFinding)) throw error;
      findings++;
      process.stdout.write(`${run} of ${runs}: ${error.message}\n`);
    }
  }
  await faults.end();
  process.stdout.write(`${runs} runs, ${struck} struck: ${JSON.stringify(outcomes)}, ${findings} findings\n`);
  return findings === 0 ? 0 : 1;
}
