// Whole files for the machine's loader: kernels, initial RAM disks, firmware, device trees.
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { errnoText, HostError } from "./errors.ts";

/** What a machine's RAM can hold; nothing larger can be loaded anyway. */
const MAX_FILE_BYTES = 2 ** 31 - 1;

/** Throws HostError when `path` is missing, a directory, empty, a device or too large. */
export function readWholeFile(path: string): { readonly name: string; readonly bytes: Uint8Array<ArrayBuffer> } {
  const wrong = (found: string, cause?: unknown): HostError =>
    new HostError("cannotOpen", `Could not open '${path}': ${found}`, { subject: path, cause });
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (cause) {
    throw wrong(errnoText(cause), cause);
  }
  try {
    const stats = fstatSync(fd);
    if (stats.isDirectory()) throw wrong("Is a directory");
    if (!stats.isFile() && !stats.isFIFO()) throw wrong("Is a device; a file would do");
    if (stats.size > MAX_FILE_BYTES) throw wrong("Larger than 2 GiB");
    const bytes = readFileSync(fd);
    if (bytes.length === 0) throw wrong("The file is empty");
    return { name: path, bytes: ownBytes(bytes) };
  } catch (cause) {
    throw cause instanceof HostError ? cause : wrong(errnoText(cause), cause);
  } finally {
    closeSync(fd);
  }
}

/** The bytes in a buffer that has nothing else, which can be moved to a worker: small files share Node's pool. */
function ownBytes(bytes: Buffer<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const isAlone = bytes.byteOffset === 0 && bytes.length === bytes.buffer.byteLength;
  return isAlone ? new Uint8Array(bytes.buffer) : new Uint8Array(bytes);
}
