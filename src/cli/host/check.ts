// `ratite host check`: what would be blocked if one machine took every device of a description, and why.
import { Errno, type HostPlan } from "../../iommufd/index.ts";
import { explain, planned, type PlannedDevices, type PlannedUse, type Reason } from "../../vfio/index.ts";
import { wrapped } from "./show.ts";

export interface CheckResult extends PlannedDevices {
  readonly reasons: readonly Reason[];
}

export function checkHost(plan: HostPlan, use: PlannedUse): CheckResult {
  const found = planned(plan, use);
  return { ...found, reasons: explain(found) };
}

const TRACKERS = {
  device: "the device's own log",
  iommu: "the IOMMU's dirty bits",
  none: "nobody, so that all it reaches counts as written each round",
} as const;

/** For people; ends with a newline. */
export function checkText(result: CheckResult): string {
  const lines: string[] = [];
  result.attachments.tables.forEach((table, i) => {
    const dirty = table.needs.dirtyBits ? "with dirty bits" : "without dirty bits";
    lines.push(
      ...wrapped(`page table ${i + 1} (${table.needs.model}, ${dirty}): ${table.devices.join(", ")}`, "", "  "),
    );
  });
  const access = result.migrating.filter(({ isMediated }) => isMediated).map(({ name }) => name);
  if (access.length > 0) lines.push(...wrapped(`through access objects: ${access.join(", ")}`, "", "  "));
  for (const tracker of ["device", "iommu", "none"] as const) {
    const tracked = result.choices.filter((choice) => choice.tracker === tracker).map(({ device }) => device);
    if (tracked.length > 0)
      lines.push(...wrapped(`dirty pages by ${TRACKERS[tracker]}: ${tracked.join(", ")}`, "", "  "));
  }
  if (lines.length > 0) lines.push("");
  for (const { device, message, refusal } of result.reasons) {
    const isTaken = result.migrating.some(({ name }) => name === device);
    lines.push(...wrapped(isTaken ? `Migration is blocked: ${message}` : message, "", "  "));
    lines.push(...wrapped(`${refusal.call}: ${Errno.name(refusal.errno)}, ${refusal.because}`, "  ", "    "));
    lines.push(...wrapped(`would do: ${refusal.remedy}`, "  ", "    "));
  }
  if (result.reasons.length === 0) lines.push("nothing is blocked: every device can be attached, and all can migrate");
  return `${lines.join("\n")}\n`;
}

export function checkJson(result: CheckResult): string {
  const data = {
    tables: result.attachments.tables.map(({ needs, devices }) => {
      const { unitId, model, dirtyBits, enforcedCoherency } = needs;
      return { unitId, model, dirtyBits, enforcedCoherency, devices };
    }),
    devices: result.choices.map(({ device, tracker, because }) => ({ name: device, dirtyTracker: tracker, because })),
    blocked: result.reasons.map(({ what, device, message, refusal }) => ({
      what,
      device,
      message,
      ...refusal,
      errno: Errno.name(refusal.errno),
    })),
  };
  return `${JSON.stringify(data, null, 2)}\n`;
}
