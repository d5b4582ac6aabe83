// The main job, once: Debian boots to its shell, makes an ext4 file system on a virtio disk, fills it and powers off; a
// second boot finds it clean and its files equal.
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withGuest } from "./guest-session.ts";

const sumOfAll = "find /mnt -type f | sort | xargs md5sum | md5sum";
const diskBytes = 96 * 2 ** 20;

const folder = await mkdtemp(join(tmpdir(), "ratite-smoke-"));
try {
  const disk = join(folder, "disk.img");
  await writeFile(disk, "");
  await truncate(disk, diskBytes);
  let sums = "";
  await withGuest({ guest: "debian", cpus: 2, drives: [disk] }, async (guest) => {
    console.log(`first boot: shell after ${guest.bootSeconds.toFixed(1)} s`);
    console.log((await guest.run("uname -a")).trim());
    await guest.run("mkfs.ext4 -q /dev/vda");
    await guest.run("mkdir -p /mnt && mount /dev/vda /mnt");
    await guest.run("dd if=/dev/urandom of=/mnt/random bs=1M count=24 2>/dev/null && cp -r /lib/modules /mnt/copied");
    sums = await guest.run(sumOfAll);
    await guest.run("sync && umount /mnt");
  });
  await withGuest({ guest: "debian", cpus: 1, drives: [disk] }, async (guest) => {
    console.log(`second boot: shell after ${guest.bootSeconds.toFixed(1)} s`);
    await guest.run("e2fsck -f -n /dev/vda");
    await guest.run("mkdir -p /mnt && mount -o ro /dev/vda /mnt");
    const again = await guest.run(sumOfAll);
    if (again !== sums) throw new Error(`files differ after the second boot: ${sums} and ${again}`);
  });
  console.log(`smoke: ext4 is clean and its files are equal (${sums.trim()})`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
