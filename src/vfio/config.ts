// The properties of `vfio-pci`, with QEMU's names and meaning.
import {
  bool,
  onOffAuto,
  oneOf,
  OptionError,
  property,
  readProperties,
  str,
  type PropertySpec,
} from "../object/index.ts";
import type { AssignmentOptions } from "./backend.ts";
import type { MigrationWish } from "./blockers.ts";
import { DMA_MODES, type DmaMode } from "./container.ts";

type OnOffAuto = "on" | "off" | "auto";

export const vfioPciProperties: {
  readonly host: PropertySpec<string, undefined>;
  readonly sysfsdev: PropertySpec<string, undefined>;
  readonly iommufd: PropertySpec<string, undefined>;
  readonly "enable-migration": PropertySpec<MigrationWish, MigrationWish>;
  readonly "migration-events": PropertySpec<boolean, boolean>;
  readonly "x-device-dirty-page-tracking": PropertySpec<OnOffAuto, OnOffAuto>;
  readonly "x-dma-mode": PropertySpec<DmaMode, DmaMode>;
} = {
  host: property(str, { description: "PCI address of the host's device, example: 0000:01:00.0" }),
  sysfsdev: property(str, { description: "the same as a path, example: /sys/bus/pci/devices/0000:01:00.0" }),
  iommufd: property(str, { description: "id of the iommufd object" }),
  "enable-migration": property(onOffAuto, {
    default: "auto",
    description: "on: refused unless it can migrate; off: blocks migration",
  }),
  "migration-events": property(bool, {
    default: false,
    description: "on: QMP's VFIO_MIGRATION tells of each state that the device gets to",
  }),
  "x-device-dirty-page-tracking": property(onOffAuto, {
    default: "on",
    description: "off: the device's own log of its writes is not used",
  }),
  "x-dma-mode": property(oneOf("VfioDmaMode", DMA_MODES), {
    default: "hwpt",
    description: "hwpt: page tables of the VMM's making, with dirty bits; ioas: the host's kernel makes them",
  }),
};

export interface VfioPciConfig {
  readonly iommufdId: string;
  readonly assignment: AssignmentOptions;
  readonly tellsStates: boolean;
}

/** Throws OptionError. */
export function readVfioPciConfig(given: Readonly<Record<string, unknown>>, subject: string): VfioPciConfig {
  const values = readProperties("vfio-pci", vfioPciProperties, given, subject);
  const { host, sysfsdev, iommufd } = values;
  const wrong = (message: string): OptionError => new OptionError("badValue", message, { subject });
  if ((host === undefined) === (sysfsdev === undefined)) {
    throw wrong("vfio-pci takes either host=ADDRESS or sysfsdev=PATH");
  }
  if (iommufd === undefined) {
    throw wrong("vfio-pci needs iommufd=ID, and -object iommufd,id=ID,host=software:FILE; groups are not used");
  }
  return {
    iommufdId: iommufd,
    tellsStates: values["migration-events"],
    assignment: {
      name: host === undefined ? nameOfPath(sysfsdev!) : withDomain(host),
      mode: values["x-dma-mode"],
      mayLog: values["x-device-dirty-page-tracking"] !== "off",
      migration: values["enable-migration"],
    },
  };
}

/** `01:00.0` is in domain 0. */
function withDomain(address: string): string {
  return /^[0-9a-f]{2}:/i.test(address) ? `0000:${address}` : address;
}

/** The last part: an address, or a mediated device's name. */
function nameOfPath(path: string): string {
  return (
    path
      .split("/")
      .filter((part) => part !== "")
      .at(-1) ?? ""
  );
}
