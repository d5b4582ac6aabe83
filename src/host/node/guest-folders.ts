// Folders and whole files of the cache.
import { mkdir, open, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { GuestError } from "../../guest/port.ts";
import { errnoText } from "./errors.ts";

/** The cache folder cannot be used as it is. */
export function cacheFailed(path: string, cause: unknown): GuestError {
  if (cause instanceof GuestError) return cause;
  return new GuestError(
    "cacheFailed",
    `The cache folder cannot be used: ${errnoText(cause)} ('${path}'); another one by XDG_CACHE_HOME would do`,
    { subject: path, cause },
  );
}

/**
 * Makes a folder and those above it. Node's own recursive mkdir does not end where a parent exists and the system still
 * says ENOENT, as below /proc.
 */
export async function makeFolder(path: string): Promise<void> {
  const isFolder = async (): Promise<boolean> => (await stat(path).catch(() => undefined))?.isDirectory() === true;
  if (await isFolder()) return;
  if (dirname(path) !== path) await makeFolder(dirname(path));
  try {
    await mkdir(path);
  } catch (cause) {
    // Another process may have made it in the meantime.
    if (!(await isFolder())) throw cause;
  }
}

/** Writes beside `path` and renames over it; what has the name is always whole. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.new-${process.pid}`;
  const file = await open(temporary, "w", 0o644);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}
