// Random hosts and guests, whose dirty trackers an oracle watches:
//   npm run property:trackers -- [--seed N] [--topologies N] [--fresh]
// Topologies that agreed are remembered in test/results and not made again by the next call with the same seed. Then hosts
// refuse calls now and then, and no page may be missed for that. At the end each kind of tracker is made to lose what it
// should tell, in each way, and the oracle must notice on every topology on which something was lost.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SABOTAGES, sabotageName } from "../test/model/vfio/sabotage.ts";
import { runSabotaged, runTopology } from "../test/model/vfio/topology-run.ts";

const REPORT_MS = 5000;
const SABOTAGED = 40;
const MOST_SABOTAGED = 400;
const FLAKY = 200;
const KINDS = {
  log: "device log",
  "log moved": "device log, memory came and went",
  "page table": "dirty bits, pages of 4 KiB",
  "page table large": "dirty bits, also pages of 2 MiB",
  untracked: "nobody (all that it reaches)",
} as const;

interface Totals {
  topologies: number;
  deviceWrites: number;
  /** Of topologies with one kind of tracker, by what else matters to it: pages reported by it and pages written. */
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
  const facts = await runTopology(seed * 1_000_000 + totals.topologies);
  totals.topologies += 1;
  totals.deviceWrites += facts.deviceWrites;
  const kinds = [...facts.reported.keys()].filter((kind) => kind !== "hart");
  const [kind] = kinds;
  if (kind !== undefined && kinds.length === 1) {
    const how =
      kind === "page table" && facts.largePages ? " large" : kind === "log" && facts.memoryMoved ? " moved" : "";
    const sum = (totals.kinds[kind + how] ??= { reported: 0, written: 0 });
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

for (let i = 0; i < FLAKY; i++) await runTopology(seed * 1_000_000 + i, { isFlaky: true });
process.stdout.write(
  `${FLAKY} topologies whose host refuses one call in twelve: no page was missed, nothing was left\n`,
);

let unnoticed = 0;
for (const sabotage of SABOTAGES) {
  let [made, noticed] = [0, 0];
  // Throws where something was lost and not noticed.
  for (; made < SABOTAGED || (noticed === 0 && made < MOST_SABOTAGED); made++) {
    if ((await runSabotaged(seed * 1_000_000 + made, sabotage)) === "noticed") noticed += 1;
  }
  if (noticed === 0) unnoticed += 1;
  process.stdout.write(
    `${sabotageName(sabotage)}: noticed on ${noticed} topologies, lost nothing on ${made - noticed}\n`,
  );
}
process.exitCode = unnoticed === 0 ? 0 : 1;
