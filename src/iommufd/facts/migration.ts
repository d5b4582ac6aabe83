// What stands in the way of a live migration, per device, from what its host says of it.
import { Errno } from "../uapi/index.ts";
import type { Refusal } from "./refusal.ts";

export interface MigrationSubject {
  readonly name: string;
  /** Empty: the device cannot migrate. */
  readonly migration: readonly ("stop-copy" | "p2p" | "pre-copy")[];
  /** The device itself logs what it writes. */
  readonly dmaLog: boolean;
  /** The page table that it is attached to has dirty bits; false for a mediated device, which has no page table. */
  readonly dirtyBits: boolean;
  /** Its unit could set them; a page table that was made for a device without is shared all the same. */
  readonly unitHasDirtyBits?: boolean;
  readonly mediated: boolean;
}

/** How the pages that a device writes can be found. */
export type DirtyTracker = "device" | "iommu" | "none";

export function trackerOf(device: Pick<MigrationSubject, "dmaLog" | "dirtyBits">): DirtyTracker {
  if (device.dmaLog) return "device";
  return device.dirtyBits ? "iommu" : "none";
}

const FEATURE = "VFIO_DEVICE_FEATURE";

/** Everything that blocks a migration of these devices together, by device. */
export function migrationRefusals(
  devices: readonly MigrationSubject[],
): readonly { readonly device: string; readonly refusal: Refusal }[] {
  const found: { device: string; refusal: Refusal }[] = [];
  const migratable = devices.filter((d) => d.migration.includes("stop-copy"));
  for (const device of devices) {
    const add = (refusal: Refusal): void => void found.push({ device: device.name, refusal });
    if (!device.migration.includes("stop-copy")) {
      add({
        call: `${FEATURE} (MIGRATION)`,
        errno: Errno.ENOTTY,
        because: "the device has no migration",
        remedy: 'a device with migration ["stop-copy"], or unplugging it before',
      });
    } else if (migratable.length > 1 && !device.migration.includes("p2p")) {
      add({
        call: `${FEATURE} (MIG_DEVICE_STATE RUNNING_P2P)`,
        errno: Errno.EINVAL,
        because: `${device.name} has no P2P state, and ${migratable.length} devices that migrate must become quiet together`,
        remedy: '"p2p" among its migration abilities, or a single device that migrates',
      });
    }
    if (trackerOf(device) === "none") add(untracked(device));
  }
  return found;
}

function untracked(device: MigrationSubject): Refusal {
  if (device.mediated) {
    return {
      call: `${FEATURE} (DMA_LOGGING_START)`,
      errno: Errno.ENOTTY,
      because: "nobody tracks what it writes: it has no DMA log, and a mediated device has no page table",
      remedy: "dmaLog true",
    };
  }
  if (device.unitHasDirtyBits === true) {
    return {
      call: "IOMMU_HWPT_SET_DIRTY_TRACKING",
      errno: Errno.EOPNOTSUPP,
      because: "nobody tracks what it writes: it has no DMA log, and it shares a page table made without dirty bits",
      remedy: "attaching it before the devices whose unit has no dirty bits, or dmaLog true",
    };
  }
  return {
    call: "IOMMU_HWPT_ALLOC (DIRTY_TRACKING)",
    errno: Errno.EOPNOTSUPP,
    because: "nobody tracks what it writes: it has no DMA log, and its page table no dirty bits",
    remedy: "dmaLog true, or a unit with dirtyTracking",
  };
}
