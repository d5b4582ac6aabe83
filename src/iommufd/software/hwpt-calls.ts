// The page table calls: allocation, dirty tracking, hardware information, invalidation.
import {
  Errno,
  GetDirtyBitmapFlag,
  HwCapability,
  HwInfoFlag,
  HwInfoType,
  HwptAllocFlag,
  HwptDataType,
  SetDirtyTrackingFlag,
  type IommufdRequest,
} from "../uapi/index.ts";
import { attachToHwpt, detachDevice, type BoundDevice } from "./bound-device.ts";
import type { Call } from "./call.ts";
import type { IommufdContext } from "./context.ts";
import { DirtyBitmap } from "./dirty-bitmap.ts";
import type { FaultQueue } from "./fault-queue.ts";
import type { NestedDomain } from "./domain.ts";
import { NestedHwpt, PagingHwpt, type HwPageTable } from "./hw-page-table.ts";
import { Ioas } from "./ioas.ts";
import { TOP } from "./iova-allocator.ts";
import { UserArray, UserData } from "./user-data.ts";
import { Viommu } from "./viommu.ts";

const ALL_FLAGS =
  HwptAllocFlag.NEST_PARENT | HwptAllocFlag.DIRTY_TRACKING | HwptAllocFlag.FAULT_ID_VALID | HwptAllocFlag.PASID;
/** How much of a caller's buffer is cleared at once. */
const ZERO_CHUNK = 0x1_0000;
const NESTED_FLAGS = HwptAllocFlag.FAULT_ID_VALID | HwptAllocFlag.PASID;

/**
 * A paging domain for a device, filled from its IOAS. Not yet published. With `attachPasid` the device is attached before
 * the domain is filled. A negative errno when it cannot be made; then nothing changed.
 */
export function allocatePagingHwpt(
  context: IommufdContext,
  ioas: Ioas,
  bound: BoundDevice,
  flags: number,
  data: UserData | undefined,
  attachPasid: number | undefined,
): PagingHwpt | number {
  const device = bound.device;
  const unit = device.unit;
  if ((flags !== 0 || data !== undefined) && !unit.takesFlags) return -Errno.EOPNOTSUPP;
  if ((flags & ~ALL_FLAGS) !== 0) return -Errno.EOPNOTSUPP;
  if ((flags & HwptAllocFlag.DIRTY_TRACKING) !== 0 && !unit.dirtyTracking(device)) return -Errno.EOPNOTSUPP;
  if ((flags & HwptAllocFlag.FAULT_ID_VALID) !== 0 && (flags & HwptAllocFlag.NEST_PARENT) !== 0) {
    return -Errno.EOPNOTSUPP;
  }
  const hwpt = new PagingHwpt(ioas, (flags & HwptAllocFlag.NEST_PARENT) !== 0, (flags & HwptAllocFlag.PASID) !== 0);
  let rc = context.objects.reserve(hwpt);
  if (rc < 0) {
    hwpt.destroy();
    return rc;
  }
  const domain = context.memory.failAt("domain")
    ? -Errno.ENOMEM
    : unit.allocPaging(device, flags & ~HwptAllocFlag.FAULT_ID_VALID, data);
  if (typeof domain === "number") {
    context.abort(hwpt);
    return domain;
  }
  hwpt.domain = domain;
  domain.hwptId = hwpt.id;
  domain.enforcesCoherency = bound.enforcesCoherency;
  if (attachPasid !== undefined) {
    rc = attachToHwpt(bound, attachPasid, hwpt);
    if (rc < 0) {
      context.abort(hwpt);
      return rc;
    }
  }
  rc = ioas.space.addDomain(domain);
  if (rc < 0) {
    if (attachPasid !== undefined) {
      bound.users++;
      detachDevice(bound, attachPasid);
    }
    context.abort(hwpt);
    return rc;
  }
  ioas.hwpts.push(hwpt);
  return hwpt;
}

function allocateNested(
  context: IommufdContext,
  bound: BoundDevice,
  parent: PagingHwpt,
  viommu: Viommu | undefined,
  flags: number,
  data: UserData,
): NestedHwpt | number {
  const unit = bound.device.unit;
  if ((flags & ~NESTED_FLAGS) !== 0 || data.lengthBytes === 0) return -Errno.EOPNOTSUPP;
  if (viommu === undefined) {
    if (unit.allocNested === undefined) return -Errno.EOPNOTSUPP;
    if (parent.automatic || !parent.nestParent || parent.domain!.unit.family !== unit.family) return -Errno.EINVAL;
  } else if (viommu.driver.allocNested === undefined) {
    return -Errno.EOPNOTSUPP;
  }
  const hwpt = new NestedHwpt(parent, viommu, (flags & HwptAllocFlag.PASID) !== 0);
  const rc = context.objects.reserve(hwpt);
  if (rc < 0) {
    hwpt.destroy();
    return rc;
  }
  const driverFlags = flags & ~HwptAllocFlag.FAULT_ID_VALID;
  let domain: NestedDomain | number;
  if (context.memory.failAt("domain")) domain = -Errno.ENOMEM;
  else if (viommu === undefined) domain = unit.allocNested!(bound.device, parent.domain!, driverFlags, data);
  else domain = viommu.driver.allocNested!(viommu, driverFlags, data);
  if (typeof domain === "number") {
    context.abort(hwpt);
    return domain;
  }
  hwpt.domain = domain;
  domain.hwptId = hwpt.id;
  return hwpt;
}

export function hwptAlloc(call: Call<IommufdRequest<"hwptAlloc">>): number {
  const { request, context, caller } = call;
  if ((request.data_type === HwptDataType.NONE) !== (request.data_len === 0)) return -Errno.EINVAL;
  const bound = context.objects.get<BoundDevice>(request.dev_id, "device");
  if (bound === undefined) return -Errno.ENOENT;
  const target = context.objects.any(request.pt_id);
  if (target === undefined) return -Errno.EINVAL;
  const data = new UserData(caller.memory, request.data_type, request.data_uptr, request.data_len);

  let hwpt: HwPageTable | number;
  if (target instanceof Ioas) {
    hwpt = allocatePagingHwpt(
      context,
      target,
      bound,
      request.flags,
      data.lengthBytes > 0 ? data : undefined,
      undefined,
    );
  } else if (target instanceof PagingHwpt) {
    hwpt = allocateNested(context, bound, target, undefined, request.flags, data);
  } else if (target instanceof Viommu) {
    if (target.unit !== bound.device.unit) return -Errno.EINVAL;
    hwpt = allocateNested(context, bound, target.parent, target, request.flags, data);
  } else {
    return -Errno.EINVAL;
  }
  if (typeof hwpt === "number") return hwpt;

  if ((request.flags & HwptAllocFlag.FAULT_ID_VALID) !== 0) {
    const queue = context.objects.get<FaultQueue>(request.fault_id, "fault");
    if (queue === undefined) {
      context.abort(hwpt);
      return -Errno.ENOENT;
    }
    hwpt.faultQueue = queue;
    hwpt.domain!.takesPageRequests = true;
    queue.users++;
  }
  request.out_hwpt_id = hwpt.id;
  const rc = call.respond();
  if (rc < 0) {
    context.abort(hwpt);
    return rc;
  }
  context.objects.publish(hwpt);
  return 0;
}

export function setDirtyTracking(call: Call<IommufdRequest<"hwptSetDirtyTracking">>): number {
  const { request } = call;
  const hwpt = call.context.objects.get<PagingHwpt>(request.hwpt_id, "hwpt-paging");
  if (hwpt === undefined) return -Errno.ENOENT;
  const domain = hwpt.domain!;
  if (!domain.hasDirtyBits) return -Errno.EOPNOTSUPP;
  const enable = (request.flags & SetDirtyTrackingFlag.ENABLE) !== 0;
  // Enabling starts from a clean table, also when it was on: what was dirty and not yet read is lost.
  if (enable) domain.table.readDirty(0, 2 ** (64 - domain.table.granuleShift), true, () => {});
  if (call.context.memory.failAt("tracking")) return -Errno.ENODEV;
  domain.tracking = enable;
  return 0;
}

export function getDirtyBitmap(call: Call<IommufdRequest<"hwptGetDirtyBitmap">>): number {
  const { request, context, caller } = call;
  const hwpt = context.objects.get<PagingHwpt>(request.hwpt_id, "hwpt-paging");
  if (hwpt === undefined) return -Errno.ENOENT;
  const space = hwpt.ioas.space;
  const { iova, page_size: pageSize } = request;
  // A length of zero wraps to the end of the space, which fits only from IOVA 0.
  const last = request.length === 0n ? iova + TOP : iova + request.length - 1n;
  if (last > TOP) return -Errno.EOVERFLOW;
  const end = (last + 1n) & TOP;
  if (((iova | end) & (space.iovaAlignment - 1n)) !== 0n) return -Errno.EINVAL;
  if (pageSize === 0n || ((iova | end) & (pageSize - 1n)) !== 0n) return -Errno.EINVAL;
  const domain = hwpt.domain!;
  if (!domain.hasDirtyBits) return -Errno.EOPNOTSUPP;

  const bitmap = new DirtyBitmap(caller.memory, request.data, iova, pageSize & -pageSize);
  const clear = (request.flags & GetDirtyBitmapFlag.NO_CLEAR) === 0;
  let at = iova;
  while (at <= last) {
    // 7.2 walks contiguous areas only and forgets the error at the first hole.
    const node = space.areas.first(at, context.kernelQuirks ? at : last);
    if (node === undefined) break;
    const from = node.start > at ? node.start : at;
    const to = node.last < last ? node.last : last;
    domain.readDirty(from, to - from + 1n, clear, (start, length) => bitmap.set(start, length));
    at = to + 1n;
  }
  bitmap.flush();
  return 0;
}

export function getHwInfo(call: Call<IommufdRequest<"getHwInfo">>): number {
  const { request, context, caller } = call;
  const wanted = (request.flags & HwInfoFlag.INPUT_TYPE) !== 0 ? request.data_type : HwInfoType.DEFAULT;
  const bound = context.objects.get<BoundDevice>(request.dev_id, "device");
  if (bound === undefined) return -Errno.ENOENT;
  const device = bound.device;
  const unit = device.unit;
  let data = new Uint8Array(0);
  request.data_type = HwInfoType.NONE;
  if (unit.hwInfo !== undefined) {
    const info = context.memory.failAt("hw-info") ? -Errno.ENOMEM : unit.hwInfo(device, wanted);
    if (typeof info === "number") return info;
    data = new Uint8Array(info.data);
    request.data_type = info.type;
  }
  const copied = Math.min(request.data_len, data.length);
  if (copied > 0 && !caller.memory.write(request.data_uptr, data.subarray(0, copied))) return -Errno.EFAULT;
  const zeroes = new Uint8Array(Math.min(ZERO_CHUNK, request.data_len - copied));
  for (let at = copied; at < request.data_len; at += zeroes.length) {
    const part = zeroes.subarray(0, request.data_len - at);
    if (!caller.memory.write(request.data_uptr + BigInt(at), part)) return -Errno.EFAULT;
  }
  request.data_len = data.length;
  request.out_capabilities =
    (unit.dirtyTracking(device) ? BigInt(HwCapability.DIRTY_TRACKING) : 0n) |
    (unit.atsSupported(device) ? 0n : BigInt(HwCapability.PCI_ATS_NOT_SUPPORTED));
  request.out_max_pasid_log2 = 0;
  if (device.maxPasids > 0) {
    request.out_max_pasid_log2 = Math.floor(Math.log2(device.maxPasids));
    if (device.pasidExec === true) request.out_capabilities |= BigInt(HwCapability.PCI_PASID_EXEC);
    if (device.pasidPrivileged === true) request.out_capabilities |= BigInt(HwCapability.PCI_PASID_PRIV);
  }
  return call.respond();
}

const MAX_INVALIDATE_ENTRIES = 1 << 19;
const MAX_ENTRY_BYTES = 4096;

export function hwptInvalidate(call: Call<IommufdRequest<"hwptInvalidate">>): number {
  const { request } = call;
  const entries = new UserArray(
    call.caller.memory,
    request.data_type,
    request.data_uptr,
    request.entry_len,
    request.entry_num,
  );
  const result = invalidate(call, entries);
  // How far it came goes back also when it failed.
  request.entry_num = result.done;
  return call.respond() < 0 ? -Errno.EFAULT : result.rc;
}

function invalidate(
  call: Call<IommufdRequest<"hwptInvalidate">>,
  entries: UserArray,
): { readonly rc: number; readonly done: number } {
  const { request } = call;
  if (request.__reserved !== 0) return { rc: -Errno.EOPNOTSUPP, done: 0 };
  if (
    request.entry_num > 0 &&
    (request.data_uptr === 0n ||
      request.entry_len === 0 ||
      request.entry_len > MAX_ENTRY_BYTES ||
      request.entry_num > MAX_INVALIDATE_ENTRIES)
  ) {
    return { rc: -Errno.EINVAL, done: 0 };
  }
  const target = call.context.objects.any(request.hwpt_id);
  if (target === undefined) return { rc: -Errno.ENOENT, done: 0 };
  let run: (() => number) | undefined;
  if (target instanceof NestedHwpt) {
    const domain = target.domain!;
    if (domain.unit.invalidateNested !== undefined) run = () => domain.unit.invalidateNested!(domain, entries);
  } else if (target instanceof Viommu) {
    if (target.driver.invalidate !== undefined) run = () => target.driver.invalidate!(target, entries);
  } else {
    return { rc: -Errno.EINVAL, done: 0 };
  }
  if (run === undefined) return { rc: -Errno.EOPNOTSUPP, done: 0 };
  if (call.context.memory.failAt("invalidate")) return { rc: -Errno.EIO, done: 0 };
  const rc = run();
  return { rc, done: entries.entryCount };
}
