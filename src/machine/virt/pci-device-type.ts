// What the board asks of a driver name on PCI, and what it gives it.
import type { TimerPort } from "../../base/index.ts";
import type { Device, DeviceTypeInfo, WorkPort } from "../../device/index.ts";
import type { BusFunction, PciPorts } from "../../device/pci/index.ts";
import type { VirtioContext } from "../../device/virtio/index.ts";
import type { Saveable } from "../../state/index.ts";
import type { IommufdBackend } from "../../vfio/index.ts";
import type { Given } from "./given.ts";
import type { PciPlace } from "./pci-slots.ts";
import type { VirtioParts } from "./virtio-devices.ts";

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
