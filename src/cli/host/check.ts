// `ratite host check`: what would be blocked if one VM took every device of a description, and why.
import {
  Errno,
  memoryRefusal,
  migrationRefusals,
  planAttachments,
  trackerOf,
  type AttachPlan,
  type HostPlan,
  type MigrationSubject,
  type Refusal,
} from "../../iommufd/index.ts";
import { wrapped } from "./show.ts";

export interface CheckedRange {
  readonly start: bigint;
  readonly last: bigint;
}

export interface Finding {
  readonly what: "attachment" | "memory" | "migration";
  readonly device: string;
  readonly refusal: Refusal;
}

export interface CheckResult {
  readonly attachments: AttachPlan;
  readonly subjects: readonly MigrationSubject[];
  readonly findings: readonly Finding[];
}

/** Checks every device of the plan against a guest whose memory lies in `memory`. */
export function checkHost(plan: HostPlan, memory: readonly CheckedRange[]): CheckResult {
  const physical = plan.devices.flatMap((device) => {
    if (device.placement === undefined) return [];
    const { unit, group } = device.placement;
    return [{ name: device.name, unit, group, reserved: [...unit.description.reserved, ...device.reserved] }];
  });
  const attachments = planAttachments(physical);
  const findings: Finding[] = attachments.refusals.map((r) => ({ what: "attachment", ...r }));
  const blocked = new Set(attachments.refusals.map((r) => r.device));
  for (const device of physical) {
    if (blocked.has(device.name)) continue;
    const refusal = memoryRefusal(device.unit.description, device.reserved, memory);
    if (refusal !== undefined) findings.push({ what: "memory", device: device.name, refusal });
  }
  const subjects = plan.devices
    .filter((device) => !blocked.has(device.name))
    .map((device): MigrationSubject => {
      const table = attachments.tables.find((t) => t.devices.includes(device.name));
      return {
        name: device.name,
        migration: device.migration,
        dmaLog: device.dmaLog,
        dirtyBits: table?.needs.dirtyBits ?? false,
        unitHasDirtyBits: device.placement?.unit.description.dirtyTracking ?? false,
        mediated: device.placement === undefined,
      };
    });
  for (const r of migrationRefusals(subjects)) findings.push({ what: "migration", ...r });
  return { attachments, subjects, findings };
}

const HEADINGS = {
  attachment: "cannot be attached",
  memory: "cannot see the guest's memory",
  migration: "blocks migration",
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
  const access = result.subjects.filter((s) => s.mediated).map((s) => s.name);
  if (access.length > 0) lines.push(...wrapped(`through access objects: ${access.join(", ")}`, "", "  "));
  for (const tracker of ["device", "iommu"] as const) {
    const tracked = result.subjects.filter((s) => trackerOf(s) === tracker).map((s) => s.name);
    const by = tracker === "device" ? "the device's own log" : "the IOMMU's dirty bits";
    if (tracked.length > 0) lines.push(...wrapped(`dirty pages by ${by}: ${tracked.join(", ")}`, "", "  "));
  }
  if (lines.length > 0) lines.push("");
  for (const { what, device, refusal } of result.findings) {
    lines.push(`${device} ${HEADINGS[what]}`);
    lines.push(...wrapped(`${refusal.call}: ${Errno.name(refusal.errno)}, ${refusal.because}`, "  ", "    "));
    lines.push(...wrapped(`would do: ${refusal.remedy}`, "  ", "    "));
  }
  if (result.findings.length === 0) lines.push("nothing is blocked: every device can be attached, and all can migrate");
  return `${lines.join("\n")}\n`;
}

export function checkJson(result: CheckResult): string {
  const data = {
    tables: result.attachments.tables.map((t) => ({ ...t.needs, devices: t.devices })),
    devices: result.subjects.map((s) => ({ name: s.name, dirtyTracker: trackerOf(s) })),
    blocked: result.findings.map(({ what, device, refusal }) => ({
      what,
      device,
      ...refusal,
      errno: Errno.name(refusal.errno),
    })),
  };
  return `${JSON.stringify(data, null, 2)}\n`;
}
