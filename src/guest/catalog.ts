// The guests that can be fetched, and the Debian packages each is made of.
import { GuestError, type GuestSuite } from "./port.ts";

/** Changes with the initramfs: a stored guest of another recipe is made anew. */
export const GUEST_RECIPE = 2;

export interface GuestRelease {
  readonly release: string;
  /** Searched in this order; the first that has a package gives it, except for the kernel. */
  readonly suites: readonly GuestSuite[];
  /** The suite whose kernel it is. */
  readonly kernelSuite: string;
}

export interface GuestDescription {
  readonly name: string;
  readonly summary: string;
  /** How its kernel and initrd come about. */
  readonly kind: "composed" | "installer";
  /** The first is the default. */
  readonly releases: readonly GuestRelease[];
}

const trixie: GuestSuite = { codename: "trixie", aliases: ["stable"] };
const trixieBackports: GuestSuite = { codename: "trixie-backports", aliases: ["stable-backports"] };

export const GUESTS: readonly GuestDescription[] = [
  {
    name: "debian",
    summary: "Debian's riscv64 kernel with a busybox shell, e2fsprogs and the virtio drivers, all in memory",
    kind: "composed",
    releases: [
      { release: "trixie", suites: [trixie], kernelSuite: "trixie" },
      { release: "trixie-backports", suites: [trixie, trixieBackports], kernelSuite: "trixie-backports" },
    ],
  },
  {
    name: "debian-installer",
    summary: "Debian's network installer for riscv64, as it is",
    kind: "installer",
    releases: [{ release: "trixie", suites: [trixie], kernelSuite: "trixie" }],
  },
];

/** A metapackage that depends on the newest kernel image of its suite. */
export const KERNEL_METAPACKAGE = "linux-image-riscv64";
/** Kernel images by name: the version begins with a digit, and flavours such as -dbg or -rt do not match. */
export const KERNEL_IMAGE: RegExp = /^linux-image-\d[^-]*(?:-\d+)?-riscv64$/;
/** The packages a kernel image consists of from 7.x on; before, it is one. */
export const KERNEL_PARTS: RegExp = /^linux-(?:image|binary|modules)-\d[^-]*(?:-\d+)?-riscv64$/;

/** User space of the composed guest; a pattern where the name carries an ABI number. */
export const USER_SPACE: readonly { readonly what: string; readonly pattern: RegExp }[] = [
  { what: "busybox-static", pattern: /^busybox-static$/ },
  { what: "e2fsprogs", pattern: /^e2fsprogs$/ },
  { what: "libc6", pattern: /^libc6$/ },
  { what: "libext2fs2", pattern: /^libext2fs2(?:t64)?$/ },
  { what: "libcom-err2", pattern: /^libcom-err2$/ },
  { what: "libblkid1", pattern: /^libblkid1$/ },
  { what: "libuuid1", pattern: /^libuuid1$/ },
];

export const INSTALLER_IMAGES: RegExp = /^debian-installer-\d+-netboot-riscv64$/;

/** True for every package name that some plan could use; an index has 60,000 others. */
export function mayBeWanted(name: string): boolean {
  return (
    name === KERNEL_METAPACKAGE ||
    KERNEL_PARTS.test(name) ||
    INSTALLER_IMAGES.test(name) ||
    USER_SPACE.some(({ pattern }) => pattern.test(name))
  );
}

export function findGuest(name: string): GuestDescription {
  const found = GUESTS.find((guest) => guest.name === name);
  if (found !== undefined) return found;
  const names = GUESTS.map((guest) => guest.name).join(", ");
  throw new GuestError("unknownGuest", `There is no guest "${name}"; there are ${names}`, { subject: name });
}

export function findRelease(guest: GuestDescription, release?: string): GuestRelease {
  const found = release === undefined ? guest.releases[0] : guest.releases.find((r) => r.release === release);
  if (found !== undefined) return found;
  const names = guest.releases.map((r) => r.release).join(", ");
  throw new GuestError("unknownRelease", `Guest "${guest.name}" has no release "${release}"; there are ${names}`, {
    subject: release ?? "",
  });
}
