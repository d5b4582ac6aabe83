// Every reason that something about assigned devices is blocked: one pure function of what is known of them. A host that
// is only described (`planned`), and devices that a machine has or has just failed to get, are explained alike.
import {
  Errno,
  memoryRefusal,
  planAttachments,
  type AttachPlan,
  type HostDevice as DescribedHostDevice,
  type HostPlan,
  type Refusal,
} from "../iommufd/index.ts";
import { canStopCopy, migrationBlockers, refusedWish, type MigratingDevice, type MigrationWish } from "./blockers.ts";
import type { DmaMode } from "./dma-mode.ts";
import { chooseTrackers, type TrackedDevice, type TrackerChoice, type TrackerPolicy } from "./trackers/policy.ts";

export interface Reason {
  /** What is blocked. A device that cannot be attached, or not see memory, can be plugged neither now nor later. */
  readonly what: "attachment" | "memory" | "tracking" | "migration";
  readonly device: string;
  /** A sentence; QEMU's where it has one. */
  readonly message: string;
  readonly refusal: Refusal;
}

/** What is known when something is explained. */
export interface Explained {
  /** Devices that were refused, or would be. */
  readonly refused: readonly Pick<Reason, "what" | "device" | "refusal">[];
  /** Devices that are attached, or would be, in that order. */
  readonly migrating: readonly MigratingDevice[];
}

const SENTENCES = {
  attachment: "cannot be attached",
  memory: "cannot see the guest's memory",
  tracking: "cannot be tracked",
  migration: "cannot migrate, which enable-migration=on wants",
} as const;

/** Everything that is blocked: attachments first, in the order of the devices, then migration. */
export function explain({ refused, migrating }: Explained): readonly Reason[] {
  return [
    ...refused.map((each) => ({ ...each, message: `Device ${each.device} ${SENTENCES[each.what]}` })),
    ...migrationBlockers(migrating).map((blocker) => ({ what: "migration" as const, ...blocker })),
  ];
}

/** For people and monitors, on one line. */
export function reasonText({ message, refusal }: Pick<Reason, "message" | "refusal">): string {
  const { call, errno, because, remedy } = refusal;
  return `${message}: ${because} (${call}: ${Errno.name(errno)}); ${remedy} would do`;
}

/** How a machine would take the devices of a description: `-object iommufd` and `-device vfio-pci`, the same for all. */
export interface PlannedUse {
  readonly policy: TrackerPolicy;
  readonly mode: DmaMode;
  readonly wish: MigrationWish;
  readonly mayLog: boolean;
  /** Where the guest has its memory. */
  readonly memory: readonly { readonly start: bigint; readonly last: bigint }[];
}

export const DEFAULT_USE: Omit<PlannedUse, "memory"> = { policy: "mixed", mode: "hwpt", wish: "auto", mayLog: true };

export interface PlannedDevices extends Explained {
  readonly attachments: AttachPlan;
  /** One per device of `migrating`. */
  readonly choices: readonly TrackerChoice[];
}

/** What a machine would find that took every device of the plan, in its order. */
export function planned(plan: HostPlan, use: PlannedUse): PlannedDevices {
  const dropped: Explained["refused"][number][] = [];
  const without = (count: number): HostPlan => ({
    ...plan,
    devices: plan.devices.slice(0, count).filter(({ name }) => dropped.every(({ device }) => device !== name)),
  });
  // One that is to migrate and cannot leaves nothing behind for those that follow.
  plan.devices.forEach(({ name: device }, i) => {
    if (use.wish !== "on") return;
    const { migrating } = takenAll(without(i + 1), use);
    const blocker = migrating.at(-1)?.name === device ? refusedWish(migrating) : undefined;
    if (blocker !== undefined) dropped.push({ what: "migration", device, refusal: blocker.refusal });
  });
  const found = takenAll(without(plan.devices.length), use);
  return { ...found, refused: [...found.refused, ...dropped] };
}

function takenAll(plan: HostPlan, use: PlannedUse): PlannedDevices {
  const physical = plan.devices.flatMap((device) => {
    if (device.placement === undefined) return [];
    const { unit, group } = device.placement;
    return [{ name: device.name, unit, group, reserved: [...unit.description.reserved, ...device.reserved] }];
  });
  const attachments = planAttachments(physical, use.mode);
  const refused: Explained["refused"][number][] = attachments.refusals.map((r) => ({ what: "attachment", ...r }));
  const isRefused = (name: string): boolean => refused.some(({ device }) => device === name);
  for (const { name, unit, reserved } of physical) {
    if (isRefused(name)) continue;
    const refusal = memoryRefusal(unit.description, reserved, use.memory);
    if (refusal !== undefined) refused.push({ what: "memory", device: name, refusal });
  }
  // One that does not see memory is not taken either, and is nobody's peer.
  const taken = plan.devices.filter(({ name }) => !isRefused(name));
  const facts = taken.map((device) => factsOf(device, attachments, use));
  const choices = chooseTrackers(facts, use.policy);
  const migrating = taken.map((device, i): MigratingDevice => {
    const { name, placement } = device;
    return {
      name,
      wish: use.wish,
      answer: answerOf(device),
      isMediated: placement === undefined,
      unitHasDirtyBits: placement?.unit.description.dirtyTracking ?? false,
      choice: choices[i]!,
    };
  });
  return { attachments, choices, refused, migrating };
}

function factsOf(device: DescribedHostDevice, { tables }: AttachPlan, { wish, mayLog }: PlannedUse): TrackedDevice {
  const { name, dmaLog } = device;
  const table = tables.find(({ devices }) => devices.includes(name));
  return {
    name,
    hasLog: dmaLog,
    mayLog,
    hasDirtyBits: table?.needs.dirtyBits ?? false,
    canMigrate: wish !== "off" && canStopCopy(answerOf(device)),
  };
}

function answerOf({ migration }: DescribedHostDevice): MigratingDevice["answer"] {
  if (migration.length === 0) return { errno: Errno.ENOTTY };
  const has = (ability: (typeof migration)[number]): boolean => migration.includes(ability);
  return { stopCopy: has("stop-copy"), p2p: has("p2p"), preCopy: has("pre-copy") };
}
