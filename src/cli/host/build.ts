// The units, groups and devices of a description, made in a host.
import { DescribedUnit, makeGroup, type DeviceGroup, type HostPlan, type SoftwareHost } from "../../iommufd/index.ts";

/** What a host was given; devices are opened under `/dev/vfio/devices`. */
export interface BuiltHost {
  readonly units: ReadonlyMap<string, DescribedUnit>;
  readonly groups: ReadonlyMap<number, DeviceGroup>;
}

/** `file` is what errors name. */
export function buildHost(_host: SoftwareHost, plan: HostPlan, _file: string): BuiltHost {
  const units = new Map(plan.units.map((unit) => [unit.id, new DescribedUnit(unit.id, unit.description)]));
  const groups = new Map(plan.groups.map((group) => [group.id, makeGroup(group.id, group.isolatedMsi)]));
  return { units, groups };
}
