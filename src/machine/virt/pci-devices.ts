// What can be plugged into the board's PCI buses, by QEMU's driver names.
import type { TimerPort } from "../../base/index.ts";
import { DmaEngine, dmaEngineInfo, readDmaEngineConfig } from "../../device/dma-engine/index.ts";
import {
  Edu,
  eduInfo,
  NvmeController,
  nvmeInfo,
  readEduConfig,
  readNvmeConfig,
  type DeviceTypeInfo,
  type WorkPort,
} from "../../device/index.ts";
import {
  pciProperties,
  readRootPortConfig,
  RootPort,
  rootPortInfo,
  type BusFunction,
  type PciPorts,
} from "../../device/pci/index.ts";
import type { Device } from "../../device/index.ts";
import type { VirtioContext } from "../../device/virtio/index.ts";
import type { Saveable } from "../../state/index.ts";
import {
  readVfioPciConfig,
  refusedVfioPci,
  VfioPci,
  vfioPciProperties,
  type IommufdBackend,
} from "../../vfio/index.ts";
import { MachineError } from "../errors.ts";
import type { Given } from "./given.ts";
import type { PciPlace } from "./pci-slots.ts";
import type { VirtioParts } from "./virtio-devices.ts";
import { virtioPciTypes } from "./virtio-pci.ts";

/** A device in a slot of the board: one of ours, or one that is served by somebody else. */
export interface PluggedDevice extends Device {
  readonly pci: BusFunction & Saveable;
  /** Memory of the device that belongs to its state besides `saveState`. */
  readonly localMemory?: Uint8Array;
  /** A device behind it, with saved state of its own. */
  readonly backend?: (Saveable & { readonly typeName: string }) | undefined;
  /** Resolves when it has nothing in flight. */
  drain?(): Promise<void>;
}

/** What a PCI device is given, besides its properties. */
export interface PciParts extends VirtioParts {
  readonly name: string;
  readonly place: PciPlace;
  readonly ports: PciPorts;
  readonly timers: TimerPort;
  /** By id. */
  readonly iommufds: ReadonlyMap<string, IommufdBackend>;
  readonly work?: WorkPort | undefined;
  /** What the virtio device named so is given. */
  readonly context: (name: string) => VirtioContext;
  /** Of a root port. Throws MachineError where another one has it. */
  readonly claimSlotNumber: (chassis: number, slot: number) => void;
}

export interface PciDeviceType {
  /** With the properties of all PCI devices. */
  readonly info: DeviceTypeInfo;
  make(given: Given, parts: PciParts): PluggedDevice;
}

const types: readonly PciDeviceType[] = [
  {
    info: eduInfo,
    make: ({ properties, subject }, parts) => new Edu({ ...parts, ...readEduConfig(properties, subject) }),
  },
  {
    info: dmaEngineInfo,
    make: ({ properties, subject }, parts) => new DmaEngine({ ...parts, ...readDmaEngineConfig(properties, subject) }),
  },
  {
    info: nvmeInfo,
    make({ properties, subject }, { name, timers, work, ports, backends }) {
      const config = readNvmeConfig(properties, subject);
      const nvme = new NvmeController({ name, config, timers, work, ports });
      if (config.drive === undefined) return nvme;
      nvme.addNamespace({ node: backends.blockNode(config.drive, name), blockShift: config.blockShift });
      return nvme;
    },
  },
  {
    info: rootPortInfo,
    make({ properties, subject }, parts) {
      const { name, place, ports } = parts;
      const config = readRootPortConfig(properties, subject);
      parts.claimSlotNumber(config.chassis, config.slot);
      return new RootPort({ ...config, name, busName: name, primary: place.bus, at: place.at, ports });
    },
  },
  {
    info: {
      typeName: "vfio-pci",
      description: "a device of a host, assigned through IOMMUFD",
      bus: "PCI",
      properties: vfioPciProperties,
      refusedProperties: refusedVfioPci,
    },
    make({ properties, subject }, { name, ports, iommufds }) {
      const { iommufdId, assignment, tellsStates } = readVfioPciConfig(properties, subject);
      const backend = iommufds.get(iommufdId);
      if (backend === undefined) {
        const known = iommufds.size === 0 ? "there is none" : `known are ${[...iommufds.keys()].join(", ")}`;
        const message = `There is no iommufd object "${iommufdId}" for "${subject}"; ${known}`;
        throw new MachineError("unknownBackend", message, { subject });
      }
      const { events } = backend.host;
      return new VfioPci({ name, assignment: backend.assign(assignment), ports, events, tellsStates });
    },
  },
];

export const pciDeviceTypes: readonly PciDeviceType[] = [...types, ...virtioPciTypes].map((type) => ({
  ...type,
  info: { ...type.info, properties: { ...type.info.properties, ...pciProperties } },
}));
