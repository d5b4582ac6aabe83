// Random hosts and guests, whose dirty trackers an oracle watches:
//   npm run property:trackers -- [--seed N] [--topologies N] [--fresh]
// Topologies that agreed are remembered in test/results and not made again by the next call with the same seed. At the end
// each kind of tracker is made to lose what it should tell, and the oracle must notice.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SABOTAGES } from "../test/model/vfio/sabotage.ts";
import { OracleFinding, runTopology } from "../test/model/vfio/topology-run.ts";

const REPORT_MS = 5000;
const SABOTAGED = 40;
const KINDS = { log: "device log", "page table": "dirty bits", untracked: "nobody (all that it reaches)" } as const;

interface Totals {
  topologies: number;
  deviceWrites: number;
  /** Of topologies with one kind of tracker: pages reported by it and pages written. */
  kinds: Record<string, { reported: number; written: number }>;
}

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    topologies: { type: "string", default: "1000" },
    fresh: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed);
const wanted = Number(values.topologies);
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(wanted) || wanted <= 0) {
  process.stderr.write("--seed and --topologies: whole numbers would do\n");
  process.exit(1);
}

const folder = join(import.meta.dirname, "../test/results");
const file = join(folder, `property-trackers-${seed}.json`);
mkdirSync(folder, { recursive: true });
const none: Totals = { topologies: 0, deviceWrites: 0, kinds: {} };
const totals = !values.fresh && existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Totals) : none;
if (totals.topologies > 0) process.stdout.write(`${totals.topologies} topologies agreed before\n`);

let reportedAt = performance.now();
while (totals.topologies < wanted) {
  const facts = runTopology(seed * 1_000_000 + totals.topologies);
  totals.topologies += 1;
  totals.deviceWrites += facts.deviceWrites;
  const kinds = [...facts.reported.keys()].filter((kind) => kind !== "hart");
  const [kind] = kinds;
  if (kind !== undefined && kinds.length === 1) {
    const sum = (totals.kinds[kind] ??= { reported: 0, written: 0 });
    sum.reported += facts.reported.get(kind)!;
    sum.written += facts.devicePages;
  }
  writeFileSync(file, JSON.stringify(totals));
  if (performance.now() - reportedAt < REPORT_MS) continue;
  reportedAt = performance.now();
  process.stdout.write(`${totals.topologies} of ${wanted} topologies, ${totals.deviceWrites} device writes\n`);
}
process.stdout.write(`${totals.topologies} topologies, ${totals.deviceWrites} device writes: no page was missed\n`);
for (const [kind, name] of Object.entries(KINDS)) {
  const sum = totals.kinds[kind];
  if (sum === undefined || sum.written === 0) continue;
  const ratio = (sum.reported / sum.written).toFixed(2);
  process.stdout.write(`tracked by ${name}: ${sum.reported} pages reported, ${sum.written} written, ratio ${ratio}\n`);
}

let unnoticed = 0;
for (const sabotage of SABOTAGES) {
  let noticed = 0;
  for (let i = 0; i < SABOTAGED; i++) {
    try {
      runTopology(seed * 1_000_000 + i, sabotage);
    } catch (error) {
      if (!(error instanceof OracleFinding)) throw error;
      noticed += 1;
    }
  }
  if (noticed === 0) unnoticed += 1;
  process.stdout.write(`with lost ${sabotage}: noticed on ${noticed} of ${SABOTAGED} topologies\n`);
}
process.exitCode = unnoticed === 0 ? 0 : 1;
