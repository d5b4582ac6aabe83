// Coverage-guided fuzzing of the software IOMMUFD host:
//   npm run fuzz:iommufd -- [--seed N] [--calls N] [--corpus FILE] [--replay FILE]
// Programs that reach code that none reached before are kept in the corpus file, which the next run takes up and goes on
// from. A failing program is made short and written beside it.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { SeededRng } from "../src/base/index.ts";
import { BlockCoverage } from "../test/fuzz/iommufd/coverage.ts";
import { mutate, randomProgram } from "../test/fuzz/iommufd/program.ts";
import { runProgram } from "../test/fuzz/iommufd/run-program.ts";
import { showStep } from "../test/fuzz/iommufd/show-step.ts";
import { STEP_BYTES } from "../test/fuzz/iommufd/steps.ts";
import { Watchdog } from "../test/fuzz/iommufd/watchdog.ts";

const STEPS_PER_PROGRAM = 250;
/** Coverage is read after this many calls. */
const CALLS_PER_READING = 10_000;
const FRESH_SHARE = 8;
const REPORT_MS = 5000;
const HANG_MS = 20_000;
const SHRINK_TRIES = 2000;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    calls: { type: "string", default: "10000000" },
    corpus: { type: "string", default: join(import.meta.dirname, "../test/results/fuzz-iommufd.jsonl") },
    replay: { type: "string" },
  },
});

interface Corpus {
  calls: number;
  readonly programs: Uint8Array[];
}

function readCorpus(path: string): Corpus {
  if (!existsSync(path)) return { calls: 0, programs: [] };
  const [head = "{}", ...lines] = readFileSync(path, "utf8").trim().split("\n");
  const { calls = 0 } = JSON.parse(head) as { calls?: number };
  return { calls, programs: lines.map((line) => new Uint8Array(Buffer.from(line, "base64"))) };
}

function writeCorpus(path: string, corpus: Corpus): void {
  mkdirSync(dirname(path), { recursive: true });
  const lines = corpus.programs.map((p) => Buffer.from(p).toString("base64"));
  writeFileSync(`${path}.new`, [JSON.stringify({ calls: corpus.calls }), ...lines, ""].join("\n"));
  renameSync(`${path}.new`, path);
}

function failureOf(program: Uint8Array): string | undefined {
  try {
    watchdog.watch(program, () => runProgram(program));
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Leaves steps out as long as the same thing goes wrong. */
function shrink(program: Uint8Array, message: string): Uint8Array {
  const what = message.replace(/^at [^:]*: /, "");
  let best = program;
  let size = best.length / STEP_BYTES / 2;
  for (let tries = 0; tries < SHRINK_TRIES && size >= 1; size /= 2) {
    const count = Math.floor(size);
    for (let at = 0; at < best.length / STEP_BYTES && tries < SHRINK_TRIES; tries++) {
      const shorter = new Uint8Array([
        ...best.subarray(0, at * STEP_BYTES),
        ...best.subarray((at + count) * STEP_BYTES),
      ]);
      if (shorter.length > 0 && failureOf(shorter)?.replace(/^at [^:]*: /, "") === what) best = shorter;
      else at += count;
    }
  }
  return best;
}

function fail(program: Uint8Array, message: string): never {
  const path = `${values.corpus}.failure`;
  process.stderr.write(`${message}\nmaking it short...\n`);
  const short = shrink(program, message);
  writeFileSync(path, short);
  process.stderr.write(`${short.length / STEP_BYTES} steps in ${path}; again with --replay ${path}\n`);
  process.exit(1);
}

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  process.stderr.write(`--${name} ${text}: a whole number would do\n`);
  return process.exit(1);
}

if (values.replay !== undefined) {
  // The whole stack, once; each step is shown before it is made, for one that never ends.
  runProgram(
    new Uint8Array(readFileSync(values.replay)),
    (step) => process.stdout.write(showStep(step)),
    (answer) => process.stdout.write(` = ${answer}\n`),
  );
  process.stdout.write("nothing went wrong\n");
  process.exit(0);
}

const watchdog = new Watchdog(`${values.corpus}.failure`, HANG_MS, STEPS_PER_PROGRAM * STEP_BYTES);
const seed = wholeNumber("seed", values.seed);
const wanted = wholeNumber("calls", values.calls);
const corpus = readCorpus(values.corpus);
const coverage = new BlockCoverage((url) => url.includes("/src/iommufd/") && !url.includes(".test."));
const rng = new SeededRng(BigInt(seed) * 1_000_003n + BigInt(corpus.calls));

/** Runs programs; how many calls they made. Ends the process when something goes wrong. */
function explore(batch: readonly Uint8Array[]): number {
  let calls = 0;
  for (const program of batch) {
    calls += program.length / STEP_BYTES;
    const message = failureOf(program);
    if (message !== undefined) fail(program, message);
  }
  return calls;
}

// What the corpus reaches is known before anything new is tried.
const taken = corpus.programs.length;
explore(corpus.programs);
coverage.read();
process.stdout.write(`corpus: ${taken} programs, ${coverage.blocks} blocks, ${corpus.calls} calls before\n`);

const began = performance.now();
let reported = began;
let done = 0;
while (done < wanted) {
  const batch: Uint8Array[] = [];
  for (let calls = 0; calls < CALLS_PER_READING; calls += STEPS_PER_PROGRAM) {
    const fresh = corpus.programs.length === 0 || rng.below(FRESH_SHARE) === 0;
    const pick = (): Uint8Array => corpus.programs[rng.below(corpus.programs.length)]!;
    batch.push(fresh ? randomProgram(rng, STEPS_PER_PROGRAM) : mutate(rng, pick(), pick(), STEPS_PER_PROGRAM));
  }
  done += explore(batch);
  let fresh = coverage.freshBlocks();
  // Which of the batch reached them, is seen by running its programs one by one.
  for (const program of batch) {
    if (fresh <= 0) break;
    explore([program]);
    const found = coverage.read();
    if (found > 0) corpus.programs.push(program);
    fresh -= found;
  }
  if (performance.now() - reported > REPORT_MS || done >= wanted) {
    reported = performance.now();
    const rate = Math.round(done / ((reported - began) / 1000));
    writeCorpus(values.corpus, { calls: corpus.calls + done, programs: corpus.programs });
    process.stdout.write(
      `${done} calls (${rate}/s), ${coverage.blocks} blocks, ${corpus.programs.length} programs kept\n`,
    );
  }
}
coverage.close();
await watchdog.close();
process.stdout.write(`${done} calls: nothing crashed, hung or leaked\n`);
