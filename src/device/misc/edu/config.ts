import { property, readProperties, uint64, type PropertyTable } from "../../../object/index.ts";
import type { DeviceTypeInfo } from "../../type-info.ts";

export interface EduConfig {
  /** Addresses on the bus are cut to these bits. */
  readonly dmaMask: bigint;
}

const properties = {
  dma_mask: property(uint64, { default: (1n << 28n) - 1n, description: "which bits of an address reach the bus" }),
} satisfies PropertyTable;

export const eduInfo: DeviceTypeInfo = {
  typeName: "edu",
  description: "educational device: registers, interrupts, DMA",
  bus: "PCI",
  properties,
};

/** Throws OptionError. */
export function readEduConfig(given: Readonly<Record<string, unknown>>, subject?: string): EduConfig {
  return { dmaMask: readProperties(eduInfo.typeName, properties, given, subject).dma_mask };
}
