// Runs the architecture's programs (test/arch) here and on the QEMUs that are installed, and prints the table:
//   npm run arch [-- --only PATTERN] [-- --here] [-- --accel jit|interpreter]
// `--only` takes programs whose name matches, `--here` leaves QEMU out.
import { execFileSync } from "node:child_process";
import { buildProgram, compiler } from "../test/arch/build.ts";
import { execute, ratite, type Outcome, type Runner } from "../test/arch/execute.ts";
import { programs, type Environment, type Program } from "../test/arch/programs.ts";
import { referenceMajor, referenceQemu } from "../test/support/reference-qemu.ts";
import { has } from "../test/support/tools.ts";

const argument = (name: string): string | undefined => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
};
const only = new RegExp(argument("--only") ?? "");
const accel = argument("--accel");
const here = accel === undefined ? ratite : { ...ratite, name: accel, command: [...ratite.command, "-accel", accel] };
const atOnce = 2;

interface Peer extends Runner {
  readonly major: number;
}

async function peers(): Promise<Peer[]> {
  if (process.argv.includes("--here")) return [];
  const found: Peer[] = [];
  if (has("qemu-system-riscv64")) {
    const text = execFileSync("qemu-system-riscv64", ["--version"], { encoding: "utf8" });
    const version = /version (\d+)\.(\d+)/.exec(text);
    const major = Number(version?.[1] ?? 0);
    if (major < referenceMajor) {
      found.push({ name: `qemu ${major}.${version?.[2]}`, command: ["qemu-system-riscv64"], major });
    }
  }
  const reference = await referenceQemu();
  if ("missing" in reference) console.log(reference.missing);
  else {
    const { command, env, version } = reference;
    found.push({ name: `qemu ${version}`, command: [...command, "-nodefaults"], env, major: referenceMajor });
  }
  return found;
}

/** Why a peer is not asked. */
function exception(program: Program, { major }: Peer): string | undefined {
  return program.notOnQemu ?? (major < referenceMajor ? program.notOnOldQemu : undefined);
}

interface Case {
  readonly program: Program;
  readonly environment: Environment;
}

const text = ({ status, output }: Outcome): string =>
  status === 0 ? "pass" : status === undefined ? "did not end" : `FAILED ${status} ${output.split("\n").at(-1)}`;

let failed = 0;
let passed = 0;

/** The ELF file, or undefined after saying why there is none. */
function built({ program, environment }: Case): string | undefined {
  try {
    return buildProgram(program, environment);
  } catch (error) {
    const { stderr } = error as { stderr?: Buffer };
    console.log(`${program.name} ${environment} cannot be built: ${stderr?.toString() ?? String(error)}`);
    failed++;
    return undefined;
  }
}

async function runCase(which: Case, others: readonly Peer[]): Promise<void> {
  const { program, environment } = which;
  const elf = built(which);
  if (elf === undefined) return;
  const cells: string[] = [];
  const own = await execute(here, elf, program.options);
  cells.push(text(own));
  for (const peer of others) {
    const reason = exception(program, peer);
    const outcome = reason === undefined ? await execute(peer, elf, program.options) : undefined;
    cells.push(outcome === undefined ? "–" : text(outcome));
    if (outcome !== undefined && outcome.status !== 0) failed++;
  }
  if (own.status === 0) passed++;
  else failed++;
  const reasons = [...new Set(others.map((peer) => exception(program, peer)).filter((r) => r !== undefined))];
  const name = `${program.name} ${environment}`.padEnd(32);
  console.log(`${name} ${cells.map((cell) => cell.padEnd(14)).join(" ")} ${reasons.join("; ")}`.trimEnd());
}

if (!has(compiler)) {
  console.log(`the programs are built with ${compiler}, which is not installed`);
  process.exit(1);
}
const others = await peers();
console.log(`${"".padEnd(32)} ${[here, ...others].map(({ name }) => name.padEnd(14)).join(" ")}`.trimEnd());
const queue = programs
  .filter(({ name }) => only.test(name))
  .flatMap((program) => program.environments.map((environment): Case => ({ program, environment })));
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await runCase(next, others);
  }),
);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
