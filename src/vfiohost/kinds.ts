// The kinds of device that there are, and how each is made.
import type { TimerPort } from "../base/index.ts";
import { DmaEngine, dmaEngineInfo, dmaEngineProperties, readDmaEngineConfig } from "../device/dma-engine/index.ts";
import { NvmeController, nvmeInfo, readNvmeConfig, type NamespaceOptions, type WorkPort } from "../device/index.ts";
import { MdevSerial, mdevSerialInfo } from "../device/mdev-serial/index.ts";
import type { PciDevice, PciPorts } from "../device/pci/index.ts";
import { oneOf, property, readProperties, type PropertySpec } from "../object/index.ts";
import { VfioHostError } from "./errors.ts";
import type { VfioDeviceDescription, VfioDeviceKind } from "./port.ts";

/** The disk that a description calls `drive`, for the device `user`. Throws a typed error when there is none. */
export type DiskSource = (drive: string, user: string) => NamespaceOptions["node"];

export interface MakeDeviceOptions {
  readonly description: VfioDeviceDescription;
  readonly timers: TimerPort;
  readonly ports: PciPorts;
  /** Absent: the host has no disks. */
  readonly disks?: DiskSource | undefined;
  /** For devices that wait for files of the host. */
  readonly work?: WorkPort | undefined;
}

export interface DeviceKind extends VfioDeviceKind {
  /** Throws OptionError for a property. */
  make(options: MakeDeviceOptions): PciDevice;
}

/** What every mediated device can be told. */
export const mediatedProperties: { readonly dma: PropertySpec<"pin" | "copy", "pin" | "copy"> } = {
  dma: property(oneOf("MediatedDma", ["pin", "copy"]), {
    default: "pin",
    description: "whether pages stay pinned once they are touched, or each access is a copy",
  }),
};

/** Whether a mediated device of this description pins pages. Throws OptionError for a property. */
export function pinsPages(kind: DeviceKind, { name, properties = {} }: VfioDeviceDescription): boolean {
  return readProperties(kind.name, { ...kind.properties, ...mediatedProperties }, properties, name).dma === "pin";
}

const dmaEngine: DeviceKind = {
  name: dmaEngineInfo.typeName,
  description: dmaEngineInfo.description,
  bus: "pci",
  migration: ["stop-copy", "p2p", "pre-copy"],
  dmaLog: true,
  properties: dmaEngineProperties,
  make({ description, timers, ports }) {
    const { name, properties = {} } = description;
    return new DmaEngine({ name, ...readDmaEngineConfig(properties, name), timers, ports });
  },
};

const mdevSerial: DeviceKind = {
  name: mdevSerialInfo.typeName,
  description: mdevSerialInfo.description,
  bus: "mdev",
  migration: ["stop-copy", "p2p", "pre-copy"],
  dmaLog: true,
  properties: mediatedProperties,
  make: ({ description, timers, ports }) => new MdevSerial({ name: description.name, timers, ports }),
};

/** What it answers depends on the disk, so that a migration needs the same disk on the other side. */
const nvme: DeviceKind = {
  name: nvmeInfo.typeName,
  description: nvmeInfo.description,
  bus: "pci",
  migration: ["stop-copy", "p2p", "pre-copy"],
  dmaLog: true,
  properties: nvmeInfo.properties,
  make({ description, timers, ports, disks, work }) {
    const { name, properties = {} } = description;
    if (properties["serial"] === undefined) {
      const message = `${name}: serial property not set; "serial" among its properties would do`;
      throw new VfioHostError("noSerial", message, { subject: name });
    }
    const config = readNvmeConfig(properties, name);
    const { drive, blockShift } = config;
    if (drive === undefined || disks === undefined) {
      const message = drive === undefined ? "It has no disk; drive= with the name of one would do" : NO_DISKS;
      throw new VfioHostError("noDisk", message, { subject: name });
    }
    const device = new NvmeController({ name, config, timers, ports, work });
    device.addNamespace({ node: disks(drive, name), blockShift });
    return device;
  },
};
const NO_DISKS =
  "This host has no disks; that of a machine (-object iommufd with host=software:FILE) has the machine's";

/** The kinds that a host description may name. */
export const builtInKinds: readonly DeviceKind[] = [dmaEngine, mdevSerial, nvme];
