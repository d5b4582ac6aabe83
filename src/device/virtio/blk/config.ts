// Properties of `virtio-blk-device`, with QEMU's names and defaults.
import {
  bool,
  oneOf,
  onOffAuto,
  property,
  readProperties,
  size,
  str,
  uint16,
  uint32,
  type PropertyTable,
} from "../../../object/index.ts";
import { isPowerOfTwo } from "../../../base/index.ts";
import type { DeviceTypeInfo } from "../../type-info.ts";
import type { RingOptions } from "../device.ts";
import { VirtioError } from "../errors.ts";
import { ringOptions, ringProperties } from "../ring-properties.ts";
import { SECTOR_BYTES } from "./spec.ts";

const properties = {
  ...ringProperties,
  drive: property(str, { description: "Node name or ID of a block device to use as a backend" }),
  serial: property(str, { description: "the first 20 bytes are the guest's /sys/block/vdX/serial" }),
  logical_block_size: property(size, { default: 512, description: "A power of two between 512 B and 2 MiB" }),
  physical_block_size: property(size, { description: "A power of two between 512 B and 2 MiB" }),
  min_io_size: property(size, { default: 0 }),
  opt_io_size: property(size, { default: 0 }),
  discard_granularity: property(size, { description: "default: the logical block size" }),
  discard: property(bool, { default: true, description: "on/off" }),
  "write-zeroes": property(bool, { default: true, description: "on/off" }),
  "max-discard-sectors": property(uint32, { default: 0x3fffff }),
  "max-write-zeroes-sectors": property(uint32, { default: 0x3fffff }),
  "config-wce": property(bool, { default: true, description: "on/off" }),
  "write-cache": property(onOffAuto, { default: "auto", description: "on/off/auto" }),
  "num-queues": property(uint16, { default: 1 }),
  "queue-size": property(uint16, { default: 256, description: "A power of two between 4 and 1024" }),
  "seg-max-adjust": property(bool, { default: true }),
  rerror: property(oneOf("BlockdevOnError", ["report"]), { default: "report", description: "report" }),
  werror: property(oneOf("BlockdevOnError", ["report"]), { default: "report", description: "report" }),
} satisfies PropertyTable;

export const virtioBlkInfo: DeviceTypeInfo = {
  typeName: "virtio-blk-device",
  description: "Virtio block device",
  bus: "virtio-bus",
  properties,
};

export interface VirtioBlkConfig {
  readonly ring: RingOptions;
  /** Block node or drive that the board connects. */
  readonly drive: string | undefined;
  readonly serial: string;
  readonly logicalBlockBytes: number;
  readonly physicalBlockBytes: number;
  readonly minIoBytes: number;
  readonly optIoBytes: number;
  readonly discardGranularityBytes: number;
  readonly offersDiscard: boolean;
  readonly offersWriteZeroes: boolean;
  readonly maxDiscardSectors: number;
  readonly maxWriteZeroesSectors: number;
  readonly offersConfigWce: boolean;
  readonly writeCache: boolean;
  readonly queueCount: number;
  readonly queueSize: number;
  readonly segMax: number;
}

/** Throws OptionError for unknown or ill-typed properties, VirtioError `badConfig` for values that do not fit together. */
export function readVirtioBlkConfig(given: Readonly<Record<string, unknown>> = {}, subject?: string): VirtioBlkConfig {
  const values = readProperties(virtioBlkInfo.typeName, properties, given, subject);
  const logicalBlockBytes = values.logical_block_size || SECTOR_BYTES;
  const config: VirtioBlkConfig = {
    ring: ringOptions(values),
    drive: values.drive,
    serial: values.serial ?? "",
    logicalBlockBytes,
    physicalBlockBytes: values.physical_block_size || logicalBlockBytes,
    minIoBytes: values.min_io_size,
    optIoBytes: values.opt_io_size,
    discardGranularityBytes: values.discard_granularity || logicalBlockBytes,
    offersDiscard: values.discard,
    offersWriteZeroes: values["write-zeroes"],
    maxDiscardSectors: values["max-discard-sectors"],
    maxWriteZeroesSectors: values["max-write-zeroes-sectors"],
    offersConfigWce: values["config-wce"],
    writeCache: values["write-cache"] !== "off",
    queueCount: values["num-queues"],
    queueSize: values["queue-size"],
    // A request has a header and a status besides its data; 128 is the queue size that old drivers assumed.
    segMax: (values["seg-max-adjust"] ? values["queue-size"] : 128) - 2,
  };
  const problem = findProblem(config);
  if (problem !== undefined) throw new VirtioError("badConfig", problem, subject === undefined ? {} : { subject });
  return config;
}

/** The queue count has no limit of its own; this keeps the registers' state small. */
const MAX_QUEUES = 64;

function findProblem(config: VirtioBlkConfig): string | undefined {
  const { logicalBlockBytes: logical, physicalBlockBytes: physical, queueSize, queueCount } = config;
  for (const [name, bytes] of [
    ["logical_block_size", logical],
    ["physical_block_size", physical],
  ] as const) {
    if (!isPowerOfTwo(bytes) || bytes < SECTOR_BYTES || bytes > 2 << 20) {
      return `Property '${name}' is ${bytes}; a power of two between 512 and 2 MiB would do`;
    }
  }
  if (physical < logical) return `physical_block_size ${physical} is below logical_block_size ${logical}`;
  for (const [name, bytes, limit] of [
    ["min_io_size", config.minIoBytes, 0xffff],
    ["opt_io_size", config.optIoBytes, 0xffff_ffff],
    ["discard_granularity", config.discardGranularityBytes, 0xffff_ffff],
  ] as const) {
    if (bytes % logical !== 0 || bytes / logical > limit) {
      return `Property '${name}' is ${bytes}; a multiple of logical_block_size ${logical} up to ${limit * logical} would do`;
    }
  }
  if (!isPowerOfTwo(queueSize) || queueSize < 4 || queueSize > 1024) {
    return `Property 'queue-size' is ${queueSize}; a power of two between 4 and 1024 would do`;
  }
  if (queueCount < 1 || queueCount > MAX_QUEUES) {
    return `Property 'num-queues' is ${queueCount}; 1 to ${MAX_QUEUES} would do`;
  }
  return undefined;
}
