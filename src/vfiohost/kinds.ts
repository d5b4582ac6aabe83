// The kinds of device that there are, and how each is made.
import type { TimerPort } from "../base/index.ts";
import { DmaEngine, dmaEngineInfo, dmaEngineProperties } from "../device/dma-engine/index.ts";
import type { PciDevice, PciPorts } from "../device/pci/index.ts";
import { readProperties } from "../object/index.ts";
import type { VfioDeviceDescription, VfioDeviceKind } from "./port.ts";

export interface MakeDeviceOptions {
  readonly description: VfioDeviceDescription;
  readonly timers: TimerPort;
  readonly ports: PciPorts;
}

export interface DeviceKind extends VfioDeviceKind {
  /** Throws OptionError for a property. */
  make(options: MakeDeviceOptions): PciDevice;
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
    const { memory, vectors } = readProperties(dmaEngineInfo.typeName, dmaEngineProperties, properties, name);
    return new DmaEngine({ name, memoryBytes: memory, vectors, timers, ports });
  },
};

export const builtInKinds: readonly DeviceKind[] = [dmaEngine];
