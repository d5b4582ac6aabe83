// What keeps assigned devices from migrating: QEMU's conditions in QEMU's order and words, each with the call and errno
// behind it and what would change it.
import { Errno, errnoText, migrationRefusals, type Refusal } from "../iommufd/index.ts";
import type { TrackerChoice } from "./trackers/policy.ts";

/** QEMU's `enable-migration`: `on` refuses a device that cannot migrate, and takes one that nobody tracks. */
export const MIGRATION_WISHES = ["auto", "on", "off"] as const;
export type MigrationWish = (typeof MIGRATION_WISHES)[number];

/** What its host said when asked for a device's migration abilities. */
export type MigrationAnswer =
  | { readonly stopCopy: boolean; readonly p2p: boolean; readonly preCopy: boolean }
  | { readonly errno: Errno };

export interface MigratingDevice {
  readonly name: string;
  readonly wish: MigrationWish;
  readonly answer: MigrationAnswer;
  readonly isMediated: boolean;
  /** Its unit reports dirty tracking, whether or not its page table was made with it. */
  readonly unitHasDirtyBits: boolean;
  readonly choice: TrackerChoice;
}

export interface Blocker {
  readonly device: string;
  /** QEMU's sentence. */
  readonly message: string;
  readonly refusal: Refusal;
}

const FEATURE = "VFIO_DEVICE_FEATURE";
const PEERS = "Multiple VFIO devices migration is supported only if all of them support P2P migration";

/** Everything that blocks a migration of these devices together, in their order. */
export function migrationBlockers(devices: readonly MigratingDevice[]): readonly Blocker[] {
  const migratable = devices.filter((device) => ownBlocker(device) === undefined);
  return devices.flatMap((device) => {
    const found = [ownBlocker(device), trackingBlocker(device), peerBlocker(device, migratable)];
    return found.filter((blocker) => blocker !== undefined);
  });
}

/** What refuses a device with `enable-migration=on` that came last: its own blockers, and any peer without P2P. */
export function refusedWish(devices: readonly MigratingDevice[]): Blocker | undefined {
  const newest = devices.at(-1);
  if (newest?.wish !== "on") return undefined;
  const blockers = migrationBlockers(devices);
  return (
    blockers.find(({ device }) => device === newest.name) ??
    (ownBlocker(newest) === undefined ? blockers.find(({ message }) => message === PEERS) : undefined)
  );
}

/** What QEMU says of a device that nobody tracks: it blocks, or warns where the operator insists. */
export function untrackedMessage(name: string): string {
  return `${name}: VFIO device doesn't support device and IOMMU dirty tracking`;
}

export function canStopCopy(answer: MigrationAnswer): answer is Exclude<MigrationAnswer, { readonly errno: Errno }> {
  return !("errno" in answer) && answer.stopCopy;
}

/** The device itself cannot, or is not to. */
function ownBlocker({ name, wish, answer }: MigratingDevice): Blocker | undefined {
  if (wish === "off") {
    const refusal = {
      call: `${FEATURE} (MIGRATION)`,
      errno: Errno.EOPNOTSUPP,
      because: "enable-migration is off",
      remedy: "enable-migration=auto",
    };
    return { device: name, message: `${name}: Migration is disabled for VFIO device`, refusal };
  }
  if (canStopCopy(answer)) return undefined;
  const errno = "errno" in answer ? answer.errno : Errno.EOPNOTSUPP;
  const known = migrationRefusals([{ name, migration: [], dmaLog: true, dirtyBits: true, mediated: false }])[0]!;
  const message =
    errno === Errno.ENOTTY
      ? `${name}: VFIO migration is not supported in kernel`
      : `${name}: Migration couldn't be initialized for VFIO device, err: ${-errno} (${errnoText(errno)})`;
  return { device: name, message, refusal: { ...known.refusal, errno } };
}

/** Several devices must fall silent together before the first of them stops. */
function peerBlocker(device: MigratingDevice, migratable: readonly MigratingDevice[]): Blocker | undefined {
  const { name, answer } = device;
  if (migratable.length < 2 || !migratable.includes(device) || ("p2p" in answer && answer.p2p)) return undefined;
  const [known] = migrationRefusals(
    migratable.map((d) => ({
      name: d.name,
      migration: d === device ? (["stop-copy"] as const) : (["stop-copy", "p2p"] as const),
      dmaLog: true,
      dirtyBits: true,
      mediated: false,
    })),
  );
  return { device: name, message: PEERS, refusal: known!.refusal };
}

function trackingBlocker({ name, wish, isMediated, unitHasDirtyBits, choice }: MigratingDevice): Blocker | undefined {
  if (!choice.isUntrackable || wish !== "auto") return undefined;
  const untracked = { migration: ["stop-copy"] as const, dmaLog: false, dirtyBits: false };
  const [known] = migrationRefusals([{ ...untracked, name, unitHasDirtyBits, mediated: isMediated }]);
  return { device: name, message: untrackedMessage(name), refusal: known!.refusal };
}
