import { bool, intRange, property, readProperties, uint8, type PropertyTable } from "../../../object/index.ts";
import type { DeviceTypeInfo } from "../../type-info.ts";

export interface RootPortConfig {
  /** Number of the link, for software. */
  readonly port: number;
  /** Together they name a slot once. */
  readonly chassis: number;
  readonly slot: number;
  readonly hotplug: boolean;
}

const properties = {
  port: property(uint8, { default: 0 }),
  chassis: property(uint8, { default: 0 }),
  slot: property(intRange("uint16", 0, 0x1fff), { default: 0 }),
  hotplug: property(bool, { default: true }),
} satisfies PropertyTable;

export const rootPortInfo: DeviceTypeInfo = {
  typeName: "pcie-root-port",
  description: "PCI Express root port: a slot behind a bridge, named by its id",
  bus: "PCI",
  properties,
};

/** Throws OptionError. */
export function readRootPortConfig(given: Readonly<Record<string, unknown>>, subject?: string): RootPortConfig {
  return readProperties(rootPortInfo.typeName, properties, given, subject);
}
