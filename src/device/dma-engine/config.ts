import { isPowerOfTwo } from "../../base/index.ts";
import {
  intRange,
  property,
  readProperties,
  Refusal,
  size,
  type PropertySpec,
  type PropertyType,
} from "../../object/index.ts";
import type { DeviceTypeInfo } from "../type-info.ts";

export interface DmaEngineConfig {
  /** Length of the memory BAR. */
  readonly memoryBytes: number;
  /** MSI-X vectors. */
  readonly vectors: number;
}

const LEAST_MEMORY = 0x4000;
const MOST_MEMORY = 0x100_0000;

const barSize: PropertyType<number> = {
  ...size,
  parse: (text) => checkBarSize(size.parse(text)),
  accept: (value) => checkBarSize(size.accept(value)),
};

function checkBarSize(value: number | Refusal): number | Refusal {
  if (value instanceof Refusal) return value;
  return isPowerOfTwo(value) && value >= LEAST_MEMORY && value <= MOST_MEMORY
    ? value
    : new Refusal("expects a power of two from 16k to 16M");
}

export const dmaEngineProperties: {
  readonly memory: PropertySpec<number, number>;
  readonly vectors: PropertySpec<number, number>;
} = {
  memory: property(barSize, { default: 0x1_0000, description: "size of the memory BAR" }),
  vectors: property(intRange("uint8", 1, 64), { default: 4, description: "MSI-X vectors" }),
};

export const dmaEngineInfo: DeviceTypeInfo = {
  typeName: "dma-engine",
  description: "programmable DMA: copies, fills, patterns, scatter lists",
  bus: "PCI",
  properties: dmaEngineProperties,
};

/** Throws OptionError. */
export function readDmaEngineConfig(given: Readonly<Record<string, unknown>>, subject?: string): DmaEngineConfig {
  const { memory, vectors } = readProperties(dmaEngineInfo.typeName, dmaEngineProperties, given, subject);
  return { memoryBytes: memory, vectors };
}
