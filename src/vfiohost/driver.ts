// What stands behind a device file: vfio-pci for PCI devices, a driver of its own for mediated ones.
import type { Caller, HostMapping, IommufdContext, MapRequest } from "../iommufd/index.ts";
import type { FeatureRequest } from "./check-feature.ts";
import type { DeviceCall, InfoCapability } from "./device-call.ts";

export interface RegionAnswer {
  readonly flags: number;
  readonly sizeBytes: number;
  /** In the device file; what the caller had there stays when absent. */
  readonly offset?: bigint;
  readonly capabilities: readonly InfoCapability[];
}

/** A region's bytes that a caller may map. */
export interface MappableArea {
  /** Byte offset in the region. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Results are zero or more, or a negative errno. */
export interface DeviceDriver {
  /** Takes the device for a context; its id there. */
  bind(context: IommufdContext): number;
  /** Detaches whatever is attached, and gives the device back. */
  unbind(): void;
  /** Attaches, or moves when it is attached; the id of what it is attached to. */
  attach(ptId: number): number;
  detach(): void;
  // Absent for a device that has no PASIDs (EOPNOTSUPP).
  attachPasid?(pasid: number, ptId: number): number;
  detachPasid?(pasid: number): void;
  /** After `bind`. */
  open(): number;
  close(): void;
  /** Before any other call or access: a device in low power wakes up. */
  wake?(): void;
  /** The ioctls that are the driver's own, by number. */
  ioctl(call: DeviceCall, nr: number): number;
  region(index: number): RegionAnswer | number;
  /** A feature that is the driver's own; the call's address is that of the payload. */
  feature?(call: DeviceCall, request: FeatureRequest): number;
  read(caller: Caller, offset: bigint, va: bigint, lengthBytes: number): number;
  write(caller: Caller, offset: bigint, va: bigint, lengthBytes: number): number;
  /** Tells the user of an error, or that the host wants the device back; false when nobody listens. */
  notify?(which: "error" | "request"): boolean;
  mmap(request: MapRequest): HostMapping | number;
}
