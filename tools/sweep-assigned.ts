// Host descriptions with each field changed in every way, one and two at a time, and every combination of the options of
// assigned devices:
//   npm run sweep:assigned -- [--every N] [--from N]
// What is neither done nor refused with what would do is printed. A run goes on where another ended by --from.
import { parseArgs } from "node:util";
import { changed, changes, tryDescription, useOf } from "../test/model/vfio/sweep.ts";
import { optionCases, tryOptions } from "../test/model/vfio/sweep-options.ts";

const REPORT_MS = 5000;
const { values } = parseArgs({
  options: { every: { type: "string", default: "1" }, from: { type: "string", default: "0" } },
});
const every = Number(values.every);
const from = Number(values.from);
const counts = { taken: 0, refused: 0, wrong: 0 };
let reported = performance.now();

function count(what: string, attempt: () => "taken" | "refused"): void {
  try {
    counts[attempt()] += 1;
  } catch (error) {
    counts.wrong += 1;
    console.log(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (performance.now() - reported < REPORT_MS) return;
  reported = performance.now();
  console.log(`${what.slice(0, 60)}: ${JSON.stringify(counts)}`);
}

for (const options of optionCases(every)) count(JSON.stringify(options), () => tryOptions(options));
console.log(`options: ${JSON.stringify(counts)}`);
const all = changes();
let pair = 0;
for (const [i, first] of all.entries()) {
  for (const second of all.slice(i)) {
    if (pair++ < from || pair % every !== 0) continue;
    const list = first === second ? [first] : [first, second];
    const text = list.map(({ path, value }) => `${path.join(".")}=${JSON.stringify(value)}`).join(" ");
    count(`pair ${pair} ${text}`, () => tryDescription(changed(list), useOf(pair)));
  }
}
console.log(`all: ${JSON.stringify(counts)}`);
if (counts.wrong > 0) process.exitCode = 1;
