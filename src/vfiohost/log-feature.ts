// The features by which a device logs what it writes (drivers/vfio/vfio_main.c of Linux 7.2).
import {
  DirtyBitmap,
  Errno,
  MAX_LOG_RANGES,
  VfioDeviceFeatureDmaLoggingControl,
  VfioDeviceFeatureDmaLoggingRange,
  VfioDeviceFeatureDmaLoggingReport,
  VfioDeviceFeatureFlag,
} from "../iommufd/index.ts";
import { checkFeature, type FeatureRequest } from "./check-feature.ts";
import type { VfioDevice } from "./device.ts";
import type { DeviceCall } from "./device-call.ts";
import { DmaLog, type LogRange } from "./dma-log.ts";

const { GET, SET } = VfioDeviceFeatureFlag;
const LEAST_PAGE = 4096n;

export function startLog({ log, memory }: VfioDevice, call: DeviceCall, request: FeatureRequest): number {
  if (log === undefined) return -Errno.ENOTTY;
  const layout = VfioDeviceFeatureDmaLoggingControl;
  const answer = checkFeature(request, SET, layout.lengthBytes);
  if (answer !== undefined) return answer;
  const control = call.values(layout);
  if (typeof control === "number") return control;
  const { num_ranges: count, page_size: wanted } = control;
  if (count === 0) return -Errno.EINVAL;
  if (count > MAX_LOG_RANGES) return -Errno.E2BIG;
  const ranges = readRanges(call, control.ranges, count, wanted);
  if (typeof ranges === "number") return ranges;
  if (log.isRunning) return -Errno.EINVAL;
  if (memory.failAt("log")) return -Errno.ENOMEM;
  const pageBytes = DmaLog.pageBytesFor(wanted);
  log.start(ranges, pageBytes);
  const rc = call.reply(layout, { ...control, page_size: pageBytes });
  if (rc < 0) log.stop();
  return rc;
}

/** Reads and checks range by range, as the kernel does: the first that is wrong decides. */
function readRanges(call: DeviceCall, va: bigint, count: number, pageBytes: bigint): LogRange[] | number {
  const layout = VfioDeviceFeatureDmaLoggingRange;
  const bytes = new Uint8Array(layout.lengthBytes);
  const below = BigInt.asUintN(64, pageBytes - 1n);
  const ranges: LogRange[] = [];
  for (let i = 0; i < count; i++) {
    if (!call.caller.memory.read(va + BigInt(i * layout.lengthBytes), bytes)) return -Errno.EFAULT;
    const { iova: start, length } = layout.decode(bytes);
    if ((start & below) !== 0n || (length & below) !== 0n) return -Errno.EINVAL;
    if (start + length >= 1n << 64n) return -Errno.EOVERFLOW;
    const last = BigInt.asUintN(64, start + length - 1n);
    if (ranges.some((r) => r.start <= last && start <= r.last)) return -Errno.EINVAL;
    ranges.push({ start, last });
  }
  return ranges;
}

export function stopLog({ log }: VfioDevice, request: FeatureRequest): number {
  if (log === undefined) return -Errno.ENOTTY;
  const answer = checkFeature(request, SET, 0);
  if (answer !== undefined) return answer;
  log.stop();
  return 0;
}

export function reportLog({ log, memory }: VfioDevice, call: DeviceCall, request: FeatureRequest): number {
  if (log === undefined) return -Errno.ENOTTY;
  const layout = VfioDeviceFeatureDmaLoggingReport;
  const answer = checkFeature(request, GET, layout.lengthBytes);
  if (answer !== undefined) return answer;
  const report = call.values(layout);
  if (typeof report === "number") return report;
  const { iova, length, page_size: pageBytes } = report;
  if (pageBytes < LEAST_PAGE || (pageBytes & (pageBytes - 1n)) !== 0n) return -Errno.EINVAL;
  if (iova + length >= 1n << 64n) return -Errno.EOVERFLOW;
  if (!log.isRunning) return -Errno.EINVAL;
  if (memory.failAt("log")) return -Errno.EIO;
  const bitmap = new DirtyBitmap(call.caller.memory, report.bitmap, iova, pageBytes);
  log.readAndClear(iova, length, (at, lengthBytes) => bitmap.set(at, lengthBytes));
  bitmap.flush();
  return 0;
}
