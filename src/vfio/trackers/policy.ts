// Which source tells of the pages that a device writes: a pure function of what there is and of the operator's policy.
import type { DirtyTracker } from "../../iommufd/index.ts";

/**
 * - `mixed`: each device by the finest source it has.
 * - `all-or-nothing`: QEMU's rule: by the devices' own logs when every device has one and can migrate, else by the IOMMU.
 * - `iommu-only`, `device-only`: by that or not at all.
 */
export const TRACKER_POLICIES = ["mixed", "all-or-nothing", "iommu-only", "device-only"] as const;
export type TrackerPolicy = (typeof TRACKER_POLICIES)[number];

/** What is known of a device when trackers are chosen. */
export interface TrackedDevice {
  readonly name: string;
  /** It can log what it writes. */
  readonly hasLog: boolean;
  /** The operator lets it (`x-device-dirty-page-tracking`). */
  readonly mayLog: boolean;
  /** Its page table has dirty bits; never so for a mediated device. */
  readonly hasDirtyBits: boolean;
  /** It can migrate, and is let. QEMU asks no other device whether it has a log. */
  readonly canMigrate: boolean;
}

export interface TrackerChoice {
  readonly device: string;
  /** `none`: whatever the device can reach counts as written in every round. */
  readonly tracker: DirtyTracker;
  /** A clause. */
  readonly because: string;
  /** Nothing tracks the device whatever the policy: it does not migrate unless the operator insists. */
  readonly isUntrackable: boolean;
}

/** One choice per device, in the order given. */
export function chooseTrackers(devices: readonly TrackedDevice[], policy: TrackerPolicy): readonly TrackerChoice[] {
  const choose = chooser(devices, policy);
  return devices.map((device) => ({
    device: device.name,
    ...choose(device),
    isUntrackable: !usesLog(device) && !device.hasDirtyBits,
  }));
}

type Choose = (device: TrackedDevice) => Pick<TrackerChoice, "tracker" | "because">;

function chooser(devices: readonly TrackedDevice[], policy: TrackerPolicy): Choose {
  switch (policy) {
    case "mixed":
      return (device) => (usesLog(device) ? byLog("it has one") : byBits(device, noLog(device)));
    case "device-only":
      return (device) => (usesLog(device) ? byLog("the policy wants it") : untracked(noLog(device)));
    case "iommu-only":
      return (device) => byBits(device, "the policy wants them");
    case "all-or-nothing": {
      const without = devices.find((device) => !usesLog(device) || !device.canMigrate);
      if (without === undefined) return () => byLog("every device has one");
      const why = usesLog(without) ? "it does not migrate" : noLog(without);
      return (device) => byBits(device, `${without.name} has no log that counts: ${why}`);
    }
  }
}

function usesLog(device: TrackedDevice): boolean {
  return device.hasLog && device.mayLog;
}

function noLog(device: TrackedDevice): string {
  return device.hasLog ? "x-device-dirty-page-tracking is off" : "the device cannot log what it writes";
}

function byLog(why: string): ReturnType<Choose> {
  return { tracker: "device", because: `its own log: ${why}` };
}

function byBits(device: TrackedDevice, why: string): ReturnType<Choose> {
  return device.hasDirtyBits
    ? { tracker: "iommu", because: `the dirty bits of its page table: ${why}` }
    : untracked(`its page table has no dirty bits, and ${why}`);
}

function untracked(why: string): ReturnType<Choose> {
  return { tracker: "none", because: `all that it can reach counts as written: ${why}` };
}
