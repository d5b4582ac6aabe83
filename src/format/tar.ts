// tar archives: ustar, GNU long names, pax paths and sizes (POSIX.1-2017 pax §"ustar Interchange Format"); reading only.
import { alignUp } from "../base/index.ts";
import { type ArchiveEntry, type ArchiveEntryType, normalizePath } from "./archive-entry.ts";
import { FormatError, sliceAt } from "./errors.ts";
import { decodeText, hasMagic, textToNul } from "./text.ts";

const BLOCK_BYTES = 512;
/** A long name or a pax header past this is no name. */
const MAX_EXTENSION_BYTES = 1024 * 1024;

const TYPES: Readonly<Record<string, ArchiveEntryType>> = {
  "": "file",
  "0": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "characterDevice",
  "4": "blockDevice",
  "5": "directory",
  "6": "fifo",
  "7": "file",
};

/** What a GNU or pax extension says about the entry that follows it. */
interface Overrides {
  path?: string;
  linkTarget?: string;
  lengthBytes?: number;
}

/** The entries in order; contents are views of the archive. Throws `FormatError`. */
export function* readTar(archive: Uint8Array): Generator<ArchiveEntry> {
  let overrides: Overrides = {};
  let at = 0;
  while (at < archive.length) {
    const header = sliceAt(archive, at, BLOCK_BYTES, "tar archive", "entry header");
    if (header.every((byte) => byte === 0)) return;
    checkSum(header, at);
    const type = textToNul(header.subarray(156, 157));
    const isExtension = type === "L" || type === "K" || type === "x" || type === "g";
    const lengthBytes = (isExtension ? undefined : overrides.lengthBytes) ?? readNumber(header, 124, 12, "size");
    const content = sliceAt(archive, at + BLOCK_BYTES, lengthBytes, "tar archive", "content");
    at += BLOCK_BYTES + alignUp(lengthBytes, BLOCK_BYTES);
    if (isExtension) {
      applyExtension(overrides, type, content);
      continue;
    }
    yield readEntry(header, type, content, overrides);
    overrides = {};
  }
}

function readEntry(header: Uint8Array, type: string, content: Uint8Array, overrides: Overrides): ArchiveEntry {
  const shortPath = textToNul(header.subarray(0, 100));
  const prefix = hasMagic(header, 257, "ustar\0") ? textToNul(header.subarray(345, 500)) : "";
  const path = overrides.path ?? (prefix === "" ? shortPath : `${prefix}/${shortPath}`);
  const entryType = TYPES[type];
  if (entryType === undefined) {
    throw new FormatError("unsupported", `The tar archive has an entry "${path}" of type "${type}"`);
  }
  // Before ustar a directory was a file whose name ends with a slash.
  const actualType = entryType === "file" && path.endsWith("/") ? "directory" : entryType;
  const linkTarget = overrides.linkTarget ?? textToNul(header.subarray(157, 257));
  return {
    path: normalizePath(path, "tar archive"),
    type: actualType,
    mode: readNumber(header, 100, 8, "mode") & 0o7777,
    uid: readNumber(header, 108, 8, "uid"),
    gid: readNumber(header, 116, 8, "gid"),
    mtimeS: readNumber(header, 136, 12, "mtime"),
    content: actualType === "file" ? content : content.subarray(0, 0),
    linkTarget: actualType === "hardlink" ? normalizePath(linkTarget, "tar archive") : linkTarget,
    device: { major: readNumber(header, 329, 8, "device"), minor: readNumber(header, 337, 8, "device") },
  };
}

function applyExtension(overrides: Overrides, type: string, content: Uint8Array): void {
  if (content.length > MAX_EXTENSION_BYTES) {
    throw new FormatError("tooLarge", `The tar archive has an extended header of ${content.length} bytes`);
  }
  if (type === "L") overrides.path = textToNul(content);
  else if (type === "K") overrides.linkTarget = textToNul(content);
  // Global pax headers ("g") carry comments in practice; none of their keywords can name one entry.
  else if (type === "x") applyPax(overrides, content);
}

/** pax records are "LENGTH KEY=VALUE\n", LENGTH counting the whole record in bytes. */
function applyPax(overrides: Overrides, content: Uint8Array): void {
  let at = 0;
  while (at < content.length) {
    const space = content.indexOf(0x20, at);
    const lengthText = space < 0 ? "" : decodeText(content.subarray(at, Math.min(space, at + 20)));
    const lengthBytes = /^\d+$/.test(lengthText) ? Number(lengthText) : 0;
    if (lengthBytes <= space - at + 1 || at + lengthBytes > content.length) {
      throw new FormatError("corrupt", "The tar archive has a pax record whose length is wrong");
    }
    const record = decodeText(content.subarray(space + 1, at + lengthBytes - 1));
    const equals = record.indexOf("=");
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)];
    if (key === "path") overrides.path = value;
    else if (key === "linkpath") overrides.linkTarget = value;
    else if (key === "size") overrides.lengthBytes = decimal(value);
    at += lengthBytes;
  }
}

function decimal(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new FormatError("corrupt", `The tar archive has a pax size of "${text}"`);
  }
  return value;
}

/** The sum of the header's bytes with its own field taken as spaces. */
function checkSum(header: Uint8Array, at: number): void {
  let sum = 0;
  for (let i = 0; i < BLOCK_BYTES; i++) sum += i >= 148 && i < 156 ? 0x20 : header[i]!;
  if (sum !== readNumber(header, 148, 8, "checksum")) {
    throw new FormatError("corrupt", `The tar archive has no valid entry header at ${at}`);
  }
}

/** Octal in ASCII, or GNU's base 256 when the first bit is set. */
function readNumber(header: Uint8Array, at: number, widthBytes: number, what: string): number {
  const field = header.subarray(at, at + widthBytes);
  if ((field[0]! & 0x80) !== 0) {
    const value = field.reduce((sum, byte, i) => sum * 256 + (i === 0 ? byte & 0x7f : byte), 0);
    if (Number.isSafeInteger(value)) return value;
  } else {
    const text = textToNul(field).trim();
    if (/^[0-7]*$/.test(text)) return text === "" ? 0 : Number.parseInt(text, 8);
  }
  throw new FormatError("corrupt", `The tar archive has an entry whose ${what} is no number`);
}
