// Where guests come from and go to on Node: Debian's archive through apt, and the user's cache folder.
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import type { GuestHost } from "../../guest/port.ts";
import { nodeDecompress } from "./decompress.ts";
import { AptArchive } from "./guest-apt.ts";
import { FolderStore } from "./guest-store.ts";

export interface NodeGuestOptions {
  /** Base URL of a Debian archive, such as "http://deb.debian.org/debian"; that of the machine's apt policy when absent. */
  readonly mirror?: string;
  /** A keyring file that verifies the archive; Debian's installed one when absent. */
  readonly keyring?: string;
  /** Where guests are kept; `guestCacheFolder()` when absent. */
  readonly cacheFolder?: string;
}

export function nodeGuestHost(options: NodeGuestOptions = {}): GuestHost {
  const cacheFolder = options.cacheFolder ?? guestCacheFolder();
  return {
    archive: new AptArchive({ ...options, cacheFolder }),
    store: new FolderStore(cacheFolder),
    decompress: nodeDecompress(),
  };
}

/** $XDG_CACHE_HOME/ratite, or ~/.cache/ratite (XDG Base Directory Specification: a relative value is ignored). */
export function guestCacheFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const base = env["XDG_CACHE_HOME"];
  return join(base !== undefined && isAbsolute(base) ? base : join(env["HOME"] ?? homedir(), ".cache"), "ratite");
}
