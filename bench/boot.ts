// `npm run bench:boot`: Debian from the start of the process to its shell prompt, against QEMU.
//
//     npm run bench:boot -- --runs 3 --release trixie-backports --qemu /usr/bin/qemu-system-riscv64
//
// Same kernel, initrd, command line, memory, one hart; the programs take turns. A ratio is QEMU's time over ours. The
// guest is what `ratite guest fetch debian` keeps in the cache; it is fetched when it is not there.
import { parseArgs } from "node:util";
import { fetchGuest } from "../src/guest/index.ts";
import { nodeGuestHost } from "../src/host/node/index.ts";
import { machineOptions, qemu, ratite, type Emulator } from "./support/emulators.ts";
import { circumstances, median, printTable, ratioText } from "./support/figures.ts";
import { watch, type Moment } from "./support/processes.ts";

const TIMEOUT_MS = 600_000;
const PROMPT = "root@ratite:~# ";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    release: { type: "string", default: "trixie" },
    memory: { type: "string", default: "512M" },
    qemu: { type: "string", default: "qemu-system-riscv64" },
    accel: { type: "string", default: "jit" },
    ratite: { type: "string" },
  },
});
const runs = Number(values.runs);
if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: a whole number from 1 up`);

const ours = ratite({
  accelerator: values.accel,
  ...(values.ratite === undefined ? {} : { program: values.ratite }),
});
const theirs = qemu(values.qemu);
const files = await fetchGuest(nodeGuestHost({}), "debian", {
  release: values.release,
  report: ({ phase, subject }) => {
    if (phase === "notice") console.error(subject);
  },
});
console.log(`${ours.version}\n${theirs.version}\nLinux ${files.kernelRelease}\n${circumstances()}\n`);

const our: Moment[] = [];
const their: Moment[] = [];
for (let run = 0; run < runs; run++) {
  our.push(await boot(ours));
  their.push(await boot(theirs));
}
const seconds = (of: (moment: Moment) => number, moments: readonly Moment[]): string =>
  (median(moments.map(of)) / 1000).toFixed(2);
const mebibytes = (moments: readonly Moment[]): string =>
  (median(moments.map(({ peakBytes }) => peakBytes)) / 2 ** 20).toFixed(0);
printTable(
  ["Debian to its shell", "s", "CPU s", "peak MiB"],
  [
    ["Ratite", seconds((moment) => moment.wallMs, our), seconds((moment) => moment.cpuMs, our), mebibytes(our)],
    ["QEMU", seconds((moment) => moment.wallMs, their), seconds((moment) => moment.cpuMs, their), mebibytes(their)],
    [
      "ratio",
      ratioText(our.map(({ wallMs }, run) => their[run]!.wallMs / wallMs)),
      ratioText(our.map(({ cpuMs }, run) => their[run]!.cpuMs / cpuMs)),
      "",
    ],
  ],
);

async function boot(emulator: Emulator): Promise<Moment> {
  let prompt: Moment | undefined;
  const { kernelPath, initrdPath } = files;
  const args = ["-kernel", kernelPath, "-initrd", initrdPath, "-append", "console=ttyS0"];
  const status = await watch(emulator, [...machineOptions(values.memory), ...args], {
    timeoutMs: TIMEOUT_MS,
    output: (text, program) => {
      if (!text.includes(PROMPT)) return false;
      prompt = program.now();
      return true;
    },
  });
  if (prompt === undefined) throw new Error(`${emulator.name} ended with status ${status} before the shell's prompt`);
  return prompt;
}
