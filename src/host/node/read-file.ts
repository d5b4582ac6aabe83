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
    // Small files share Node's buffer pool; a copy of its own can be moved to a worker.
    return { name: path, bytes: new Uint8Array(bytes) };
  } catch (cause) {
    throw cause instanceof HostError ? cause : wrong(errnoText(cause), cause);
  } finally {
    closeSync(fd);
  }
}
