// DEVICE_FEATURE: which of its features a device has, by probing, and what they get and set
// (drivers/vfio/vfio_main.c of Linux 7.2).
import {
  Errno,
  VfioDeviceFeature,
  VfioDeviceFeatureFlag,
  VfioDeviceFeatureMigDataSize,
  VfioDeviceFeatureMigration,
  VfioDeviceFeatureMigState,
  VfioFeature,
  VfioMigrationFlag,
} from "../iommufd/index.ts";
import { checkFeature, type FeatureRequest } from "./check-feature.ts";
import type { VfioDevice } from "./device.ts";
import type { DeviceCall } from "./device-call.ts";
import { reportLog, startLog, stopLog } from "./log-feature.ts";

const { MASK, GET, SET, PROBE } = VfioDeviceFeatureFlag;
const NO_FD = -1;

export function deviceFeature(device: VfioDevice, call: DeviceCall): number {
  const headBytes = VfioDeviceFeature.lengthBytes;
  const header = call.request(VfioDeviceFeature, headBytes);
  if (typeof header === "number") return header;
  const { flags, argsz } = header;
  if ((flags & ~(MASK | GET | SET | PROBE)) !== 0) return -Errno.EINVAL;
  if ((flags & PROBE) === 0 && (flags & SET) !== 0 && (flags & GET) !== 0) return -Errno.EINVAL;
  const request: FeatureRequest = { index: flags & MASK, flags, dataBytes: argsz - headBytes };
  const payload = call.inside(headBytes);
  switch (request.index) {
    case VfioFeature.MIGRATION:
      return migrationFlags(device, payload, request);
    case VfioFeature.MIG_DEVICE_STATE:
      return deviceState(device, payload, request);
    case VfioFeature.MIG_DATA_SIZE:
      return dataSize(device, payload, request);
    case VfioFeature.MIG_PRECOPY_INFOv2:
      return precopyReinit(device, request);
    case VfioFeature.DMA_LOGGING_START:
      return startLog(device, payload, request);
    case VfioFeature.DMA_LOGGING_STOP:
      return stopLog(device, request);
    case VfioFeature.DMA_LOGGING_REPORT:
      return reportLog(device, payload, request);
    default:
      return device.driver.feature?.(payload, request) ?? -Errno.ENOTTY;
  }
}

function migrationFlags({ migrating }: VfioDevice, call: DeviceCall, request: FeatureRequest): number {
  if (migrating === undefined) return -Errno.ENOTTY;
  const layout = VfioDeviceFeatureMigration;
  return checkFeature(request, GET, layout.lengthBytes) ?? call.reply(layout, { flags: BigInt(migrating.flags) });
}

function deviceState({ migrating, memory }: VfioDevice, call: DeviceCall, request: FeatureRequest): number {
  if (migrating === undefined) return -Errno.ENOTTY;
  const layout = VfioDeviceFeatureMigState;
  const answer = checkFeature(request, GET | SET, layout.lengthBytes);
  if (answer !== undefined) return answer;
  const values = call.values(layout);
  if (typeof values === "number") return values;
  if ((request.flags & GET) !== 0) {
    return call.reply(layout, { device_state: migrating.state, data_fd: NO_FD });
  }
  const result = migrating.setState(values.device_state);
  if (result === undefined || typeof result === "number") {
    // Also a refusal is written back.
    const rc = call.reply(layout, { ...values, data_fd: NO_FD });
    return rc < 0 ? rc : (result ?? 0);
  }
  const fd = memory.failAt("descriptor") ? -Errno.EMFILE : call.caller.files.install(result);
  if (fd < 0) {
    result.release();
    return fd;
  }
  const rc = call.reply(layout, { ...values, data_fd: fd });
  if (rc < 0) call.caller.files.close(fd);
  return rc;
}

function dataSize({ migrating }: VfioDevice, call: DeviceCall, request: FeatureRequest): number {
  if (migrating === undefined) return -Errno.ENOTTY;
  const layout = VfioDeviceFeatureMigDataSize;
  const answer = checkFeature(request, GET, layout.lengthBytes);
  return answer ?? call.reply(layout, { stop_copy_length: BigInt(migrating.stopCopyBytes) });
}

function precopyReinit({ migrating }: VfioDevice, request: FeatureRequest): number {
  // Unlike with other features, not to have pre-copy is EINVAL.
  if (migrating === undefined || (migrating.flags & VfioMigrationFlag.PRE_COPY) === 0) return -Errno.EINVAL;
  const answer = checkFeature(request, SET, 0);
  if (answer !== undefined) return answer;
  migrating.tellsReinit = true;
  return 0;
}
