// DEVICE_FEATURE: which of its features a device has, by probing, and what they get and set
// (drivers/vfio/vfio_main.c of Linux 7.2).
import { Errno, VfioDeviceFeature, VfioDeviceFeatureFlag } from "../iommufd/index.ts";
import type { FeatureRequest } from "./check-feature.ts";
import type { VfioDevice } from "./device.ts";
import type { DeviceCall } from "./device-call.ts";

const { MASK, GET, SET, PROBE } = VfioDeviceFeatureFlag;

export function deviceFeature(device: VfioDevice, call: DeviceCall): number {
  const headBytes = VfioDeviceFeature.lengthBytes;
  const header = call.request(VfioDeviceFeature, headBytes);
  if (typeof header === "number") return header;
  const { flags, argsz } = header;
  if ((flags & ~(MASK | GET | SET | PROBE)) !== 0) return -Errno.EINVAL;
  if ((flags & PROBE) === 0 && (flags & SET) !== 0 && (flags & GET) !== 0) return -Errno.EINVAL;
  const request: FeatureRequest = { index: flags & MASK, flags, dataBytes: argsz - headBytes };
  return device.driver.feature?.(call.inside(headBytes), request) ?? -Errno.ENOTTY;
}
