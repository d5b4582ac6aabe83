// Virtio devices as PCI functions: the board's virtio devices behind the PCI transport, by QEMU's driver names.
import type { DeviceTypeInfo } from "../../device/index.ts";
import {
  DeviceId,
  MAX_VECTORS,
  readVirtioBlkConfig,
  readVirtioPciConfig,
  readVirtioSerialConfig,
  virtioBlkInfo,
  VirtioPci,
  virtioPciProperties,
  virtioRngInfo,
  virtioSerialInfo,
} from "../../device/virtio/index.ts";
import type { Given } from "./given.ts";
import type { PciDeviceType } from "./pci-device-type.ts";
import { slotDevices } from "./virtio-devices.ts";

interface VirtioFunction {
  readonly typeName: string;
  /** The device, as it is in a slot. */
  readonly slotInfo: DeviceTypeInfo;
  readonly deviceId: number;
  readonly classCode: number;
  /** QEMU's number of vectors, where none is given. */
  readonly vectors: (properties: Given["properties"], subject: string) => number;
}

const functions: readonly VirtioFunction[] = [
  {
    typeName: "virtio-blk-pci",
    slotInfo: virtioBlkInfo,
    deviceId: DeviceId.block,
    classCode: 0x01_00_00,
    vectors: (properties, subject) => readVirtioBlkConfig(properties, subject).queueCount + 1,
  },
  {
    typeName: "virtio-serial-pci",
    slotInfo: virtioSerialInfo,
    deviceId: DeviceId.console,
    classCode: 0x07_80_00,
    vectors: (properties, subject) => readVirtioSerialConfig(properties, subject).maxPorts + 1,
  },
  {
    typeName: "virtio-rng-pci",
    slotInfo: virtioRngInfo,
    deviceId: DeviceId.entropy,
    classCode: 0x00_ff_00,
    vectors: () => 2,
  },
];

export const virtioPciTypes: readonly PciDeviceType[] = functions.map((type) => ({
  info: {
    typeName: type.typeName,
    description: type.slotInfo.description,
    bus: "PCI",
    properties: { ...type.slotInfo.properties, ...virtioPciProperties },
  },
  make({ properties, subject }, parts) {
    const { name, place, ports } = parts;
    const isTransport = ([key]: [string, unknown]): boolean => Object.hasOwn(virtioPciProperties, key);
    const entries = Object.entries(properties);
    const transport = Object.fromEntries(entries.filter(isTransport));
    const own = Object.fromEntries(entries.filter((entry) => !isTransport(entry)));
    const { vectors } = readVirtioPciConfig(type.typeName, transport, subject);
    const { typeName, deviceId, classCode, slotInfo } = type;
    const pci = new VirtioPci({
      ...{ typeName, name, deviceId, classCode, ports },
      vectors: vectors ?? Math.min(type.vectors(own, subject), MAX_VECTORS),
      isEndpoint: place.port !== undefined,
    });
    const { make } = slotDevices.find(({ info }) => info === slotInfo)!;
    pci.plug(make({ properties: own, subject, name }, parts, { ...parts.context(name), dma: pci.dma }));
    return pci;
  },
}));
