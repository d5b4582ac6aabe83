// Random programs on Ratite and on QEMU, their digests compared:
//   npm run lockstep -- [--cpu MODEL,ext=on|off] [--seed N] [--instructions N] [--accel jit] [--against interpreter] [--fresh]
//                       [--replay FILE]
// `--accel` says how Ratite runs them; `--against interpreter` takes that in QEMU's place, and compares instruction counts too.
// Programs that agreed are remembered in test/results by CPU and seed, and not run again by the next call. The first one that
// does not agree is made short, shown, and written to a file that --replay takes and that test/lockstep/kept keeps as a test.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { compare, type Setting } from "../test/lockstep/compare.ts";
import { generate } from "../test/lockstep/generate.ts";
import { parseProgram, programText, type Program } from "../test/lockstep/program.ts";
import { compareBlock } from "../test/lockstep/report.ts";
import { closeSetting, makeSetting, type Way } from "../test/lockstep/setting.ts";
import { shrink } from "../test/lockstep/shrink.ts";
import { referenceQemu } from "../test/support/reference-qemu.ts";

const PROGRAMS_AT_ONCE = 40;

const { values } = parseArgs({
  options: {
    cpu: { type: "string", default: "rv64" },
    seed: { type: "string", default: "1" },
    instructions: { type: "string", default: "10000000" },
    accel: { type: "string", default: "interpreter" },
    against: { type: "string", default: "qemu" },
    fresh: { type: "boolean", default: false },
    replay: { type: "string" },
  },
});

interface Progress {
  programs: number;
  instructions: number;
}

function wholeNumber(name: "seed" | "instructions"): number {
  const text = values[name];
  if (/^\d{1,12}$/.test(text)) return Number(text);
  return give(`--${name} ${text}: a whole number would do`);
}

const results = join(import.meta.dirname, "../test/results");

function fileOf(seed: number): string {
  const name = [values.accel, values.against, values.cpu.replace(/[^\w.-]+/g, "_"), seed].join("-");
  return join(results, `lockstep-${name}.json`);
}

function readProgress(seed: number): Progress {
  const path = fileOf(seed);
  if (values.fresh || !existsSync(path)) return { programs: 0, instructions: 0 };
  return JSON.parse(readFileSync(path, "utf8")) as Progress;
}

/** Shows where the runs of a program part. */
async function explain(program: Program, setting: Setting): Promise<void> {
  const parting = (await compare([program], setting))[0]?.parting;
  const text = parting === undefined ? "both agree by now" : await compareBlock(program, parting, setting);
  process.stdout.write(`${text}\n`);
}

async function fail(program: Program, name: string, setting: Setting): Promise<void> {
  process.stdout.write(`${name} does not agree; making it short...\n`);
  const short = await shrink(program, setting);
  const path = join(results, `lockstep-failure-${name}.json`);
  writeFileSync(path, `${programText(short)}\n`);
  await explain(short, setting);
  process.stdout.write(`again with --replay ${path}\n`);
}

/** True when all agreed. */
async function run(setting: Setting, seed: number, wanted: number): Promise<boolean> {
  const progress = readProgress(seed);
  const began = performance.now();
  const before = progress.instructions;
  while (progress.instructions < wanted) {
    const first = progress.programs;
    const seeds = Array.from({ length: PROGRAMS_AT_ONCE }, (_, i) => BigInt(seed) * 1_000_000n + BigInt(first + i));
    const programs = seeds.map((each) => generate(each, setting.cpu));
    const answers = await compare(programs, setting);
    const parted = answers.findIndex(({ parting }) => parting !== undefined);
    if (parted >= 0) {
      await fail(programs[parted]!, `${setting.cpu.model}-${seeds[parted]}`, setting);
      return false;
    }
    progress.programs += programs.length;
    progress.instructions += answers.reduce((sum, { outcomes }) => sum + outcomes[0].instructions, 0);
    writeFileSync(fileOf(seed), JSON.stringify(progress));
    const rate = (progress.instructions - before) / ((performance.now() - began) / 1000);
    const millions = (progress.instructions / 1e6).toFixed(1);
    process.stdout.write(`${progress.programs} programs, ${millions} M instructions agree (${Math.round(rate)}/s)\n`);
  }
  return true;
}

const seed = wholeNumber("seed");
const instructions = wholeNumber("instructions");
mkdirSync(results, { recursive: true });

async function wayOf(option: "accel" | "against"): Promise<Way> {
  const name = values[option];
  if (name === "interpreter" || name === "jit") return name;
  if (name !== "qemu" || option === "accel") return give(`--${option} ${name}: interpreter or jit would do`);
  const found = await referenceQemu();
  return "missing" in found ? give(`lockstep: ${found.missing}`) : found;
}

function give(up: string): never {
  process.stderr.write(`${up}\n`);
  return process.exit(1);
}

const replayed = values.replay === undefined ? undefined : parseProgram(readFileSync(values.replay, "utf8"));
const setting = makeSetting(replayed?.cpu ?? values.cpu, await wayOf("accel"), await wayOf("against"));
const names = setting.runners.map((runner) => runner.name).join(" and ");
process.stdout.write(`${setting.cpu.text}, seed ${seed}, on ${names}\n`);
let agree = true;
if (replayed === undefined) agree = await run(setting, seed, instructions);
else await explain(replayed, setting);
await closeSetting(setting);
process.exitCode = agree ? 0 : 1;
