// `npm run bench:nvme`: NVMe in a Debian guest, 4 KiB random and 128 KiB sequential, one request at a time: a disk that is
// assigned through the software host's IOMMUFD against one that is emulated on the board, in one guest; both against QEMU's
// emulated disk; and what it costs to ask every 100 ms which pages were written.
//
//     npm run bench:nvme -- --rounds 10 --accel jit --qemu /usr/bin/qemu-system-riscv64
//
// The disks take turns request for request count; each figure is a median of rounds, each ratio a median of the ratios of
// one round. CPU time is that of all threads of an emulator.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { packageVersion } from "../src/cli/qemu-options/version.ts";
import { unattendedGuest } from "../tools/support/unattended-guest.ts";
import { machineOptions, qemu } from "./support/emulators.ts";
import { circumstances, median, printTable, ratioText } from "./support/figures.ts";
import { buildLinuxProgram } from "./support/guest-build.ts";
import { ForeignGuest, IO_SCRIPT, OwnGuest, type Work } from "./support/io-guests.ts";

const DISK_BYTES = 64 * 2 ** 20;
const TRACKING_ROUND_MS = 100;
const LOADS = [
  { mode: "randread", what: "4 KiB random reads", count: 1500 },
  { mode: "randwrite", what: "4 KiB random writes", count: 1500 },
  { mode: "seqread", what: "128 KiB sequential reads", count: 600 },
  { mode: "seqwrite", what: "128 KiB sequential writes", count: 600 },
] as const;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "10" },
    accel: { type: "string", default: "jit" },
    qemu: { type: "string", default: "qemu-system-riscv64" },
    "no-qemu": { type: "boolean", default: false },
    scale: { type: "string", default: "1" },
  },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds ${values.rounds}: a whole number from 1 up`);
const scale = Number(values.scale);
if (!(scale > 0)) throw new Error(`--scale ${values.scale}: a number above 0`);

interface Round {
  readonly direct: Work;
  readonly assigned: Work;
  readonly tracked: Work;
  readonly theirs: Work | undefined;
}

const folder = mkdtempSync(join(tmpdir(), "ratite-bench-"));
try {
  await run();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<void> {
  const program = { name: "nvme-io", content: buildLinuxProgram("nvme-io") };
  const { kernelRelease, kernelPath, initrd } = await unattendedGuest(undefined, IO_SCRIPT, [program]);
  const initrdPath = join(folder, "initrd");
  writeFileSync(initrdPath, initrd);
  const boot = [...machineOptions("512M"), "-kernel", kernelPath, "-initrd", initrdPath, "-append", "console=ttyS0"];
  const theirProgram = values["no-qemu"] ? undefined : qemu(values.qemu);
  console.log(`Ratite ${packageVersion()}, -accel ${values.accel}\n${theirProgram?.version ?? "no QEMU"}`);
  console.log(`Linux ${kernelRelease}\n${circumstances()}\n`);
  using theirs =
    theirProgram === undefined ? undefined : new ForeignGuest(theirProgram, [...boot, ...directDisk("theirs")]);
  const own = ["-accel", values.accel, ...boot.filter((word) => word !== "-nographic")];
  await using ours = await OwnGuest.make([...own, ...directDisk("direct"), ...assignedDisk("assigned")]);
  await Promise.all([ours.booted(), theirs?.booted()]);
  const measured = new Map<string, Round[]>(LOADS.map(({ mode }) => [mode, []]));
  // One more, which warms everything up and is not counted.
  for (let round = -1; round < rounds; round++) {
    for (const { mode, count } of LOADS) {
      const figures = await measure(ours, theirs, mode, Math.ceil(count * scale), round);
      if (round >= 0) measured.get(mode)!.push(figures);
    }
  }
  report(measured);
}

/** Who comes first changes from round to round. */
async function measure(
  ours: OwnGuest,
  theirs: ForeignGuest | undefined,
  mode: string,
  count: number,
  round: number,
): Promise<Round> {
  const works = new Map<string, Work>();
  const steps: readonly (readonly [string, () => Promise<Work>])[] = [
    ["direct", () => ours.work("direct", mode, count)],
    ["assigned", () => ours.work("assigned", mode, count)],
    ["tracked", () => ours.tracked(TRACKING_ROUND_MS, () => ours.work("assigned", mode, count))],
  ];
  for (const [name, work] of round % 2 === 0 ? steps : [...steps].reverse()) works.set(name, await work());
  const their = await theirs?.work("theirs", mode, count);
  return {
    direct: works.get("direct")!,
    assigned: works.get("assigned")!,
    tracked: works.get("tracked")!,
    theirs: their,
  };
}

function report(measured: ReadonlyMap<string, readonly Round[]>): void {
  const head = [
    "I/O",
    "direct, ops/s",
    "assigned, ops/s",
    "assigned / direct",
    "by CPU",
    "QEMU, ops/s",
    "assigned / QEMU",
    "by CPU",
    "tracking, CPU",
  ];
  const rows = LOADS.map(({ mode, what, count }) => {
    const each = measured.get(mode)!;
    const speed = (works: readonly (Work | undefined)[]): string =>
      works[0] === undefined ? "" : ((count * scale * 1000) / median(works.map((work) => work!.wallMs))).toFixed(0);
    const against = (of: (round: Round) => Work | undefined, time: keyof Work): string =>
      each[0] === undefined || of(each[0]) === undefined
        ? ""
        : ratioText(each.map((round) => of(round)![time] / round.assigned[time]));
    const costs = each.map(({ tracked, assigned }) => 100 * (tracked.cpuMs / assigned.cpuMs - 1));
    return [
      what,
      speed(each.map(({ direct }) => direct)),
      speed(each.map(({ assigned }) => assigned)),
      against(({ direct }) => direct, "wallMs"),
      against(({ direct }) => direct, "cpuMs"),
      speed(each.map(({ theirs }) => theirs)),
      against(({ theirs }) => theirs, "wallMs"),
      against(({ theirs }) => theirs, "cpuMs"),
      `${median(costs).toFixed(1)} % (${Math.min(...costs).toFixed(1)}-${Math.max(...costs).toFixed(1)})`,
    ];
  });
  printTable(head, rows);
}

/** Written, not a hole, so that reads come from the host's memory. */
function image(name: string): string {
  const path = join(folder, `${name}.img`);
  writeFileSync(path, new Uint8Array(DISK_BYTES).fill(0x5a));
  return path;
}

function directDisk(name: string): string[] {
  return [
    "-drive",
    `file=${image(name)},format=raw,if=none,id=${name}`,
    "-device",
    `nvme,drive=${name},serial=${name}`,
  ];
}

function assignedDisk(name: string): string[] {
  const path = join(folder, "host.json");
  const device = { bdf: "0000:01:00.0", kind: "nvme", unit: "u0", properties: { drive: name, serial: name } };
  writeFileSync(path, JSON.stringify({ units: [{ id: "u0", profile: "vtd-ssads" }], devices: [device] }));
  return [
    ...["-drive", `file=${image(name)},format=raw,if=none,id=${name}`],
    ...["-object", `iommufd,id=f0,host=software:${path}`, "-device", "vfio-pci,host=0000:01:00.0,iommufd=f0"],
  ];
}
