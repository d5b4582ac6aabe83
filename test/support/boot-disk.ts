// For tests: a disk on which boot loaders find a kernel, made without root.
import { execFileSync } from "node:child_process";
import { closeSync, copyFileSync, mkdirSync, openSync, rmSync, statSync, truncateSync } from "node:fs";
import { writeFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { bytes, layout, u16le, u32le, u8 } from "../../src/base/index.ts";
import { has } from "./tools.ts";

const SECTOR_BYTES = 512;
const MiB = 2 ** 20;
const PARTITION_AT_BYTES = MiB;
/** What a file system takes for itself, generously. */
const SPARE_BYTES = 8 * MiB;

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

/** Where Debian has it, which is not on everybody's path. */
const MKE2FS = "/sbin/mke2fs";

export function canMakeDisk(): boolean {
  return has(MKE2FS);
}

/** Bytes, or the path of a file to copy. */
export type DiskFile = Uint8Array | { readonly path: string };

/**
 * Makes `disk.img` in `folder`: one bootable ext4 partition with these files. Needs no root.
 *
 *     makeDisk(folder, { vmlinux: { path: kernel }, ...extlinux({ linux: "/vmlinux", append: "quiet" }) })
 */
export function makeDisk(folder: string, files: Readonly<Record<string, DiskFile>>): string {
  const root = join(folder, "root");
  let contentBytes = 0;
  for (const [name, file] of Object.entries(files)) {
    const path = join(root, name);
    mkdirSync(dirname(path), { recursive: true });
    if (file instanceof Uint8Array) writeFileSync(path, file);
    else copyFileSync(file.path, path);
    contentBytes += statSync(path).size;
  }
  const partitionBytes = Math.ceil((contentBytes + SPARE_BYTES) / MiB) * MiB;
  const image = join(folder, "disk.img");
  writeFileSync(image, "");
  truncateSync(image, PARTITION_AT_BYTES + partitionBytes);
  const where = ["-E", `offset=${PARTITION_AT_BYTES}`, image, `${partitionBytes / 1024}k`];
  execFileSync(MKE2FS, ["-q", "-t", "ext4", "-d", root, ...where], { stdio: ["ignore", "ignore", "pipe"] });
  writePartitionTable(image, partitionBytes);
  rmSync(root, { recursive: true });
  return image;
}

/** The file by which U-Boot's distro boot finds what to start. */
export function extlinux(entry: Readonly<Record<"linux" | "append" | "initrd", string>>): Record<string, Uint8Array> {
  const lines = [
    "default only",
    "timeout 1",
    "label only",
    ...Object.entries(entry).map((pair) => `  ${pair.join(" ")}`),
  ];
  return { "extlinux/extlinux.conf": new TextEncoder().encode(`${lines.join("\n")}\n`) };
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
