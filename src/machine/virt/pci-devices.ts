// What can be plugged into the board's PCI buses, by QEMU's driver names.
import type { TimerPort } from "../../base/index.ts";
import { DmaEngine, dmaEngineInfo, readDmaEngineConfig } from "../../device/dma-engine/index.ts";
import { Edu, eduInfo, readEduConfig, type DeviceTypeInfo } from "../../device/index.ts";
import {
  pciProperties,
  readRootPortConfig,
  RootPort,
  rootPortInfo,
  type PciDevice,
  type PciPorts,
} from "../../device/pci/index.ts";
import type { Given } from "./given.ts";
import type { PciPlace } from "./pci-slots.ts";

/** What a PCI device is given, besides its properties. */
export interface PciParts {
  readonly name: string;
  readonly place: PciPlace;
  readonly ports: PciPorts;
  readonly timers: TimerPort;
  /** Of a root port. Throws MachineError where another one has it. */
  readonly claimSlotNumber: (chassis: number, slot: number) => void;
}

export interface PciDeviceType {
  /** With the properties of all PCI devices. */
  readonly info: DeviceTypeInfo;
  make(given: Given, parts: PciParts): PciDevice;
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
    info: rootPortInfo,
    make({ properties, subject }, parts) {
      const { name, place, ports } = parts;
      const config = readRootPortConfig(properties, subject);
      parts.claimSlotNumber(config.chassis, config.slot);
      return new RootPort({ ...config, name, busName: name, primary: place.bus, at: place.at, ports });
    },
  },
];

export const pciDeviceTypes: readonly PciDeviceType[] = types.map((type) => ({
  ...type,
  info: { ...type.info, properties: { ...type.info.properties, ...pciProperties } },
}));
