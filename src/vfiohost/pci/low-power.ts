// The low-power features: the device may sleep between calls; whatever wakes it can be told to an eventfd.
import { Errno, VfioDeviceFeatureFlag, VfioDeviceLowPowerEntryWithWakeup, VfioFeature } from "../../iommufd/index.ts";
import { checkFeature, type FeatureRequest } from "../check-feature.ts";
import type { DeviceCall } from "../device-call.ts";
import type { PciDriver } from "./pci-driver.ts";

const { SET } = VfioDeviceFeatureFlag;

/** Features of vfio-pci itself; -ENOTTY for those that it does not have. */
export function lowPowerFeature(driver: PciDriver, call: DeviceCall, request: FeatureRequest): number {
  switch (request.index) {
    case VfioFeature.LOW_POWER_ENTRY: {
      const answer = checkFeature(request, SET, 0);
      if (answer !== undefined) return answer;
      return enter(driver);
    }
    case VfioFeature.LOW_POWER_ENTRY_WITH_WAKEUP:
      return enterWithWakeup(driver, call, request);
    case VfioFeature.LOW_POWER_EXIT: {
      const answer = checkFeature(request, SET, 0);
      if (answer !== undefined) return answer;
      driver.endLowPower();
      return 0;
    }
    default:
      return -Errno.ENOTTY;
  }
}

function enter(driver: PciDriver): number {
  if (driver.lowPower !== undefined) return -Errno.EINVAL;
  driver.beginLowPower(undefined);
  return 0;
}

function enterWithWakeup(driver: PciDriver, call: DeviceCall, request: FeatureRequest): number {
  const layout = VfioDeviceLowPowerEntryWithWakeup;
  const answer = checkFeature(request, SET, layout.lengthBytes);
  if (answer !== undefined) return answer;
  const entry = call.values(layout);
  if (typeof entry === "number") return entry;
  if (entry.wakeup_eventfd < 0) return -Errno.EINVAL;
  const wakeup = driver.counters.holdEventFd(call.caller, entry.wakeup_eventfd);
  if (typeof wakeup === "number") return wakeup;
  if (driver.lowPower !== undefined) {
    wakeup.release();
    return -Errno.EINVAL;
  }
  driver.beginLowPower(wakeup);
  return 0;
}
