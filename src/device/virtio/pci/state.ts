// Saved state of the transport's own registers; function and device have states of their own.
import { describeState, field, list, u16, u32, u8, type DescriptionOf } from "../../../state/index.ts";

export type VirtioPciState = {
  deviceFeaturesSel: number;
  driverFeaturesSel: number;
  queueSel: number;
  interruptStatus: number;
  configVector: number;
  queueVectors: number[];
};

export const virtioPciState: DescriptionOf<VirtioPciState> = describeState("virtio-pci", 1, [
  field("deviceFeaturesSel", u32),
  field("driverFeaturesSel", u32),
  field("queueSel", u16),
  field("interruptStatus", u8),
  field("configVector", u16),
  field("queueVectors", list(u16)),
]);
