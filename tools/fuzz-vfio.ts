// Random calls on the device files of a software host:
//   npm run fuzz:vfio -- [--seed N] [--calls N]
// Each seed is a host of its own; a failure names the seed and the call, and `--seed N --calls 0` makes it again.
import { parseArgs } from "node:util";
import { runSeed } from "../test/fuzz/vfio/run-seed.ts";

const CALLS_PER_SEED = 2000;
const REPORT_MS = 5000;

const { values } = parseArgs({
  options: { seed: { type: "string", default: "1" }, calls: { type: "string", default: "1000000" } },
});

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  process.stderr.write(`--${name} ${text}: a whole number would do\n`);
  return process.exit(1);
}

const wanted = wholeNumber("calls", values.calls);
const began = performance.now();
let reported = began;
let seed = wholeNumber("seed", values.seed);
let done = 0;
const answers = new Set<number>();
do {
  for (const answer of runSeed(seed, CALLS_PER_SEED).answers) answers.add(answer);
  done += CALLS_PER_SEED;
  seed++;
  if (performance.now() - reported > REPORT_MS) {
    reported = performance.now();
    const rate = Math.round(done / ((reported - began) / 1000));
    process.stdout.write(`${done} calls (${rate}/s), ${answers.size} different answers, next seed ${seed}\n`);
  }
} while (done < wanted);
process.stdout.write(`${done} calls: nothing crashed, hung or leaked; the next seed is ${seed}\n`);
