// cpio archives in the "newc" format, which the kernel takes as an initramfs
// (kernel Documentation/driver-api/early-userspace/buffer-format.rst): read and write.
import { alignUp } from "../base/index.ts";
import { type ArchiveEntry, type ArchiveEntryType, normalizePath } from "./archive-entry.ts";
import { FormatError, sliceAt } from "./errors.ts";
import { decodeText, encodeText, hasMagic, textToNul } from "./text.ts";

const HEADER_BYTES = 110;
const TRAILER = "TRAILER!!!";
/** PATH_MAX of Linux, which the kernel's unpacker enforces too. */
const MAX_PATH_BYTES = 4096;
/** GNU cpio pads an archive to its block size. */
const ARCHIVE_ALIGNMENT_BYTES = 512;

/** S_IFMT values (inode(7)). Hard links are files with one inode number; only the last carries the content. */
const FILE_TYPES: Readonly<Record<Exclude<ArchiveEntryType, "hardlink">, number>> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  characterDevice: 0o020000,
  blockDevice: 0o060000,
  fifo: 0o010000,
  socket: 0o140000,
};
const TYPE_MASK = 0o170000;

/** What `writeCpio` takes: a path and a type; the rest has defaults. */
export type CpioInput = Pick<ArchiveEntry, "path"> & {
  readonly type: Exclude<ArchiveEntryType, "hardlink">;
} & Partial<Omit<ArchiveEntry, "path" | "type">>;

/** An archive of the entries in the order given; parents must come before what is in them. */
export function writeCpio(entries: Iterable<CpioInput>): Uint8Array<ArrayBuffer> {
  const list = [...entries];
  const sizes = list.map((entry) => encodedLength(encodeText(entry.path).length, contentOf(entry).length));
  const usedBytes = sizes.reduce((sum, size) => sum + size, 0) + encodedLength(TRAILER.length, 0);
  const archive = new Uint8Array(alignUp(usedBytes, ARCHIVE_ALIGNMENT_BYTES));
  let at = 0;
  list.forEach((entry, i) => {
    const isDirectory = entry.type === "directory";
    const fields = {
      inode: i + 1,
      mode: FILE_TYPES[entry.type] | (entry.mode ?? (isDirectory ? 0o755 : 0o644)),
      uid: entry.uid ?? 0,
      gid: entry.gid ?? 0,
      links: isDirectory ? 2 : 1,
      mtime: entry.mtimeS ?? 0,
      device: entry.device ?? { major: 0, minor: 0 },
    };
    at = writeMember(archive, at, entry.path, contentOf(entry), fields);
  });
  const none = { inode: 0, mode: 0, uid: 0, gid: 0, links: 1, mtime: 0, device: { major: 0, minor: 0 } };
  writeMember(archive, at, TRAILER, new Uint8Array(0), none);
  return archive;
}

/** The entries in order up to the trailer; a file with several names appears under each. Throws `FormatError`. */
export function readCpio(archive: Uint8Array): ArchiveEntry[] {
  const entries: ArchiveEntry[] = [];
  const linked = new Map<string, number[]>();
  let at = 0;
  for (;;) {
    const header = sliceAt(archive, at, HEADER_BYTES, "cpio archive", "entry header");
    if (!hasMagic(header, 0, "070701") && !hasMagic(header, 0, "070702")) {
      throw at === 0
        ? new FormatError("notThisFormat", 'The file is no cpio archive of the "newc" format')
        : new FormatError("corrupt", `The cpio archive has no entry header at ${at}`);
    }
    const field = (index: number): number => readHex(header, 6 + index * 8);
    const [nameBytes, lengthBytes, mode] = [field(11), field(6), field(1)];
    if (nameBytes < 1 || nameBytes > MAX_PATH_BYTES) {
      throw new FormatError("corrupt", `The cpio archive has a name of ${nameBytes} bytes at ${at}`);
    }
    const name = textToNul(sliceAt(archive, at + HEADER_BYTES, nameBytes, "cpio archive", "name"));
    if (name === TRAILER) return entries;
    const contentAt = alignUp(at + HEADER_BYTES + nameBytes, 4);
    const content = sliceAt(archive, contentAt, lengthBytes, "cpio archive", `"${name}"`);
    at = alignUp(contentAt + lengthBytes, 4);

    const type = typeOf(mode, name);
    const entry: ArchiveEntry = {
      path: normalizePath(name, "cpio archive"),
      type,
      mode: mode & 0o7777,
      uid: field(2),
      gid: field(3),
      mtimeS: field(5),
      content: type === "file" ? content : content.subarray(0, 0),
      linkTarget: type === "symlink" ? decodeText(content) : "",
      device: { major: field(9), minor: field(10) },
    };
    entries.push(entry);
    if (type === "file" && field(4) > 1) {
      const inode = `${field(7)}:${field(8)}:${field(0)}`;
      const names = linked.get(inode) ?? [];
      names.push(entries.length - 1);
      linked.set(inode, names);
      if (lengthBytes > 0) for (const index of names) entries[index] = { ...entries[index]!, content };
    }
  }
}

interface MemberFields {
  inode: number;
  mode: number;
  uid: number;
  gid: number;
  links: number;
  mtime: number;
  device: { major: number; minor: number };
}

function writeMember(out: Uint8Array, at: number, name: string, content: Uint8Array, fields: MemberFields): number {
  const nameBytes = encodeText(`${name}\0`);
  const { inode, mode, uid, gid, links, mtime, device } = fields;
  const numbers = [inode, mode, uid, gid, links, mtime, content.length, 0, 0, device.major, device.minor];
  const header = [...numbers, nameBytes.length, 0].map((n) => (n >>> 0).toString(16).padStart(8, "0")).join("");
  out.set(encodeText(`070701${header}`), at);
  out.set(nameBytes, at + HEADER_BYTES);
  const contentAt = alignUp(at + HEADER_BYTES + nameBytes.length, 4);
  out.set(content, contentAt);
  return alignUp(contentAt + content.length, 4);
}

function encodedLength(pathBytes: number, contentBytes: number): number {
  return alignUp(HEADER_BYTES + pathBytes + 1, 4) + alignUp(contentBytes, 4);
}

function contentOf(entry: CpioInput): Uint8Array {
  return entry.type === "symlink" ? encodeText(entry.linkTarget ?? "") : (entry.content ?? new Uint8Array(0));
}

function typeOf(mode: number, name: string): Exclude<ArchiveEntryType, "hardlink"> {
  for (const [type, bits] of Object.entries(FILE_TYPES)) {
    if ((mode & TYPE_MASK) === bits) return type as Exclude<ArchiveEntryType, "hardlink">;
  }
  throw new FormatError("corrupt", `The cpio archive has an entry "${name}" of mode 0${mode.toString(8)}`);
}

function readHex(header: Uint8Array, at: number): number {
  const text = decodeText(header.subarray(at, at + 8));
  if (!/^[0-9a-fA-F]{8}$/.test(text))
    throw new FormatError("corrupt", "The cpio archive has a header field that is no number");
  return Number.parseInt(text, 16);
}
