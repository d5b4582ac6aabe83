// How a host description becomes devices: kinds that exist, a device as it is described, and the node that programs open.
import type { DescribedUnit, DeviceGroup, ReservedRegion } from "../iommufd/index.ts";
import type { PropertyTable } from "../object/index.ts";

/** `stop-copy` is the least; the others need it. */
export type MigrationAbility = "stop-copy" | "p2p" | "pre-copy";

/** What can stand in a host description under `kind`. */
export interface VfioDeviceKind {
  /** `dma-engine` */
  readonly name: string;
  readonly description: string;
  /** `pci`: behind a unit, named by its address. `mdev`: no unit and no group; it works through access objects. */
  readonly bus: "pci" | "mdev";
  /** The most that a device of this kind can be given. */
  readonly migration: readonly MigrationAbility[];
  readonly dmaLog: boolean;
  /** What else a description may say. */
  readonly properties: PropertyTable;
}

/** One device, as a description has it. */
export interface VfioDeviceDescription {
  /** A PCI address (`0000:01:00.0`) for the bus `pci`, a name without slash for `mdev`. */
  readonly name: string;
  readonly kind: string;
  /** Default: none. */
  readonly migration?: readonly MigrationAbility[];
  /** Whether the device itself can log what it writes. Default: no. */
  readonly dmaLog?: boolean;
  /** Values for the kind's properties. */
  readonly properties?: Readonly<Record<string, unknown>>;
}

/** Where a PCI device stands. */
export interface VfioPlacement {
  readonly unit: DescribedUnit;
  readonly group: DeviceGroup;
  readonly reserved?: readonly ReservedRegion[];
}

/** A device file of the host. */
export interface VfioDeviceNode {
  /** `/dev/vfio/devices/vfio0`; numbered in the order of making. */
  readonly path: string;
  readonly name: string;
  readonly kind: VfioDeviceKind;
  readonly migration: readonly MigrationAbility[];
  readonly dmaLog: boolean;
  /** Undefined for a mediated device. */
  readonly placement: VfioPlacement | undefined;
  /** Whether a program has it bound. */
  readonly isOpen: boolean;
  /** Asks the program to give the device back (the interrupt REQ); false when it does not listen. */
  requestBack(): boolean;
  /** Tells the program of an error of the device (the interrupt ERR); false when it does not listen. */
  reportError(): boolean;
}

/** What programs hold through device files; all zero when every descriptor is closed and every mapping gone. */
export interface VfioAudit {
  readonly boundDevices: number;
  readonly eventFds: number;
  readonly mappings: number;
  readonly dataFiles: number;
}

/** A DMA access that a unit refused, as the host's log has it. */
export interface VfioDmaFault {
  readonly device: string;
  readonly iova: bigint;
  readonly pasid: number;
  readonly write: boolean;
  /** `unmapped`: nothing there, or no domain; `forbidden`: the mapping lacks the right. */
  readonly reason: "unmapped" | "forbidden";
}

/** The VFIO half of a software host. Its files are among those of the `SoftwareHost` that it was made for. */
export interface VfioHost {
  /** What `add` accepts. */
  readonly kinds: readonly VfioDeviceKind[];
  readonly devices: readonly VfioDeviceNode[];
  /** The newest faults, at most a thousand, oldest first. */
  readonly faults: readonly VfioDmaFault[];
  /**
   * Makes a device; `placement` is for the bus `pci` and must be absent for `mdev`. Throws VfioHostError, or OptionError
   * for a property.
   */
  add(description: VfioDeviceDescription, placement?: VfioPlacement): VfioDeviceNode;
  /** Resolves when no device waits for its disk. */
  drain(): Promise<void>;
  audit(): VfioAudit;
}
