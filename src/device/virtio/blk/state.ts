// Saved state of a virtio block device. It is saved after drain(): no request is in flight.
import { bool, describeState, field } from "../../../state/index.ts";
import type { DescriptionOf } from "../../../state/index.ts";
import { commonFields, type CommonState } from "../state.ts";

export type VirtioBlkState = CommonState & {
  /** The cache mode that the driver may change. */
  writeback: boolean;
};

export const virtioBlkState: DescriptionOf<VirtioBlkState> = describeState("virtio-blk", 1, [
  ...commonFields,
  field("writeback", bool),
]);
