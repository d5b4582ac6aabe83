// Resetting a whole bus: which functions that takes along, and whether the caller may
// (drivers/vfio/pci/vfio_pci_core.c of Linux 7.2).
import {
  Errno,
  VfioPciDependentDevice,
  VfioPciHotReset,
  VfioPciHotResetFlag,
  VfioPciHotResetInfo,
} from "../../iommufd/index.ts";
import type { DeviceCall } from "../device-call.ts";
import type { PciDriver } from "./pci-driver.ts";

/** Owned by the caller through its group, without an id. */
const OWNED = 0;
const NOT_OWNED = -1;

/** The device's id in the context of `caller`'s device, or one of the above. */
function deviceIdFor(caller: PciDriver, device: PciDriver): number {
  const { context } = caller.bound!;
  if (device.bound?.context === context) return device.bound.id;
  return context.groups.has(device.physical.group) ? OWNED : NOT_OWNED;
}

export function hotResetInfo(driver: PciDriver, call: DeviceCall): number {
  const headBytes = VfioPciHotResetInfo.lengthBytes;
  const request = call.request(VfioPciHotResetInfo, headBytes);
  if (typeof request === "number") return request;
  const { argsz } = request;
  const together = driver.bus.resetTogether(driver);
  if (together === undefined) return -Errno.ENODEV;
  const step = VfioPciDependentDevice.lengthBytes;
  const count = together.length;
  if (count > Math.floor((argsz - headBytes) / step)) {
    return call.reply(VfioPciHotResetInfo, { argsz, flags: 0, count }) < 0 ? -Errno.EFAULT : -Errno.ENOSPC;
  }
  const entries = new Uint8Array(count * step);
  let flags: number = VfioPciHotResetFlag.DEV_ID | VfioPciHotResetFlag.DEV_ID_OWNED;
  together.forEach((device, i) => {
    const id = deviceIdFor(driver, device);
    if (id === NOT_OWNED) flags &= ~VfioPciHotResetFlag.DEV_ID_OWNED;
    VfioPciDependentDevice.encode({ id, ...device.address }, entries, i * step);
  });
  if (call.write(headBytes, entries) < 0) return -Errno.EFAULT;
  return call.reply(VfioPciHotResetInfo, { argsz, flags, count });
}

/** Without group descriptors, which a device opened by its own file does not have. */
export function hotReset(driver: PciDriver, call: DeviceCall): number {
  const request = call.request(VfioPciHotReset, VfioPciHotReset.lengthBytes);
  if (typeof request === "number") return request;
  if (request.flags !== 0 || request.count !== 0) return -Errno.EINVAL;
  const together = driver.bus.resetTogether(driver);
  if (together === undefined) return -Errno.ENODEV;
  if (together.some((device) => deviceIdFor(driver, device) === NOT_OWNED)) return -Errno.EINVAL;
  if (driver.memory.failAt("reset")) return -Errno.EAGAIN;
  for (const device of together) device.resetNow();
  return 0;
}
