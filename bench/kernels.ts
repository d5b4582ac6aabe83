// `npm run bench:kernels`: speed on hot integer, branch, memory and floating-point code, on system calls, context switches and
// compression, under Sv39, against QEMU.
//
//     npm run bench:kernels -- --runs 3 --rounds 8 --kernels int,fp --qemu /usr/bin/qemu-system-riscv64
//
// `--accel interpreter` measures without the region compiler, `--ratite FILE` another build's program. Each run starts both programs
// in turn; a run's figure is the median of its last four rounds, and its first round, which warms up, has columns of its own. A
// ratio is QEMU's time over ours: 1 is as fast as QEMU, more is faster. Fails when the checksums differ. Profiles of our side:
// `--node-options="--cpu-prof --cpu-prof-dir=FOLDER"`.
import { parseArgs } from "node:util";
import { machineOptions, qemu, ratite, type Emulator } from "./support/emulators.ts";
import { circumstances, median, printTable, ratioText } from "./support/figures.ts";
import { GuestBuild, KERNELS, type Kernel } from "./support/guest-build.ts";
import { watch, type Moment } from "./support/processes.ts";

const TIMEOUT_MS = 600_000;
/** The board's timebase. */
const TICKS_PER_MS = 10_000;

/** Rounds at the end of a run that its figure is made of: all but the first where there are fewer. */
const MEASURED_ROUNDS = 4;

interface Figures {
  readonly checksum: string;
  readonly firstMs: number;
  readonly wallMs: number;
  readonly cpuMs: number;
  /** As the guest's instret counts them; QEMU counts host time there. */
  readonly instructions: number;
}

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    rounds: { type: "string", default: "8" },
    kernels: { type: "string", default: KERNELS.join(",") },
    qemu: { type: "string", default: "qemu-system-riscv64" },
    accel: { type: "string", default: "jit" },
    ratite: { type: "string" },
    "node-options": { type: "string", default: "" },
  },
});
const runs = positive("--runs", values.runs, 1);
const rounds = positive("--rounds", values.rounds, 2);
const kernels = values.kernels.split(",").map((word) => {
  const kernel = KERNELS.find((name) => name === word);
  if (kernel === undefined) throw new Error(`--kernels ${word}: there are ${KERNELS.join(", ")}`);
  return kernel;
});

using guest = new GuestBuild();
const ours = ratite({
  accelerator: values.accel,
  nodeOptions: values["node-options"].split(" ").filter(Boolean),
  ...(values.ratite === undefined ? {} : { program: values.ratite }),
});
const theirs = qemu(values.qemu);
console.log(`${ours.version}\n${theirs.version}\n${guest.compiler}\n${circumstances()}`);
console.log(`${runs} runs of ${rounds} rounds; medians of the last ${Math.min(MEASURED_ROUNDS, rounds - 1)}\n`);

const rows: string[][] = [];
for (const kernel of kernels) {
  const elf = guest.build(kernel, rounds);
  const our: Figures[] = [];
  const their: Figures[] = [];
  for (let run = 0; run < runs; run++) {
    our.push(await measure(ours, kernel, elf));
    their.push(await measure(theirs, kernel, elf));
    if (our[run]!.checksum !== their[run]!.checksum) {
      throw new Error(`${kernel}: checksum ${our[run]!.checksum}, but QEMU has ${their[run]!.checksum}`);
    }
  }
  const cpuMs = median(our.map((figures) => figures.cpuMs));
  rows.push([
    kernel,
    (our[0]!.instructions / 1e6).toFixed(0),
    median(our.map((figures) => figures.wallMs)).toFixed(0),
    median(their.map((figures) => figures.wallMs)).toFixed(0),
    ratioText(our.map((figures, run) => their[run]!.wallMs / figures.wallMs)),
    median(our.map((figures) => figures.firstMs)).toFixed(0),
    median(their.map((figures) => figures.firstMs)).toFixed(0),
    cpuMs.toFixed(0),
    median(their.map((figures) => figures.cpuMs)).toFixed(0),
    ratioText(our.map((figures, run) => their[run]!.cpuMs / figures.cpuMs)),
    (our[0]!.instructions / 1000 / cpuMs).toFixed(0),
  ]);
}
printTable(
  [
    ...["kernel", "M insns", "ms", "QEMU ms", "ratio", "first ms", "QEMU first ms"],
    ...["CPU ms", "QEMU CPU ms", "CPU ratio", "MIPS (CPU)"],
  ],
  rows,
);

async function measure(emulator: Emulator, kernel: Kernel, elf: string): Promise<Figures> {
  const moments: Moment[] = [];
  let report: string[] = [];
  const args = [...machineOptions("128M"), "-bios", "none", "-kernel", elf];
  const status = await watch(emulator, args, {
    timeoutMs: TIMEOUT_MS,
    output: (text, program) => {
      // The last piece is an unfinished line.
      report = text.split(/\r?\n/).slice(0, -1);
      while (moments.length < report.length) {
        moments.push(program.now());
        program.type(" ");
      }
      return false;
    },
  });
  // "begin", then a line per round: name, round, checksum, ticks, instructions.
  const lines = report.slice(1).map((line) => line.split(" "));
  if (status !== 0 || report[0] !== "begin" || lines.length !== rounds || lines.some((line) => line[0] !== kernel)) {
    throw new Error(`${emulator.name} ended with status ${status} and this output:\n${report.join("\n")}`);
  }
  const checksums = new Set(lines.map((line) => line[2]!));
  if (checksums.size !== 1) throw new Error(`${emulator.name}: ${kernel}'s checksum changes from round to round`);
  const [checksum] = checksums;
  const wallMs = lines.map((line) => Number(line[3]) / TICKS_PER_MS);
  const cpuMs = lines.map((_, round) => moments[round + 1]!.cpuMs - moments[round]!.cpuMs);
  return {
    checksum: checksum!,
    firstMs: wallMs[0]!,
    wallMs: median(wallMs.slice(1).slice(-MEASURED_ROUNDS)),
    cpuMs: median(cpuMs.slice(1).slice(-MEASURED_ROUNDS)),
    instructions: Number(lines.at(-1)![4]),
  };
}

function positive(option: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least) throw new Error(`${option} ${text}: a whole number from ${least} up`);
  return value;
}
