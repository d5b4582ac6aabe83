// `npm run repeat:boot`: the same Debian boot twice with -icount. Every hart's registers are compared after each 10,000
// instructions (`--every`) and memory now and then; at the end instruction counts, console bytes, guest time, memory and
// disk. Without --harts: one hart and four, each with shift=0; then shift=auto, which follows the host's speed and
// therefore promises only that the guest gets to its end.
//
//     npm run repeat:boot -- --harts 2 --shift 3 --board virt,aia=aplic-imsic
//
// `--accel jit,interpreter` takes one accelerator the first time and the other the second.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { firstParting } from "./support/boot-points.ts";
import { unattendedGuest } from "./support/unattended-guest.ts";

const PROGRAM = join(import.meta.dirname, "support/traced-boot.ts");
const BOOT_LIMIT_MS = 1_800_000;

/** Uses what could differ from run to run: timers, sleep, every hart, random bytes, the time of day, a disk. */
const SCRIPT = `uname -a; nproc; date
dd if=/dev/urandom bs=1k count=64 2>/dev/null | md5sum
for i in 1 2 3 4; do (i=0; while [ $i -lt 300 ]; do i=$((i + 1)); done; echo counted) & done; wait
mkfs.ext4 -q /dev/vda && mkdir /mnt/disk && mount /dev/vda /mnt/disk && cp /usr/bin/busybox /mnt/disk
sync; sleep 1
cat /proc/interrupts /proc/uptime
dmesg | md5sum
poweroff
`;
const DISK_BYTES = 16 * 2 ** 20;

interface Plan {
  readonly harts: number;
  readonly shift: string;
}

/** What two runs are compared by. */
interface Facts {
  readonly instructions: string;
  readonly "guest ns": string;
  readonly console: string;
  readonly memory: string;
  readonly disk: string;
}

const { values } = parseArgs({
  options: {
    harts: { type: "string" },
    shift: { type: "string" },
    board: { type: "string", default: "virt" },
    release: { type: "string" },
    accel: { type: "string", default: "tcg" },
    every: { type: "string", default: "10000" },
  },
});
const [firstAccelerator = "tcg", secondAccelerator = firstAccelerator] = values.accel.split(",");
const runs = [firstAccelerator, secondAccelerator] as const;
const guest = await unattendedGuest(values.release, SCRIPT);
const folder = mkdtempSync(join(tmpdir(), "ratite-repeat-"));
let unequal = 0;
try {
  writeFileSync(join(folder, "initrd"), guest.initrd);
  console.log(`Linux ${guest.kernelRelease}, -M ${values.board}`);
  for (const plan of plans()) compare(plan);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(unequal === 0 ? "every repetition is equal" : `${unequal} of the repetitions differ`);
process.exitCode = unequal === 0 ? 0 : 1;

function plans(): readonly Plan[] {
  const { harts, shift } = values;
  if (harts !== undefined || shift !== undefined) return [{ harts: Number(harts ?? 1), shift: shift ?? "0" }];
  return [
    { harts: 1, shift: "0" },
    { harts: 4, shift: "0" },
    { harts: 1, shift: "auto" },
  ];
}

function compare(plan: Plan): void {
  const title = `${plan.harts} hart${plan.harts === 1 ? "" : "s"}, -icount shift=${plan.shift}`;
  const first = run(plan, 0);
  console.log(`${title}:`);
  for (const [name, value] of Object.entries(first)) console.log(`  ${name.padEnd(12)} ${value}`);
  if (plan.shift === "auto") return console.log("  reached its end; a repetition need not be equal");
  const second = run(plan, 1);
  const { agreed, at } = firstParting(tracePath(0), tracePath(1));
  if (at === undefined) console.log(`  points       ${agreed} on the way agree`);
  else console.log(`  points       ${agreed} agree, then not: ${at}`);
  const other = Object.entries(second).filter(([name, value]) => first[name as keyof Facts] !== value);
  for (const [name, value] of other) console.log(`  ${name.padEnd(12)} ${value} the second time: DIFFERENT`);
  if (other.length === 0 && at === undefined) console.log("  the same the second time");
  else unequal++;
}

function tracePath(which: 0 | 1): string {
  return join(folder, `trace-${which}`);
}

function run({ harts, shift }: Plan, which: 0 | 1): Facts {
  const [disk, report, console] = ["disk.img", "report.json", "console"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(disk, new Uint8Array(DISK_BYTES));
  const boot = ["-kernel", guest.kernelPath, "-initrd", join(folder, "initrd"), "-append", "console=ttyS0"];
  const machine = [
    "-M",
    values.board,
    "-accel",
    runs[which],
    "-smp",
    `${harts}`,
    "-m",
    "512M",
    "-icount",
    `shift=${shift}`,
  ];
  const back = ["-display", "none", "-serial", `file:${console}`, "-drive", `file=${disk},format=raw,if=virtio`];
  const script = ["--import", "tsx", PROGRAM, tracePath(which), report, values.every];
  execFileSync(process.execPath, [...script, ...machine, ...boot, ...back], {
    stdio: ["ignore", "inherit", "inherit"],
    timeout: BOOT_LIMIT_MS,
  });
  const facts = JSON.parse(readFileSync(report, "utf8")) as {
    readonly instructions: readonly number[];
    readonly guestNs: number;
    readonly memory: readonly { readonly sha256: string }[];
  };
  const text = readFileSync(console);
  if (!text.includes("reboot: Power down"))
    throw new Error(`The guest did not power off:\n${text.subarray(-2000).toString()}`);
  return {
    instructions: facts.instructions.join(" + "),
    "guest ns": `${facts.guestNs}`,
    console: `${text.length} bytes, ${digest(text)}`,
    memory: digest(facts.memory.map(({ sha256 }) => sha256).join()),
    disk: digest(readFileSync(disk)),
  };
}

function digest(bytes: Uint8Array | string): string {
  return `sha256 ${createHash("sha256").update(bytes).digest("hex").slice(0, 32)}`;
}
