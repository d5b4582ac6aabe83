// What a machine meets that takes every device of a host, and what is said of it beforehand.
import type { HostPlan } from "../../../src/iommufd/index.ts";
import {
  explain,
  planned,
  VfioError,
  type PlannedUse,
  type Reason,
  type TrackerChoice,
} from "../../../src/vfio/index.ts";
import { makeBackend } from "./backend-bench.ts";

export const RAM_AT = 0x8000_0000;
export const RAM_BYTES = 0x10_0000;
export const MEMORY: PlannedUse["memory"] = [{ start: BigInt(RAM_AT), last: BigInt(RAM_AT + RAM_BYTES - 1) }];

export interface Met {
  /** What, device, call and errno of each device that was refused, sorted. */
  readonly refused: readonly string[];
  readonly trackers: readonly TrackerChoice[];
  readonly blockers: readonly unknown[];
}

const brief = ({ what, device, refusal }: Reason): string => `${what} ${device} ${refusal.call} ${refusal.errno}`;

export function saidOf(plan: HostPlan, use: PlannedUse): Met & { readonly reasons: readonly Reason[] } {
  const said = planned(plan, use);
  return {
    refused: explain({ ...said, migrating: [] })
      .map(brief)
      .sort(),
    trackers: said.choices,
    blockers: explain({ ...said, refused: [] }),
    reasons: explain(said),
  };
}

/** Takes the devices in their order, and gives them back. Throws when something is left. */
export function meet(plan: HostPlan, { policy, mode, wish, mayLog }: PlannedUse): Met {
  const { backend, audit, warnings } = makeBackend(plan, { policy, ramAt: RAM_AT, ramBytes: RAM_BYTES });
  const refused: Reason[] = [];
  for (const { name } of plan.devices) {
    try {
      backend.assign({ name, mode, mayLog, migration: wish });
    } catch (error) {
      if (!(error instanceof VfioError)) throw error;
      refused.push(error.reasons[0]!);
    }
  }
  const trackers = backend.assignments.map(({ device, container }) => container.trackerOf(device));
  for (const { device, tracker } of trackers) {
    const isTold = warnings.some((text) => text.startsWith(`${device}: all that it can reach`));
    if (tracker === "none" && !isTold) throw new Error(`${device} is silently untracked`);
  }
  const { blockers } = backend;
  for (const assignment of [...backend.assignments]) assignment.release();
  const left = JSON.stringify(audit());
  if (/[1-9]|false/.test(left)) throw new Error(`left: ${left}`);
  return { refused: refused.map(brief).sort(), trackers, blockers };
}
