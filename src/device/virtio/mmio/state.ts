// Saved state of the transport's own registers; the device plugged into the slot has a state of its own.
import { describeState, field, u32 } from "../../../state/index.ts";
import type { DescriptionOf } from "../../../state/index.ts";

export type VirtioMmioState = {
  deviceFeaturesSel: number;
  driverFeaturesSel: number;
  queueSel: number;
  interruptStatus: number;
};

export const virtioMmioState: DescriptionOf<VirtioMmioState> = describeState("virtio-mmio", 1, [
  field("deviceFeaturesSel", u32),
  field("driverFeaturesSel", u32),
  field("queueSel", u32),
  field("interruptStatus", u32),
]);
