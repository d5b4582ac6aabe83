// A software host as a description has it: units, groups, devices, their files.
import { DescribedUnit, makeGroup, SoftwareHost, type HostPlan, type SoftwareHostOptions } from "../iommufd/index.ts";
import { makeVfioHost, type VfioHostOptions } from "./make-host.ts";
import type { VfioHost } from "./port.ts";

export interface DescribedHost {
  readonly host: SoftwareHost;
  readonly vfio: VfioHost;
}

/** Throws VfioHostError, or OptionError for a device's property. */
export function makeDescribedHost(
  plan: HostPlan,
  options: Omit<VfioHostOptions, "host">,
  hostOptions: SoftwareHostOptions = {},
): DescribedHost {
  const host = new SoftwareHost(hostOptions);
  const vfio = makeVfioHost({ host, ...options });
  const units = new Map(plan.units.map((unit) => [unit.id, new DescribedUnit(unit.id, unit.description)]));
  const groups = new Map(plan.groups.map((group) => [group.id, makeGroup(group.id, group.isolatedMsi)]));
  for (const { name, kind, migration, dmaLog, properties, placement, reserved } of plan.devices) {
    const description = { name, kind: kind.name, migration, dmaLog, properties };
    if (placement === undefined) vfio.add(description);
    else {
      const unit = units.get(placement.unit.id)!;
      vfio.add(description, { unit, group: groups.get(placement.group.id)!, reserved });
    }
  }
  return { host, vfio };
}
