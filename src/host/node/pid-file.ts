// -pidfile: this process's number in a file, for as long as it runs.
import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { errnoText, HostError } from "./errors.ts";

/** Throws HostError when the file names a live process or cannot be written. `remove` is idempotent and runs at exit. */
export function writePidFile(path: string): { remove: () => void } {
  const owner = readOwner(path);
  if (owner !== undefined && owner !== process.pid && isAlive(owner)) {
    const message = `Cannot create PID file '${path}': process ${owner}, which it names, is running`;
    throw new HostError("busy", message, { subject: path });
  }
  try {
    writeFileSync(path, `${process.pid}\n`, { mode: 0o600 });
  } catch (cause) {
    throw new HostError("cannotOpen", `Cannot create PID file '${path}': ${errnoText(cause)}`, {
      subject: path,
      cause,
    });
  }
  const remove = (): void => {
    process.off("exit", remove);
    // Another machine may have taken the file over since.
    if (readOwner(path) === process.pid) unlinkSync(path);
  };
  process.on("exit", remove);
  return { remove };
}

function readOwner(path: string): number | undefined {
  try {
    const text = readFileSync(path, "latin1").trim();
    return /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: unknown }).code === "EPERM";
  }
}
