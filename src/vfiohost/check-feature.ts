// What every feature checks alike (vfio_check_feature of Linux 7.2).
import { Errno, VfioDeviceFeatureFlag } from "../iommufd/index.ts";

const { GET, SET, PROBE } = VfioDeviceFeatureFlag;

/** One DEVICE_FEATURE call; the payload begins at the call's address. */
export interface FeatureRequest {
  readonly index: number;
  readonly flags: number;
  /** Length of the payload, as the caller has it. */
  readonly dataBytes: number;
}

/** Undefined when the feature is to be carried out; else the answer: zero for a successful probe, or a negative errno. */
export function checkFeature(request: FeatureRequest, supported: number, leastBytes: number): number | undefined {
  const asked = request.flags & (GET | SET);
  if ((asked & ~supported) !== 0) return -Errno.EINVAL;
  if ((request.flags & PROBE) !== 0) return 0;
  if (asked === 0 || request.dataBytes < leastBytes) return -Errno.EINVAL;
  return undefined;
}
