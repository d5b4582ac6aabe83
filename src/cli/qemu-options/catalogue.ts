// The boards, CPU models and device types that lists and checks are about.
import type { DeviceTypeInfo } from "../../device/index.ts";

export interface NamedThing {
  readonly name: string;
  readonly description: string;
}

export interface Catalogue {
  readonly boards: readonly NamedThing[];
  readonly cpuModels: readonly NamedThing[];
  readonly deviceTypes: readonly DeviceTypeInfo[];
}
