// Disk images and host disks for the block room, through Node's asynchronous files.
// Node has neither fallocate nor fcntl: holes cannot be punched, so the port has no `discard` and no `writeZeroes` (the
// format writes zeroes), and images are locked by `image-lock.ts`. Node's files read into and write from shared memory
// (seen with 20.20), so buffers are never copied here.
import { constants, readFileSync, type Stats } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";
import type { FilePort } from "../../block/port.ts";
import { errnoText, HostError } from "./errors.ts";
import { lockImage, type ImageLock } from "./image-lock.ts";

export interface BlockFileOptions {
  readonly readOnly?: boolean;
  /** `later`: another process has the image until `lock` is called. Default: now. */
  readonly lock?: "now" | "later";
}

/**
 * Opens a regular file or a block device. Throws HostError: `cannotOpen` when it is missing, forbidden or of another
 * kind, `busy` when another process has it open for writing.
 */
export async function openBlockFile(path: string, options: BlockFileOptions = {}): Promise<FilePort> {
  const { readOnly = false, lock = "now" } = options;
  const wrong = (found: string, cause?: unknown): HostError =>
    new HostError("cannotOpen", `Could not open '${path}': ${found}`, { subject: path, cause });
  let handle: FileHandle | undefined;
  try {
    // Before opening: the opening of a FIFO would wait for its other end.
    assertDisk(await stat(path), wrong);
    handle = await open(path, readOnly ? constants.O_RDONLY : constants.O_RDWR);
    const stats = await handle.stat();
    assertDisk(stats, wrong);
    const lengthBytes = stats.isFile() ? stats.size : deviceLengthBytes(stats, wrong);
    const file = new BlockFile(path, handle, { lengthBytes, readOnly, stats });
    if (lock === "now") await file.lock();
    return file;
  } catch (cause) {
    await handle?.close();
    if (cause instanceof HostError) throw cause;
    const hint = !readOnly && isRefusedWrite(cause) ? "; read-only=on may do" : "";
    throw wrong(errnoText(cause) + hint, cause);
  }
}

function assertDisk(stats: Stats, wrong: (found: string) => HostError): void {
  if (stats.isDirectory()) throw wrong("Is a directory");
  if (!stats.isFile() && !stats.isBlockDevice()) throw wrong("Is neither a file nor a block device");
}

function isRefusedWrite(error: unknown): boolean {
  return /^(?:EACCES|EPERM|EROFS|ETXTBSY)$/.test(String((error as { code?: unknown }).code));
}

/** Linux shows a device's length in sysfs, in units of 512 bytes whatever its sectors are. */
function deviceLengthBytes(stats: Stats, wrong: (found: string, cause?: unknown) => HostError): number {
  // glibc's makedev: 12 bits of major at 8, 8 of minor at 0, 12 more of minor at 20.
  const major = (stats.rdev >>> 8) & 0xfff;
  const minor = (stats.rdev & 0xff) | ((stats.rdev >>> 12) & 0xfff00);
  try {
    return Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, "latin1")) * 512;
  } catch (cause) {
    throw wrong("The length of this device is not known; a file would do", cause);
  }
}

class BlockFile implements FilePort {
  readonly name: string;
  readonly readOnly: boolean;
  readonly alignmentBytes = 1;
  lengthBytes: number;
  readonly #handle: FileHandle;
  readonly #stats: Stats;
  #lock: ImageLock | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    name: string,
    handle: FileHandle,
    known: { readonly lengthBytes: number; readonly readOnly: boolean; readonly stats: Stats },
  ) {
    this.name = name;
    this.#handle = handle;
    this.lengthBytes = known.lengthBytes;
    this.readOnly = known.readOnly;
    this.#stats = known.stats;
  }

  async lock(): Promise<void> {
    this.#lock ??= await lockImage(this.name, this.#stats, this.readOnly);
  }

  unlock(): void {
    this.#lock?.release();
    this.#lock = undefined;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    for (let done = 0; done < into.length;) {
      const { bytesRead } = await said(this.#handle.read(into, done, into.length - done, offset + done));
      if (bytesRead === 0) throw new Error(`The file ends at ${offset + done}; it was cut while in use`);
      done += bytesRead;
    }
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    for (let done = 0; done < from.length;) {
      const { bytesWritten } = await said(this.#handle.write(from, done, from.length - done, offset + done));
      done += bytesWritten;
    }
    this.lengthBytes = Math.max(this.lengthBytes, offset + from.length);
  }

  async flush(): Promise<void> {
    if (!this.readOnly) await said(this.#handle.datasync());
  }

  close(): Promise<void> {
    this.#closing ??= this.#handle.close().finally(() => this.unlock());
    return this.#closing;
  }
}

/** Errors in the C library's words. */
async function said<T>(outcome: Promise<T>): Promise<T> {
  try {
    return await outcome;
  } catch (cause) {
    throw new Error(errnoText(cause), { cause });
  }
}
