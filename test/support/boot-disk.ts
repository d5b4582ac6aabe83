// For tests: a disk on which boot loaders find a kernel, made without root.
import { execFileSync } from "node:child_process";
import { closeSync, copyFileSync, mkdirSync, openSync, rmSync, statSync, truncateSync } from "node:fs";
import { writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { bytes, layout, u16le, u32le, u8 } from "../../src/base/index.ts";

const SECTOR_BYTES = 512;
const MiB = 2 ** 20;
const PARTITION_AT_BYTES = MiB;
/** What a file system takes for itself, generously. */
const SPARE_BYTES = 16 * MiB;

/** The end of a master boot record: the first of its four partitions, and the signature. */
const PartitionTable = layout("partition table", 66, {
  status: u8,
  firstAsChs: bytes(3),
  type: u8,
  lastAsChs: bytes(3),
  firstSector: u32le,
  sectorCount: u32le,
  others: bytes(48),
  signature: u16le,
});
const TABLE_AT_BYTES = 446;
const BOOTABLE = 0x80;
const LINUX = 0x83;
/** The cylinder, head and sector that say "see the sector numbers". */
const NO_CHS = Uint8Array.of(0xfe, 0xff, 0xff);
const SIGNATURE = 0xaa55;

export interface BootDisk {
  readonly kernelPath: string;
  readonly initrdPath: string;
  readonly commandLine: string;
}

/**
 * Makes `disk.img` in `folder`: one bootable ext4 partition with kernel, initrd and the `extlinux.conf` that U-Boot's
 * distro boot looks for. Needs `mke2fs`.
 */
export function makeBootDisk(folder: string, { kernelPath, initrdPath, commandLine }: BootDisk): string {
  const root = join(folder, "root");
  mkdirSync(join(root, "extlinux"), { recursive: true });
  copyFileSync(kernelPath, join(root, "vmlinux"));
  copyFileSync(initrdPath, join(root, "initrd"));
  const entry = ["label guest", "  linux /vmlinux", "  initrd /initrd", `  append ${commandLine}`];
  writeFileSync(join(root, "extlinux/extlinux.conf"), ["default guest", "timeout 1", ...entry, ""].join("\n"));
  const contentBytes = statSync(kernelPath).size + statSync(initrdPath).size;
  const partitionBytes = Math.ceil((contentBytes + SPARE_BYTES) / MiB) * MiB;
  const image = join(folder, "disk.img");
  writeFileSync(image, "");
  truncateSync(image, PARTITION_AT_BYTES + partitionBytes);
  const where = ["-E", `offset=${PARTITION_AT_BYTES}`, image, `${partitionBytes / 1024}k`];
  // Administrators' programs are not on everybody's path.
  const env = { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` };
  execFileSync("mke2fs", ["-q", "-t", "ext4", "-d", root, ...where], { env, stdio: ["ignore", "ignore", "pipe"] });
  writePartitionTable(image, partitionBytes);
  rmSync(root, { recursive: true });
  return image;
}

function writePartitionTable(image: string, partitionBytes: number): void {
  const table = new Uint8Array(PartitionTable.lengthBytes);
  PartitionTable.encode(
    {
      status: BOOTABLE,
      firstAsChs: NO_CHS,
      type: LINUX,
      lastAsChs: NO_CHS,
      firstSector: PARTITION_AT_BYTES / SECTOR_BYTES,
      sectorCount: partitionBytes / SECTOR_BYTES,
      others: new Uint8Array(48),
      signature: SIGNATURE,
    },
    table,
  );
  const file = openSync(image, "r+");
  writeSync(file, table, 0, table.length, TABLE_AT_BYTES);
  closeSync(file);
}
