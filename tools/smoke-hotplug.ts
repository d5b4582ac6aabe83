// An assigned NVMe disk comes and goes while a Debian guest runs: plugged into a root port by QMP's device_add, used,
// taken out by device_del once the guest has let go of it, and plugged in again; on the PLIC board and with interrupt files.
// What the machine says of its devices is true after each step. Debian's riscv64 kernels are built without pciehp, so a
// script does that driver's part: it reads and writes the slot's registers, rescans the bus and removes the device.
//   npm run smoke:hotplug -- --only MSI-X
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { QmpClient } from "../test/support/qmp-client.ts";
import { CommandSession } from "./support/command-session.ts";

const DISK_BYTES = 64 * 2 ** 20;
const DEVICE = { driver: "vfio-pci", id: "nv0", bus: "rp0", host: "0000:01:00.0", iommufd: "f0" };
const BLOCKED = /VFIO migration is not supported in kernel/;
const EVENT_LIMIT_MS = 120_000;

/** Slot control and status, PCI Express 5.0 §7.5.3.10: power and indicators; presence and attention button. */
const PCIEHP = String.raw`
port=/sys/bus/pci/devices/0000:00:01.0
word() { od -An -tu2 -j$1 -N2 $port/config | tr -d " "; }
capability() { at=$(($(word 52) & 255)); while [ $(($(word $at) & 255)) != 16 ]; do at=$(($(word $at) >> 8)); done; echo $at; }
slot=$(($(capability) + 24))
control() { printf "$1" | dd of=$port/config bs=2 seek=$((slot / 2)) conv=notrunc 2>/dev/null; }
wait_for() { i=0; until eval "$1"; do i=$((i + 1)); [ $i -lt 100 ] || return 1; sleep 0.2; done; }
plugged() {
  wait_for '[ $(($(word $((slot + 2))) & 64)) != 0 ]' && control '\300\001' && echo 1 > /sys/bus/pci/rescan &&
  wait_for '[ -b /dev/nvme0n1 ]'
}
asked_back() {
  wait_for '[ $(($(word $((slot + 2))) & 1)) != 0 ]' && printf '\001\000' | dd of=$port/config bs=2 seek=$((slot / 2 + 1)) conv=notrunc 2>/dev/null &&
  echo 1 > /sys/bus/pci/devices/0000:01:00.0/remove && control '\300\007'
}
`;

const boards = [
  { name: "INTx", options: [] },
  { name: "MSI-X", options: ["-M", "virt,aia=aplic-imsic"] },
] as const;

const { values } = parseArgs({ options: { only: { type: "string" } } });
const wanted = boards.filter(({ name }) => values.only === undefined || values.only === name);
if (wanted.length === 0)
  throw new Error(`--only ${values.only}: there are ${boards.map(({ name }) => name).join(", ")}`);

const folder = await mkdtemp(join(tmpdir(), "ratite-hotplug-"));
try {
  const disk = join(folder, "disk.img");
  await writeFile(disk, "");
  await truncate(disk, DISK_BYTES);
  const host = join(folder, "host.json");
  const properties = { drive: "d0", serial: "plugged" };
  // Without migration, so that a blocker comes and goes with it.
  const devices = [{ bdf: DEVICE.host, kind: "nvme", unit: "u0", properties }];
  await writeFile(host, JSON.stringify({ units: [{ id: "u0", profile: "vtd-ssads" }], devices }));
  for (const { name, options } of wanted) await plugAndUnplug(name, options, { disk, host });
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function plugAndUnplug(
  name: string,
  options: readonly string[],
  files: { readonly disk: string; readonly host: string },
): Promise<void> {
  const socket = join(folder, `qmp-${name}`);
  const qemu = [
    ...options,
    ...["-device", "pcie-root-port,id=rp0,slot=1", "-qmp", `unix:${socket},server=on,wait=off`],
    ...["-drive", `file=${files.disk},format=raw,if=none,id=d0`],
    ...["-object", `iommufd,id=f0,host=software:${files.host}`],
  ];
  await using guest = await CommandSession.boot(["debian", "--no-nvme", "--", ...qemu]);
  const qmp = await QmpClient.connect(socket);
  await qmp.negotiate();
  await blockers(qmp, false);
  for (const line of PCIEHP.trim().split(/\n(?! |\})/)) await guest.run(line);
  await guest.run("modprobe nvme && ! ls /dev/nvme0 2>/dev/null");
  let sums: string | undefined;
  for (const time of ["first", "second"]) {
    await qmp.execute("device_add", DEVICE);
    await guest.run("plugged");
    await blockers(qmp, true);
    sums = await useDisk(guest, sums);
    await qmp.execute("device_del", { id: DEVICE.id });
    await guest.run("asked_back");
    await deleted(qmp);
    await guest.run('! ls /dev/nvme0 2>/dev/null && [ -z "$(ls /sys/class/nvme)" ]');
    await blockers(qmp, false);
    console.log(`${name}: plugged in, used and taken out for the ${time} time`);
  }
  const errors = await guest.run("dmesg | grep -iE 'nvme.*(error|timeout|abort)|pcieport.*(fail|error)' || true");
  if (errors !== "") throw new Error(`the drivers complain:\n${errors}`);
  qmp.close();
  await guest.powerOff();
}

/** The first time a file system is made and filled; the next time it is found. */
async function useDisk(guest: CommandSession, sums: string | undefined): Promise<string> {
  if (sums === undefined) await guest.run("mkfs.ext4 -q /dev/nvme0n1");
  await guest.run("mkdir -p /mnt && mount /dev/nvme0n1 /mnt");
  if (sums === undefined) await guest.run("cp -r /lib/modules/*/kernel/drivers/virtio /mnt && sync");
  const found = await guest.run("find /mnt -type f | sort | xargs md5sum | md5sum");
  await guest.run("umount /mnt");
  if (sums !== undefined && found !== sums) throw new Error(`files differ: ${sums} and ${found}`);
  return found;
}

async function blockers(qmp: QmpClient, expected: boolean): Promise<void> {
  const { "blocked-reasons": reasons = [] } = (await qmp.execute("query-migrate")) as { "blocked-reasons"?: string[] };
  if (reasons.some((reason) => BLOCKED.test(reason)) === expected && (expected || reasons.length === 0)) return;
  throw new Error(`migration is blocked by [${reasons.join("; ")}] with${expected ? "" : "out"} the device`);
}

async function deleted(qmp: QmpClient): Promise<void> {
  const endMs = performance.now() + EVENT_LIMIT_MS;
  for (;;) {
    const at = qmp.events.findIndex(
      ({ event, data }) => event === "DEVICE_DELETED" && (data as { device?: string }).device === DEVICE.id,
    );
    if (at >= 0) return void qmp.events.splice(at, 1);
    if (performance.now() > endMs) throw new Error(`the guest keeps the device: ${JSON.stringify(qmp.events)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
