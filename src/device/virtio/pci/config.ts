// Properties that virtio devices have as PCI functions, with QEMU's names.
import {
  bool,
  intRange,
  onOffAuto,
  OptionError,
  property,
  readProperties,
  type PropertySpec,
} from "../../../object/index.ts";
import { MSIX_BAR_BYTES } from "./spec.ts";

/** The table takes half of its BAR. */
export const MAX_VECTORS: number = MSIX_BAR_BYTES / 2 / 16;

export const virtioPciProperties: {
  readonly vectors: PropertySpec<number, undefined>;
  readonly "disable-legacy": PropertySpec<"on" | "off" | "auto", "on" | "off" | "auto">;
  readonly "disable-modern": PropertySpec<boolean, boolean>;
} = {
  vectors: property(intRange("uint32", 0, MAX_VECTORS), {
    description: "MSI-X vectors; 0: none; default: as the device has queues",
  }),
  "disable-legacy": property(onOffAuto, { default: "auto", description: "on/auto" }),
  "disable-modern": property(bool, { default: false, description: "off" }),
};

export interface VirtioPciConfig {
  /** Undefined: as the device has queues. */
  readonly vectors: number | undefined;
}

/** Takes what is in `virtioPciProperties`. Throws OptionError. */
export function readVirtioPciConfig(
  typeName: string,
  given: Readonly<Record<string, unknown>>,
  subject?: string,
): VirtioPciConfig {
  const values = readProperties(typeName, virtioPciProperties, given, subject);
  if (values["disable-legacy"] === "off" || values["disable-modern"]) {
    const message = "The legacy interface is not supported: every driver of virtio 1.x takes the modern one";
    throw new OptionError("unsupported", message, subject === undefined ? {} : { subject });
  }
  return { vectors: values.vectors };
}
