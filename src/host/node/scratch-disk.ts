// Disks for guests whose user has named none: images in the user's cache folder, each for one machine at a time. They stay,
// and the next machine finds what the one before left there.
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { FilePort } from "../../block/port.ts";
import { openBlockFile } from "./block-file.ts";
import { errnoText, HostError } from "./errors.ts";
import { makeFolder } from "./guest-folders.ts";
import { guestCacheFolder } from "./guest-host.ts";

/** More machines than this at a time have disks of their own only by name. */
const MAX_DISKS = 64;

/** Opens the first image that no other machine has, made (with holes) when it is not there. Throws HostError. */
export async function openScratchDisk(
  lengthBytes: number,
  cacheFolder: string = guestCacheFolder(),
): Promise<FilePort> {
  const folder = join(cacheFolder, "disks");
  for (let index = 0; index < MAX_DISKS; index++) {
    const path = join(folder, `scratch${index}.img`);
    try {
      await makeImage(folder, path, lengthBytes);
      return await openBlockFile(path);
    } catch (error) {
      if (!(error instanceof HostError) || error.code !== "busy") throw error;
    }
  }
  throw new HostError("busy", `Every scratch disk in '${folder}' is in use`, { subject: folder });
}

/** Makes an image, or a shorter one longer. */
async function makeImage(folder: string, path: string, lengthBytes: number): Promise<void> {
  try {
    await makeFolder(folder);
    const file = await open(path, "a", 0o600);
    try {
      const { size } = await file.stat();
      if (size < lengthBytes) await file.truncate(lengthBytes);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new HostError("cannotOpen", `Could not make '${path}': ${errnoText(cause)}`, { subject: path, cause });
  }
}
