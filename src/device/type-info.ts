// What `-device help` and `-device X,help` list about a device type.
import type { PropertyTable } from "../object/index.ts";

export interface DeviceTypeInfo {
  /** As an operator writes it: `virtio-blk-device`. */
  readonly typeName: string;
  readonly description: string;
  /** The bus it is plugged into; absent for devices that only a board makes. */
  readonly bus?: string;
  readonly properties: PropertyTable;
  /** Properties that QEMU's device has besides, with the reason why this one has not. */
  readonly refusedProperties?: Readonly<Record<string, string>>;
}
