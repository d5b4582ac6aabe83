// What can be plugged into the board's PCI buses, by QEMU's driver names.
import { DmaEngine, dmaEngineInfo, readDmaEngineConfig } from "../../device/dma-engine/index.ts";
import { Edu, eduInfo, NvmeController, nvmeInfo, readEduConfig, readNvmeConfig } from "../../device/index.ts";
import { pciProperties, readRootPortConfig, RootPort, rootPortInfo } from "../../device/pci/index.ts";
import { readVfioPciConfig, refusedVfioPci, VfioPci, vfioPciProperties } from "../../vfio/index.ts";
import { MachineError } from "../errors.ts";
import type { PciDeviceType } from "./pci-device-type.ts";
import { virtioPciTypes } from "./virtio-pci.ts";

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
