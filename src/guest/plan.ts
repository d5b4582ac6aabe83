// Which package files make a guest: chosen from verified indexes by name pattern, with older ones to fall back on.
import {
  type GuestDescription,
  type GuestRelease,
  INSTALLER_IMAGES,
  KERNEL_IMAGE,
  KERNEL_METAPACKAGE,
  KERNEL_PARTS,
  USER_SPACE,
} from "./catalog.ts";
import { dependencyNames } from "./package-index.ts";
import { GuestError, type PackageRecord } from "./port.ts";
import { compareVersions } from "./version.ts";

/** One thing that the guest needs, in the ways it can be had, best first; a way is files that belong together. */
export interface PlanStep {
  readonly what: string;
  readonly ways: readonly (readonly PackageRecord[])[];
}

/** Throws `missingPackage` when the indexes have no way for some step. */
export function planGuest(
  guest: GuestDescription,
  release: GuestRelease,
  records: readonly PackageRecord[],
): PlanStep[] {
  const ofSuite = (suite: string): PackageRecord[] => records.filter((record) => record.suite === suite);
  const fromAll = (what: string, pattern: RegExp): PlanStep => ({
    what,
    ways: release.suites.flatMap(({ codename }) => newestFirst(ofSuite(codename), pattern).map((record) => [record])),
  });
  const steps =
    guest.kind === "installer"
      ? [fromAll("the installer's images", INSTALLER_IMAGES)]
      : [kernelStep(ofSuite(release.kernelSuite)), ...USER_SPACE.map(({ what, pattern }) => fromAll(what, pattern))];
  for (const { what, ways } of steps) {
    if (ways.length > 0) continue;
    const suites = release.suites.map(({ codename }) => codename).join(" and ");
    throw new GuestError(
      "missingPackage",
      `The archive's index of ${suites} for riscv64 has no package for ${what}; another mirror may`,
      { subject: what },
    );
  }
  return steps;
}

/** The image that the metapackage names comes first, then the others of the suite from new to old. */
function kernelStep(records: readonly PackageRecord[]): PlanStep {
  const meta = newestFirst(records, new RegExp(`^${KERNEL_METAPACKAGE}$`))[0];
  const preferred = new Set(meta === undefined ? [] : dependencyNames(meta.depends));
  const images = newestFirst(records, KERNEL_IMAGE);
  const ordered = [...images.filter((i) => preferred.has(i.name)), ...images.filter((i) => !preferred.has(i.name))];
  return {
    what: "the kernel",
    ways: ordered.map((image) => withParts(image, records)).filter((way) => way.length > 0),
  };
}

/** An image and the parts it depends on, or nothing when the index lacks one of them. */
function withParts(image: PackageRecord, records: readonly PackageRecord[]): PackageRecord[] {
  const parts = dependencyNames(image.depends).filter((name) => KERNEL_PARTS.test(name));
  const found = parts.map((name) => records.find((r) => r.name === name && r.version === image.version));
  return found.includes(undefined) ? [] : [image, ...(found as PackageRecord[])];
}

function newestFirst(records: readonly PackageRecord[], pattern: RegExp): PackageRecord[] {
  const found = records.filter(({ name }) => pattern.test(name));
  return found.sort((a, b) => compareVersions(b.version, a.version));
}
