// Properties that every virtio device has at QEMU, and their values.
import { bool, property, type PropertySpec } from "../../object/index.ts";
import type { RingOptions } from "./device.ts";

export const ringProperties: {
  readonly indirect_desc: PropertySpec<boolean, boolean>;
  readonly event_idx: PropertySpec<boolean, boolean>;
} = {
  indirect_desc: property(bool, { default: true, description: "on/off" }),
  event_idx: property(bool, { default: true, description: "on/off" }),
};

export function ringOptions(values: { readonly indirect_desc: boolean; readonly event_idx: boolean }): RingOptions {
  return { indirectDescriptors: values.indirect_desc, eventIdx: values.event_idx };
}
