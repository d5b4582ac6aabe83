// A Debian guest that runs a script of ours in place of its shell and needs no input: its initrd with two files on top.
import { readFile } from "node:fs/promises";
import { fetchGuest, type GuestFiles } from "../../src/guest/index.ts";
import { nodeGuestHost } from "../../src/host/node/index.ts";
import { writeCpio } from "../../src/format/index.ts";

/** BusyBox init: the guest's own start, then the script on the console. */
const INITTAB = `::sysinit:/etc/init.d/rcS
::once:/bin/sh -l /etc/session
::shutdown:/bin/umount -a -r 2>/dev/null
`;
/** A kernel looks for the next archive of an initramfs at a multiple of this (Documentation/driver-api/early-userspace). */
const ARCHIVE_ALIGNMENT = 4;

export interface UnattendedGuest {
  readonly kernelRelease: string;
  readonly kernelPath: string;
  readonly initrd: Uint8Array;
}

/**
 * `release` as `ratite guest list` has them for debian, default the first; the script should end with `poweroff`.
 * `programs` are put where the shell finds them.
 */
export async function unattendedGuest(
  release: string | undefined,
  script: string,
  programs: readonly { readonly name: string; readonly content: Uint8Array }[] = [],
): Promise<UnattendedGuest> {
  const files: GuestFiles = await fetchGuest(nodeGuestHost(), "debian", release === undefined ? {} : { release });
  const text = new TextEncoder();
  const overlay = writeCpio([
    { path: "etc/inittab", type: "file", content: text.encode(INITTAB), mode: 0o644 },
    { path: "etc/session", type: "file", content: text.encode(script), mode: 0o644 },
    ...programs.map(({ name, content }) => ({ path: `usr/bin/${name}`, type: "file", content, mode: 0o755 }) as const),
  ]);
  const own = await readFile(files.initrdPath);
  const padding = Buffer.alloc((ARCHIVE_ALIGNMENT - (own.length % ARCHIVE_ALIGNMENT)) % ARCHIVE_ALIGNMENT);
  const initrd = new Uint8Array(Buffer.concat([own, padding, overlay]));
  return { kernelRelease: files.kernelRelease, kernelPath: files.kernelPath, initrd };
}
