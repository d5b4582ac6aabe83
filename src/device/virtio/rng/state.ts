// Saved state of a virtio entropy device.
import { describeState, f64, field, optional } from "../../../state/index.ts";
import type { DescriptionOf } from "../../../state/index.ts";
import { commonFields, type CommonState } from "../state.ts";

export type VirtioRngState = CommonState & {
  /** Bytes that this period may still give; Infinity without a limit. */
  quotaBytes: number;
  /** On the machine's virtual clock; undefined while no period has begun. */
  periodEndNs: number | undefined;
};

export const virtioRngState: DescriptionOf<VirtioRngState> = describeState("virtio-rng", 1, [
  ...commonFields,
  field("quotaBytes", f64),
  field("periodEndNs", optional(f64)),
]);
