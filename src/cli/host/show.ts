// `ratite host show`: units, groups and devices of a description as a tree, and what each can do.
import {
  trackerOf,
  type DirtyTracker,
  type HostDevice,
  type HostPlan,
  type HostUnit,
  type ReservedRegion,
} from "../../iommufd/index.ts";
import { formatSize } from "../../object/index.ts";

const COLUMNS = 80;

const MODEL_NAMES = {
  "vt-d": "Intel VT-d",
  amd: "AMD IOMMU",
  smmuv3: "Arm SMMUv3",
  riscv: "RISC-V IOMMU",
  mock: "the kernel's test unit",
} as const;

const TRACKER_NAMES: Readonly<Record<DirtyTracker, string>> = {
  device: "tracked by its own log",
  iommu: "tracked by dirty bits",
  none: "its writes are not tracked",
};

/** At most 80 columns wide where the names allow it; ends with a newline. */
export function showHost(plan: HostPlan): string {
  const lines: string[] = [];
  for (const unit of plan.units) {
    const groups = plan.groups.filter((g) =>
      plan.devices.some((d) => d.placement?.group === g && d.placement.unit === unit),
    );
    lines.push(`${unit.id}  ${MODEL_NAMES[unit.description.model]} (${unit.profile})`);
    const bar = groups.length > 0 ? "│    " : "     ";
    for (const fact of unitFacts(unit)) lines.push(...wrapped(fact, bar, bar));
    if (groups.length === 0) lines.push("     no devices");
    groups.forEach((group, i) => {
      const isLast = i === groups.length - 1;
      const msi = group.isolatedMsi ? "" : ", interrupts not isolated";
      lines.push(`${isLast ? "└" : "├"}─ group ${group.id}${msi}`);
      const devices = plan.devices.filter((d) => d.placement?.group === group);
      lines.push(...deviceLines(devices, isLast ? "   " : "│  "));
    });
    lines.push("");
  }
  const mediated = plan.devices.filter((d) => d.placement === undefined);
  if (mediated.length > 0) {
    lines.push("no unit: mediated devices, which reach an IOAS through access objects");
    lines.push(...deviceLines(mediated, ""), "");
  }
  if (lines.length === 0) lines.push("an empty host: no units, no devices", "");
  return lines.slice(0, -1).join("\n") + "\n";
}

function unitFacts(unit: HostUnit): string[] {
  const d = unit.description;
  const can = [
    d.dirtyTracking ? "dirty bits" : "no dirty bits",
    d.nesting ? "nesting" : "no nesting",
    d.pasidBits > 0 ? `${d.pasidBits} PASID bits` : "no PASIDs",
    d.pageRequests ? "page requests" : "no page requests",
    d.ats ? "ATS" : "no ATS",
    { none: "not coherent", snoop: "coherent", enforced: "coherency enforced" }[d.cacheCoherency],
  ];
  const pages = d.pageSizes.map((bytes) => formatSize(bytes)).join(", ");
  return [
    can.join(", "),
    `pages of ${pages}; IOVAs ${hex(d.apertureStart)} to ${hex(d.apertureLast)}`,
    ...d.reserved.map(regionText),
  ];
}

function deviceLines(devices: readonly HostDevice[], indent: string): string[] {
  return devices.flatMap((device, i) => {
    const isLast = i === devices.length - 1;
    const below = `${indent}${isLast ? "   " : "│  "}   `;
    const facts = deviceFacts(device).join("; ");
    return [
      `${indent}${isLast ? "└" : "├"}─ ${device.name}  ${device.kind.name}`,
      ...wrapped(facts, below, below),
      ...device.reserved.flatMap((region) => wrapped(regionText(region), below, below)),
    ];
  });
}

function deviceFacts(device: HostDevice): string[] {
  const abilities = device.migration.length === 0 ? "does not migrate" : `migrates by ${device.migration.join(", ")}`;
  const settings = Object.entries(device.properties).map(([key, value]) => `${key} ${String(value)}`);
  return [abilities, TRACKER_NAMES[trackerOf(trackable(device))], ...settings];
}

/** What is known of a device's dirt before it is attached anywhere: its page table will have what its unit has. */
export function trackable(device: HostDevice): { readonly dmaLog: boolean; readonly dirtyBits: boolean } {
  return { dmaLog: device.dmaLog, dirtyBits: device.placement?.unit.description.dirtyTracking ?? false };
}

function regionText(region: ReservedRegion): string {
  return `reserved ${hex(region.start)} to ${hex(region.last)} (${region.kind})`;
}

function hex(n: bigint): string {
  return `0x${n.toString(16)}`;
}

/** Breaks at blanks. */
export function wrapped(text: string, first: string, others: string, columns: number = COLUMNS): string[] {
  const lines: string[] = [];
  let line = first;
  for (const word of text.split(" ")) {
    const isEmpty = line === (lines.length === 0 ? first : others);
    if (!isEmpty && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = others + word;
    } else {
      line += isEmpty ? word : ` ${word}`;
    }
  }
  return [...lines, line];
}

/** The plan as plain data; addresses are texts. */
export function hostAsJson(plan: HostPlan): string {
  const region = (r: ReservedRegion): object => ({ start: hex(r.start), last: hex(r.last), kind: r.kind });
  const data = {
    units: plan.units.map(({ id, profile, description }) => {
      const { apertureStart, apertureLast, reserved, ...abilities } = description;
      const aperture = { start: hex(apertureStart), last: hex(apertureLast) };
      return { id, profile, ...abilities, aperture, reserved: reserved.map(region) };
    }),
    groups: plan.groups,
    devices: plan.devices.map((device) => ({
      name: device.name,
      kind: device.kind.name,
      unit: device.placement?.unit.id ?? null,
      group: device.placement?.group.id ?? null,
      migration: device.migration,
      dmaLog: device.dmaLog,
      dirtyTracker: trackerOf(trackable(device)),
      reserved: device.reserved.map(region),
      properties: device.properties,
    })),
  };
  return `${JSON.stringify(data, null, 2)}\n`;
}
