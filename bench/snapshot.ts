// `npm run bench:snapshot`: a booted Debian saved to a file, and back to a shell that works, against its boot.
//
//     npm run bench:snapshot -- --runs 3 --memory 512M
//
// Each run boots, saves over QMP (`migrate` to `file:`), and loads with `-incoming file:`; times are from the start of the
// process to a shell that has answered a command, so that one run's boot and load are as busy a machine's as each other.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MachineProcess } from "../src/cli/lab/machine-process.ts";
import type { QmpObject } from "../src/cli/lab/qmp-client.ts";
import { fetchGuest } from "../src/guest/index.ts";
import { nodeGuestHost } from "../src/host/node/index.ts";
import { circumstances, median, printTable, ratioText } from "./support/figures.ts";

const program = fileURLToPath(new URL("../dist/bin/ratite-system-riscv64.js", import.meta.url));
const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    memory: { type: "string", default: "512M" },
    release: { type: "string", default: "trixie" },
    accel: { type: "string" },
  },
});
const runs = Number(values.runs);
if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: a whole number from 1 up`);

const files = await fetchGuest(nodeGuestHost({}), "debian", { release: values.release });
const folder = mkdtempSync(join(tmpdir(), "ratite-snapshot-"));
const file = join(folder, "saved");
const accelerator = values.accel === undefined ? [] : ["-accel", values.accel];
const options = ["-M", "virt", "-m", values.memory, "-kernel", files.kernelPath, "-initrd", files.initrdPath];
options.push("-append", "console=ttyS0", ...accelerator);
console.log(`Linux ${files.kernelRelease}, ${values.memory}\n${circumstances()}\n`);

const times: { boot: number; save: number; load: number; bytes: number }[] = [];
try {
  for (let run = 0; run < runs; run++) times.push(await once(run));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const seconds = (of: (time: (typeof times)[number]) => number): string => (median(times.map(of)) / 1000).toFixed(2);
printTable(
  ["Debian, to a shell that answers", "s"],
  [
    ["boot", seconds(({ boot }) => boot)],
    ["save", seconds(({ save }) => save)],
    ["load", seconds(({ load }) => load)],
    ["load / boot", ratioText(times.map(({ load, boot }) => load / boot))],
    ["file, MiB", (median(times.map(({ bytes }) => bytes)) / 2 ** 20).toFixed(0)],
  ],
);

async function once(run: number): Promise<(typeof times)[number]> {
  const startedAt = performance.now();
  const source = await MachineProcess.start({ name: `booted${run}`, folder, options, program });
  await source.booted();
  await source.answers();
  const boot = performance.now() - startedAt;
  await source.qmp.execute("migrate-set-parameters", { "max-bandwidth": 0 });
  const saveAt = performance.now();
  await source.qmp.execute("migrate", { uri: `file:${file}` });
  for (;;) {
    const { status, "error-desc": error } = (await source.qmp.execute("query-migrate")) as QmpObject;
    if (status === "completed") break;
    if (status === "failed") throw new Error(String(error));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const save = performance.now() - saveAt;
  await source.end();
  const loadAt = performance.now();
  const back = await MachineProcess.start({
    ...{ name: `loaded${run}`, folder, program },
    options: [...options, "-incoming", `file:${file}`],
  });
  await back.answers();
  const load = performance.now() - loadAt;
  await back.end();
  return { boot, save, load, bytes: statSync(file).size };
}
