// Guests in a folder: guests/NAME/RELEASE/ with a manifest that names its files, replaced by renames only.
import { createHash } from "node:crypto";
import { readdir, readFile, rm, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type GuestFiles,
  type GuestId,
  type GuestManifest,
  type GuestStore,
  type WorkOptions,
} from "../../guest/port.ts";
import { cacheFailed, makeFolder, replaceFile } from "./guest-folders.ts";

const MANIFEST = "manifest.json";
const LOCK_POLL_MS = 300;
/** The largest manifest that is read, in bytes. */
const MAX_MANIFEST_BYTES = 1024 * 1024;

interface FileFact {
  readonly file: string;
  readonly lengthBytes: number;
}
type StoredManifest = GuestManifest & { readonly kernel: FileFact; readonly initrd: FileFact };

export class FolderStore implements GuestStore {
  readonly #root: string;
  readonly #lockPath: string;

  constructor(cacheFolder: string) {
    this.#root = join(cacheFolder, "guests");
    this.#lockPath = join(cacheFolder, "guests.lock");
  }

  async read(id: GuestId): Promise<GuestFiles | undefined> {
    const folder = this.#folder(id);
    const manifest = await readManifest(join(folder, MANIFEST));
    if (manifest === undefined || manifest.name !== id.name || manifest.release !== id.release) return undefined;
    for (const { file, lengthBytes } of [manifest.kernel, manifest.initrd]) {
      const found = await stat(join(folder, file)).catch(() => undefined);
      if (found?.size !== lengthBytes) return undefined;
    }
    const { kernel, initrd, ...facts } = manifest;
    return { ...facts, kernelPath: join(folder, kernel.file), initrdPath: join(folder, initrd.file) };
  }

  async write(manifest: GuestManifest, files: { kernel: Uint8Array; initrd: Uint8Array }): Promise<GuestFiles> {
    const folder = this.#folder(manifest);
    try {
      await makeFolder(folder);
      // Names carry the content, so that the files of the guest as it was stay in place until the manifest is replaced.
      const kernel = await placeFile(folder, "vmlinux", files.kernel);
      const initrd = await placeFile(folder, "initrd", files.initrd);
      const stored: StoredManifest = { ...manifest, kernel, initrd };
      await replaceFile(join(folder, MANIFEST), Buffer.from(`${JSON.stringify(stored, undefined, 2)}\n`));
      const keep = new Set([MANIFEST, kernel.file, initrd.file]);
      for (const name of await readdir(folder)) if (!keep.has(name)) await unlink(join(folder, name));
      return { ...manifest, kernelPath: join(folder, kernel.file), initrdPath: join(folder, initrd.file) };
    } catch (cause) {
      throw cacheFailed(folder, cause);
    }
  }

  async list(): Promise<GuestFiles[]> {
    const found: GuestFiles[] = [];
    for (const name of await namesIn(this.#root)) {
      for (const release of await namesIn(join(this.#root, name))) {
        const guest = await this.read({ name, release });
        if (guest !== undefined) found.push(guest);
      }
    }
    return found;
  }

  async remove(id: GuestId): Promise<boolean> {
    const folder = this.#folder(id);
    const isThere = (await stat(folder).catch(() => undefined)) !== undefined;
    try {
      // Without its manifest a guest is gone, so that a kill in the middle leaves no half of one.
      await rm(join(folder, MANIFEST), { force: true });
      await rm(folder, { recursive: true, force: true });
    } catch (cause) {
      throw cacheFailed(folder, cause);
    }
    return isThere;
  }

  async exclusively<T>(options: WorkOptions, body: () => Promise<T>): Promise<T> {
    await makeFolder(this.#root).catch((cause: unknown) => {
      throw cacheFailed(this.#root, cause);
    });
    let told = false;
    for (;;) {
      options.signal?.throwIfAborted();
      const holder = await this.#tryLock();
      if (holder === undefined) break;
      if (!told) options.report({ phase: "wait", subject: `process ${holder}, which is fetching a guest` });
      told = true;
      await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
    }
    try {
      return await body();
    } finally {
      await unlink(this.#lockPath).catch(() => {});
    }
  }

  /**
   * Undefined when the lock is ours now, else the pid of its holder. Two processes that find one dead holder at the same
   * moment may both go on; then work is done twice, and nothing is harmed: downloads are verified, writes are renames.
   */
  async #tryLock(): Promise<number | undefined> {
    for (;;) {
      try {
        await writeFile(this.#lockPath, `${process.pid}\n`, { flag: "wx", mode: 0o600 });
        return undefined;
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cacheFailed(this.#lockPath, cause);
      }
      const text = await readFile(this.#lockPath, "utf8").catch(() => "");
      const pid = /^\d+\n$/.test(text) ? Number(text) : 0;
      if (pid !== 0 && isAlive(pid)) return pid;
      // An empty lock may be one that is just being written.
      if (pid === 0) await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
      if ((await readFile(this.#lockPath, "utf8").catch(() => "")) === text) {
        await unlink(this.#lockPath).catch(() => {});
      }
    }
  }

  #folder({ name, release }: GuestId): string {
    return join(this.#root, name, release);
  }
}

async function placeFile(folder: string, kind: string, bytes: Uint8Array): Promise<FileFact> {
  const file = `${kind}-${createHash("sha256").update(bytes).digest("hex").slice(0, 16)}`;
  await replaceFile(join(folder, file), bytes);
  return { file, lengthBytes: bytes.length };
}

async function readManifest(path: string): Promise<StoredManifest | undefined> {
  try {
    if ((await stat(path)).size > MAX_MANIFEST_BYTES) return undefined;
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    return isManifest(value) ? value : undefined;
  } catch {
    // Absent, unreadable or damaged: the guest is not there, and fetching it mends it.
    return undefined;
  }
}

function isManifest(value: unknown): value is StoredManifest {
  const isFact = (fact: unknown): boolean => {
    const { file, lengthBytes } = (fact ?? {}) as Partial<FileFact>;
    return typeof file === "string" && /^[\w.-]+$/.test(file) && typeof lengthBytes === "number";
  };
  const manifest = (value ?? {}) as Partial<StoredManifest>;
  return (
    typeof manifest.name === "string" &&
    typeof manifest.release === "string" &&
    typeof manifest.recipe === "number" &&
    typeof manifest.kernelRelease === "string" &&
    Array.isArray(manifest.packages) &&
    Array.isArray(manifest.origins) &&
    isFact(manifest.kernel) &&
    isFact(manifest.initrd)
  );
}

async function namesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
