// Keeps two machines from writing to one disk image. Node cannot take file locks; on Linux a listening socket in the
// abstract namespace, named by the file's device and inode, is held by one process at a time and goes with it, however
// it ends. Elsewhere there is no lock. QEMU's own locks are seen in /proc/locks.
import { readFileSync, type Stats } from "node:fs";
import { connect, createServer } from "node:net";
import { HostError } from "./errors.ts";

export interface ImageLock {
  release(): void;
}

/**
 * A writer gets the lock; a reader is only refused while there is a writer. Throws HostError `busy`.
 *
 * @param stats of the open file
 */
export async function lockImage(path: string, stats: Stats, readOnly: boolean): Promise<ImageLock | undefined> {
  if (process.platform !== "linux") return undefined;
  const name = `\0ratite-image-${stats.dev}-${stats.ino}`;
  if ((!readOnly && isLockedByOther(stats)) || (readOnly && (await isListening(name)))) throw busy(path);
  return readOnly ? undefined : listen(name, path);
}

function busy(path: string): HostError {
  return new HostError(
    "busy",
    `Could not open '${path}': Another machine has it open; a copy, or an overlay for each, would do`,
    { subject: path },
  );
}

function listen(name: string, path: string): Promise<ImageLock | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error: NodeJS.ErrnoException) => {
      // Anything but a holder of the name (a sandbox without sockets, say) leaves us without locks, not without disks.
      if (error.code === "EADDRINUSE") reject(busy(path));
      else resolve(undefined);
    });
    server.listen(name, () => {
      server.unref();
      resolve({ release: () => void server.close() });
    });
  });
}

function isListening(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(name);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** QEMU holds shared OFD locks on the bytes from 100 on for each permission that it uses (its `file-posix.c`). */
function isLockedByOther({ dev, ino }: Stats): boolean {
  const hex = (n: number): string => n.toString(16).padStart(2, "0");
  // The kernel prints major and minor of the device in hexadecimal; glibc's encoding is in `block-file.ts`.
  const file = `${hex((dev >>> 8) & 0xfff)}:${hex((dev & 0xff) | ((dev >>> 12) & 0xfff00))}:${ino}`;
  try {
    return readFileSync("/proc/locks", "latin1")
      .split("\n")
      .some((line) => {
        const [, kind, , , , place] = line.split(/ +/);
        return place === file && (kind === "OFDLCK" || kind === "POSIX");
      });
  } catch {
    return false;
  }
}
