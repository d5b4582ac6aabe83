// Fetching a guest: from the store when it is there, else from the archive, with older packages when newer ones are gone.
import { type BuiltGuest, type PackageFile, buildGuest } from "./build.ts";
import {
  GUESTS,
  GUEST_RECIPE,
  type GuestDescription,
  type GuestRelease,
  findGuest,
  findRelease,
  mayBeWanted,
} from "./catalog.ts";
import { parsePackageIndex } from "./package-index.ts";
import { type PlanStep, planGuest } from "./plan.ts";
import {
  GuestError,
  type GuestFiles,
  type GuestHost,
  type GuestId,
  type GuestManifest,
  type PackageRecord,
  type ReportProgress,
  type WorkOptions,
} from "./port.ts";

export interface FetchOptions {
  /** One of the guest's releases; the first when absent. */
  readonly release?: string;
  /** Fetches anew even when the guest is there. */
  readonly refresh?: boolean;
  readonly report?: ReportProgress;
  readonly signal?: AbortSignal;
}

/**
 * Gives the guest's kernel and initrd, fetching them when they are not in the store. A guest that is there needs
 * neither network nor apt. Rejects with `GuestError`, `FormatError`, or the signal's reason.
 */
export async function fetchGuest(host: GuestHost, name: string, options: FetchOptions = {}): Promise<GuestFiles> {
  const guest = findGuest(name);
  const release = findRelease(guest, options.release);
  const id = { name: guest.name, release: release.release };
  const work: WorkOptions = {
    report: options.report ?? ((): void => {}),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  };
  const stored = options.refresh === true ? undefined : await readCurrent(host, id);
  if (stored !== undefined) return stored;
  return host.store.exclusively(work, async () => {
    // Who held the store before may have fetched this very guest.
    const meanwhile = options.refresh === true ? undefined : await readCurrent(host, id);
    if (meanwhile !== undefined) return meanwhile;
    const files = await fetchAnew(host, guest, release, work);
    await host.archive.discardDownloads();
    return files;
  });
}

/** The guests in the store. */
export function listGuests(host: GuestHost): Promise<GuestFiles[]> {
  return host.store.list();
}

/** Removes one release of a guest, or all; resolves to what was removed. Rejects with `GuestError`. */
export async function removeGuest(host: GuestHost, name: string, release?: string): Promise<GuestId[]> {
  const guest = findGuest(name);
  const releases = release === undefined ? guest.releases : [findRelease(guest, release)];
  const removed: GuestId[] = [];
  for (const candidate of releases) {
    const id = { name: guest.name, release: candidate.release };
    if (await host.store.remove(id)) removed.push(id);
  }
  return removed;
}

/** What can be fetched: names, releases and a summary of each. */
export function availableGuests(): { name: string; summary: string; releases: string[] }[] {
  return GUESTS.map(({ name, summary, releases }) => ({ name, summary, releases: releases.map((r) => r.release) }));
}

async function readCurrent(host: GuestHost, id: GuestId): Promise<GuestFiles | undefined> {
  const stored = await host.store.read(id);
  return stored?.recipe === GUEST_RECIPE ? stored : undefined;
}

async function fetchAnew(
  host: GuestHost,
  guest: GuestDescription,
  release: GuestRelease,
  work: WorkOptions,
): Promise<GuestFiles> {
  const origins: string[] = [];
  const records: PackageRecord[] = [];
  for (const suite of release.suites) {
    work.signal?.throwIfAborted();
    const index = await host.archive.readIndex(suite, work);
    origins.push(index.origin);
    records.push(...parsePackageIndex(index.text, suite.codename, mayBeWanted));
  }
  const packages: PackageFile[] = [];
  for (const step of planGuest(guest, release, records)) {
    packages.push(...(await fetchStep(host, step, work)));
  }
  const built: BuiltGuest = await buildGuest(guest, packages, host.decompress, work);
  work.signal?.throwIfAborted();
  const manifest: GuestManifest = {
    name: guest.name,
    release: release.release,
    recipe: GUEST_RECIPE,
    kernelRelease: built.kernelRelease,
    origins,
    packages: packages.map(({ record: { name, version, sha256 } }) => ({ name, version, sha256 })),
  };
  work.report({ phase: "store", subject: `${guest.name} ${release.release}` });
  return host.store.write(manifest, built);
}

/** Tries the step's ways in turn; one that the archive no longer has in full is said so and passed over. */
async function fetchStep(host: GuestHost, step: PlanStep, work: WorkOptions): Promise<PackageFile[]> {
  let last: unknown;
  for (const way of step.ways) {
    try {
      const files: PackageFile[] = [];
      for (const record of way) {
        work.signal?.throwIfAborted();
        files.push({ record, bytes: await host.archive.fetch(record, work) });
      }
      return files;
    } catch (error) {
      if (!(error instanceof GuestError) || error.code !== "outOfStep") throw error;
      last = error;
      const next = step.ways[step.ways.indexOf(way) + 1]?.[0];
      if (next === undefined) break;
      work.report({ phase: "notice", subject: `${error.message}; trying ${next.name} ${next.version}` });
    }
  }
  throw new GuestError(
    "outOfStep",
    `The archive's index is out of step with its pool, which has no complete version of ${step.what}: ` +
      `${(last as Error).message}; another mirror, or this one later, would do`,
    { subject: step.what, cause: last },
  );
}
