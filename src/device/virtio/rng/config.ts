// Properties of `virtio-rng-device`, with QEMU's names and defaults.
import { property, readProperties, str, uint32, uint64, type PropertyTable } from "../../../object/index.ts";
import type { DeviceTypeInfo } from "../../type-info.ts";
import type { RingOptions } from "../device.ts";
import { VirtioError } from "../errors.ts";
import { ringOptions, ringProperties } from "../ring-properties.ts";

/** QEMU's default, which means no limit. */
const UNLIMITED = 2n ** 63n - 1n;

const properties = {
  ...ringProperties,
  rng: property(str, { description: "ID of an rng object; default: the host's random bytes" }),
  "max-bytes": property(uint64, { default: UNLIMITED, description: "bytes per period" }),
  period: property(uint32, { default: 0x10000, description: "milliseconds" }),
} satisfies PropertyTable;

export const virtioRngInfo: DeviceTypeInfo = {
  typeName: "virtio-rng-device",
  description: "Virtio entropy device",
  bus: "virtio-bus",
  properties,
};

export interface VirtioRngConfig {
  readonly ring: RingOptions;
  /** Source that the board connects. */
  readonly rng: string | undefined;
  /** Undefined: no limit. */
  readonly maxBytesPerPeriod: number | undefined;
  readonly periodMs: number;
}

/** Throws OptionError for unknown or ill-typed properties, VirtioError `badConfig`. */
export function readVirtioRngConfig(given: Readonly<Record<string, unknown>> = {}, subject?: string): VirtioRngConfig {
  const values = readProperties(virtioRngInfo.typeName, properties, given, subject);
  const wrong = (message: string): VirtioError =>
    new VirtioError("badConfig", message, subject === undefined ? {} : { subject });
  if (values.period < 1) throw wrong("Property 'period' is 0; a positive number of milliseconds would do");
  const maxBytes = values["max-bytes"];
  if (maxBytes < 1n || maxBytes > UNLIMITED) {
    throw wrong(`Property 'max-bytes' is ${maxBytes}; 1 to ${UNLIMITED} would do`);
  }
  return {
    ring: ringOptions(values),
    rng: values.rng,
    maxBytesPerPeriod: maxBytes > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(maxBytes),
    periodMs: values.period,
  };
}
