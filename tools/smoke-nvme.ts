// NVMe in a Debian guest, as `ratite run` gives it: {emulated on the board, assigned through a software host's IOMMUFD} ×
// {PLIC by INTx, aia=aplic-imsic by MSI-X}. A file system is made and filled, checked from the disk, and again after a
// reboot; the driver must have used the disk's own interrupts and complained about nothing.
//   npm run smoke:nvme -- --only "assigned × INTx"
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CommandSession } from "./support/command-session.ts";

const DISK_BYTES = 96 * 2 ** 20;
const SUM_OF_ALL = "find /mnt -type f | sort | xargs md5sum | md5sum";

interface Way {
  readonly name: string;
  readonly words: (disk: string) => readonly string[];
  readonly qemuOptions: (disk: string) => readonly string[];
  /** What the program says before the guest starts. */
  readonly told: RegExp;
}

const ways: readonly Way[] = [
  {
    name: "direct",
    words: () => ["--no-nvme"],
    qemuOptions: (disk) => ["-drive", `file=${disk},format=raw,if=none,id=d0`, "-device", "nvme,drive=d0,serial=s0"],
    told: /To leave: Ctrl-A X\n$/,
  },
  {
    name: "assigned",
    words: (disk) => ["--nvme", disk],
    qemuOptions: () => [],
    told: /: assigned through nvme-host, on page table \d+; its writes are tracked by the dirty bits of its page table/,
  },
];

const boards = [
  { name: "INTx", qemuOptions: [], interrupts: /SiFive PLIC.*nvme/ },
  { name: "MSI-X", qemuOptions: ["-M", "virt,aia=aplic-imsic"], interrupts: /PCI-MSIX.*nvme/ },
] as const;

const { values } = parseArgs({ options: { only: { type: "string", multiple: true, default: [] } } });
const cases = ways.flatMap((way) => boards.map((board) => ({ name: `${way.name} × ${board.name}`, way, board })));
const wanted = values.only.length === 0 ? cases : cases.filter(({ name }) => values.only.includes(name));
if (wanted.length === 0) {
  throw new Error(`--only ${values.only.join(", ")}: there are ${cases.map(({ name }) => name).join(", ")}`);
}

const folder = await mkdtemp(join(tmpdir(), "ratite-nvme-"));
try {
  for (const { name, way, board } of wanted) {
    const disk = join(folder, `${name}.img`);
    await writeFile(disk, "");
    await truncate(disk, DISK_BYTES);
    const qemuOptions = [...board.qemuOptions, ...way.qemuOptions(disk)];
    const begunMs = performance.now();
    await using guest = await CommandSession.boot(["debian", ...way.words(disk), "--", ...qemuOptions]);
    console.log(`${name}: shell after ${seconds(begunMs)} s`);
    if (!way.told.test(guest.told)) throw new Error(`the program says how the disk is attached:\n${guest.told}`);
    const sums = await fillDisk(guest);
    await checkDriver(guest, board.interrupts);
    await guest.reboot();
    await checkDisk(guest, sums);
    await checkDriver(guest, board.interrupts);
    await guest.powerOff();
    checkImage(disk);
    console.log(`${name}: ext4 is clean after a reboot and its files are equal; ${seconds(begunMs)} s`);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

function seconds(sinceMs: number): string {
  return ((performance.now() - sinceMs) / 1000).toFixed(1);
}

/** The sum of all files' sums, read from the disk and not from the guest's memory. */
async function fillDisk(guest: CommandSession): Promise<string> {
  console.log((await guest.run("cat /sys/class/nvme/nvme0/model /sys/class/nvme/nvme0/serial")).split("\n").join(", "));
  await guest.run("mkfs.ext4 -q /dev/nvme0n1");
  await guest.run("mkdir -p /mnt && mount -o discard /dev/nvme0n1 /mnt");
  await guest.run(
    "dd if=/dev/urandom of=/mnt/random bs=1M count=6 2>/dev/null && cp -r /lib/modules/*/kernel/fs /mnt/copied",
  );
  const before = await guest.run(SUM_OF_ALL);
  await guest.run("umount /mnt && echo 3 > /proc/sys/vm/drop_caches && mount -o discard /dev/nvme0n1 /mnt");
  const after = await guest.run(SUM_OF_ALL);
  if (after !== before) throw new Error(`files differ: ${before} and ${after}`);
  await guest.run("dd if=/dev/zero of=/mnt/hole bs=1M count=4 2>/dev/null && sync && rm /mnt/hole && umount /mnt");
  return after;
}

async function checkDisk(guest: CommandSession, sums: string): Promise<void> {
  await guest.run("e2fsck -f -n /dev/nvme0n1");
  await guest.run("mkdir -p /mnt && mount -o ro /dev/nvme0n1 /mnt");
  const again = await guest.run(SUM_OF_ALL);
  if (again !== sums) throw new Error(`files differ after the reboot: ${sums} and ${again}`);
  await guest.run("umount /mnt");
}

async function checkDriver(guest: CommandSession, interrupts: RegExp): Promise<void> {
  const table = await guest.run("cat /proc/interrupts");
  const lines = table.split("\n").filter((text) => interrupts.test(text) && / [1-9]\d* /.test(text));
  if (lines.length === 0) throw new Error(`the disk's interrupts come another way:\n${table}`);
  for (const line of lines) console.log(line.trim().replaceAll(/ +/g, " "));
  const errors = await guest.run("dmesg | grep -iE 'nvme.*(error|timeout|abort)' || true");
  if (errors !== "") throw new Error(`the driver complains:\n${errors}`);
}

/** What the guest left, as its host sees it. */
function checkImage(disk: string): void {
  try {
    execFileSync("e2fsck", ["-f", "-n", disk], { stdio: "pipe" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    console.log("(e2fsck is not installed here: the image is not looked at)");
  }
}
