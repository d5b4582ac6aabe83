// `npm run matrix`: every boot of cases.ts. Resumable: what has passed is in the results file and not run again.
//
//     npm run matrix -- --fresh            from the beginning
//     npm run matrix -- --share N          the first N only
//     npm run matrix -- --only "debian × 2 × imsic × opensbi"      this one; may be repeated
//     npm run matrix -- --only imsic       all whose name has this in it
//     npm run matrix -- --opensbi FILE     instead of the one of Debian's package
//     npm run matrix -- --accel jit        or interpreter, in place of the default; each has its own results
//     npm run matrix -- --jobs N           so many at a time; default 2 where there are two cores
import { parseArgs } from "node:util";
import { caseOptions, chooseCases, runCases } from "../support/case-runs.ts";
import { boot, type Outcome } from "./boot.ts";
import { bootCases, caseName } from "./cases.ts";

const { values } = parseArgs({ options: { ...caseOptions, opensbi: { type: "string" }, accel: { type: "string" } } });
const accelerator = tierOf(values.accel);
const count = { passed: 0, failed: 0, skipped: 0 };
await runCases(chooseCases(bootCases, caseName, values), values, {
  resultsName: accelerator === undefined ? "matrix" : `matrix-${accelerator}`,
  run: (what) => boot(what, { openSbi: values.opensbi, accelerator }),
  hasPassed: (outcome) => "seconds" in outcome,
  tell: (name, outcome) => console.log(`${name.padEnd(46)} ${tell(outcome)}`),
});
const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : "";
console.log(`${count.passed} passed, ${count.failed} failed${skipped}`);
process.exitCode = count.failed === 0 ? 0 : 1;

function tierOf(text: string | undefined): "jit" | "interpreter" | undefined {
  if (text === undefined || text === "jit" || text === "interpreter") return text;
  throw new Error(`--accel ${text}: jit or interpreter would do`);
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
