// Joins each row of the ioctl table with the code that answers it.
import { iommufdIoctls, type IommufdIoctl, type IommufdRequest } from "../uapi/index.ts";
import type { Call } from "./call.ts";
import type { IoctlHandler } from "./context.ts";
import { faultQueueAlloc } from "./fault-queue.ts";
import { getDirtyBitmap, getHwInfo, hwptAlloc, hwptInvalidate, setDirtyTracking } from "./hwpt-calls.ts";
import * as ioas from "./ioas-calls.ts";
import { hwQueueAlloc, vdeviceAlloc, veventqAlloc, viommuAlloc } from "./viommu.ts";

const run: { readonly [K in IommufdIoctl]: (call: Call<IommufdRequest<K>>) => number } = {
  destroy: (call) => call.context.objects.remove(call.request.id),
  ioasAlloc: ioas.ioasAlloc,
  ioasAllowIovas: ioas.ioasAllowIovas,
  ioasCopy: ioas.ioasCopy,
  ioasIovaRanges: ioas.ioasIovaRanges,
  ioasMap: ioas.ioasMap,
  ioasUnmap: ioas.ioasUnmap,
  option: ioas.option,
  vfioIoas: ioas.vfioIoas,
  hwptAlloc,
  getHwInfo,
  hwptSetDirtyTracking: setDirtyTracking,
  hwptGetDirtyBitmap: getDirtyBitmap,
  hwptInvalidate,
  faultQueueAlloc,
  ioasMapFile: ioas.ioasMapFile,
  viommuAlloc,
  vdeviceAlloc,
  ioasChangeProcess: ioas.ioasChangeProcess,
  veventqAlloc,
  hwQueueAlloc,
};

export const iommufdHandlers: readonly IoctlHandler[] = (Object.keys(iommufdIoctls) as IommufdIoctl[]).map((name) => ({
  row: iommufdIoctls[name],
  // The dispatcher decodes with the row's own layout, so each function gets the request it declares.
  run: run[name] as IoctlHandler["run"],
}));
