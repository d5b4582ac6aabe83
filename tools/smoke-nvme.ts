// NVMe in a Debian guest: mkfs, fill, checksums, on the PLIC board by INTx and with aia=aplic-imsic by MSI-X; afterwards
// the host's e2fsck looks at the image, where it is installed.
//   npm run smoke:nvme
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withGuest, type GuestSession } from "./guest-session.ts";

const diskBytes = 96 * 2 ** 20;
const boards = [
  { name: "PLIC, INTx", boardOptions: {}, interrupts: /SiFive PLIC.*nvme/ },
  { name: "aia=aplic-imsic, MSI-X", boardOptions: { aia: "aplic-imsic" }, interrupts: /PCI-MSIX.*nvme/ },
];

const folder = await mkdtemp(join(tmpdir(), "ratite-nvme-"));
try {
  for (const board of boards) {
    const disk = join(folder, `${board.name}.img`);
    await writeFile(disk, "");
    await truncate(disk, diskBytes);
    const { boardOptions } = board;
    const drives = [{ image: disk, interface: "nvme" as const }];
    await withGuest({ guest: "debian", cpus: 2, boardOptions, drives }, async (guest) => {
      console.log(`${board.name}: shell after ${guest.bootSeconds.toFixed(1)} s`);
      await useDisk(guest, board.interrupts);
    });
    checkImage(disk);
    console.log(`${board.name}: ext4 on NVMe is clean and its files are equal`);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function useDisk(guest: GuestSession, interrupts: RegExp): Promise<void> {
  console.log((await guest.run("cat /sys/class/nvme/nvme0/model /sys/class/nvme/nvme0/serial")).split("\n").join(", "));
  await guest.run("mkfs.ext4 -q /dev/nvme0n1");
  await guest.run("mkdir -p /mnt && mount -o discard /dev/nvme0n1 /mnt");
  await guest.run("dd if=/dev/urandom of=/mnt/random bs=1M count=24 2>/dev/null && cp -r /lib/modules /mnt/copied");
  const sumOfAll = "find /mnt -type f | sort | xargs md5sum | md5sum";
  const before = await guest.run(sumOfAll);
  // Mounted anew, the files come from the disk.
  await guest.run("umount /mnt && echo 3 > /proc/sys/vm/drop_caches && mount -o discard /dev/nvme0n1 /mnt");
  const after = await guest.run(sumOfAll);
  if (after !== before) throw new Error(`files differ: ${before} and ${after}`);
  await guest.run("rm /mnt/random && sync && umount /mnt");
  const table = await guest.run("cat /proc/interrupts");
  if (!interrupts.test(table)) throw new Error(`the disk's interrupts come another way:\n${table}`);
  const errors = await guest.run("dmesg | grep -iE 'nvme.*(error|timeout|abort)' || true");
  if (errors !== "") throw new Error(`the driver complains:\n${errors}`);
}

function checkImage(disk: string): void {
  try {
    execFileSync("e2fsck", ["-f", "-n", disk], { stdio: "pipe" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    console.log("(e2fsck is not installed here: the image is not looked at)");
  }
}
