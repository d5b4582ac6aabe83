// `npm run matrix`: every boot of cases.ts. Resumable: what has passed is in the results file and not run again.
//
//     npm run matrix -- --fresh            from the beginning
//     npm run matrix -- --share N          the first N only
//     npm run matrix -- --only "debian × 2 × imsic × opensbi"      this one; may be repeated
//     npm run matrix -- --only imsic       all whose name has this in it
//     npm run matrix -- --opensbi FILE     instead of the one of Debian's package
//     npm run matrix -- --accel jit        or interpreter, in place of the default; each has its own results
//     npm run matrix -- --jobs N           so many at a time; default 2 where there are two cores
import { availableParallelism } from "node:os";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { boot, type Outcome } from "./boot.ts";
import { bootCases, caseName } from "./cases.ts";

const { values } = parseArgs({
  options: {
    fresh: { type: "boolean", default: false },
    share: { type: "string" },
    only: { type: "string", multiple: true, default: [] },
    opensbi: { type: "string" },
    accel: { type: "string" },
    jobs: { type: "string", default: String(Math.min(2, availableParallelism())) },
  },
});
const { only } = values;
const all = bootCases.map((what) => ({ what, name: caseName(what) }));
const isName = (text: string): boolean => all.some(({ name }) => name === text);
const isWanted = (name: string): boolean =>
  only.length === 0 || only.some((text) => (isName(text) ? name === text : name.includes(text)));
const share = values.share === undefined ? all.length : positive("share", values.share);
const chosen = all.filter(({ name }) => isWanted(name)).slice(0, share);
if (chosen.length === 0) throw new Error(`no boot has ${only.join(" or ")} in its name`);

const accel = tierOf(values.accel);
const suffix = accel === undefined ? "" : `-${accel}`;
const file = join(import.meta.dirname, `../../test/results/matrix${suffix}.json`);
const known = new Map<string, Outcome>(values.fresh ? [] : Object.entries(JSON.parse(readResults()) as object));
mkdirSync(dirname(file), { recursive: true });

const count = { passed: 0, failed: 0, skipped: 0 };
const rest = chosen.values();
await Promise.all(Array.from({ length: positive("jobs", values.jobs) }, work));
const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : "";
console.log(`${count.passed} passed, ${count.failed} failed${skipped}`);
process.exitCode = count.failed === 0 ? 0 : 1;

function tierOf(text: string | undefined): "jit" | "interpreter" | undefined {
  if (text === undefined || text === "jit" || text === "interpreter") return text;
  throw new Error(`--accel ${text}: jit or interpreter would do`);
}

function positive(option: string, text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new Error(`--${option} ${text}: a whole number from 1 up`);
}

function readResults(): string {
  return existsSync(file) ? readFileSync(file, "utf8") : "{}";
}

/** The workers take from one list. */
async function work(): Promise<void> {
  for (const { what, name } of rest) {
    let outcome = known.get(name);
    if (outcome === undefined || !("seconds" in outcome)) {
      outcome = await boot(what, { openSbi: values.opensbi, accelerator: accel });
      known.set(name, outcome);
      writeFileSync(file, JSON.stringify(Object.fromEntries(known), undefined, 2));
    }
    console.log(`${name.padEnd(46)} ${tell(outcome)}`);
  }
}

function tell(outcome: Outcome): string {
  if ("seconds" in outcome) {
    count.passed++;
    return `${outcome.seconds.toFixed(1).padStart(6)} s  ${outcome.kernel}`;
  }
  if ("skipped" in outcome) {
    count.skipped++;
    return `skipped: ${outcome.skipped}`;
  }
  count.failed++;
  return `FAILED ${outcome.error}`;
}
