// Attaching, replacing and detaching by id: an IOAS means that a fitting page table is found or made.
import { Errno } from "../uapi/index.ts";
import { attachToHwpt, programGroup, putHwpt, type BoundDevice } from "./bound-device.ts";
import type { HwPageTable } from "./hw-page-table.ts";
import { allocatePagingHwpt } from "./hwpt-calls.ts";
import { Ioas } from "./ioas.ts";
import { installSwMsi } from "./sw-msi.ts";
import { NO_PASID } from "./unit.ts";

/** Moves a device's whole group to another page table. Undefined or the page table left behind (one use to give back), or -errno. */
function replaceHwpt(bound: BoundDevice, pasid: number, hwpt: HwPageTable): HwPageTable | undefined | number {
  const group = bound.group;
  const attachment = group.attachments.get(pasid);
  if (attachment === undefined || !attachment.devices.has(bound)) return -Errno.EINVAL;
  const old = attachment.hwpt;
  if (old === hwpt) return undefined;
  const reserves = pasid === NO_PASID;
  const space = hwpt.paging.ioas.space;
  const oldSpace = old.paging.ioas.space;
  // 7.2 takes the reservations back also where it made none: those of the devices' own address space are gone.
  const unreserveNew = (): void => {
    if (space === oldSpace && !bound.context.kernelQuirks) return;
    for (const device of attachment.devices) space.unreserve(device.device);
  };
  if (reserves) {
    let rc = 0;
    if (space !== oldSpace) {
      for (const device of attachment.devices) {
        rc = space.enforceDeviceRegions(device.device, undefined);
        if (rc < 0) break;
      }
    }
    if (rc === 0) rc = installSwMsi(bound.context, group, hwpt.paging);
    if (rc < 0) {
      unreserveNew();
      return rc;
    }
  }
  const rc = programGroup(bound, pasid, hwpt);
  if (rc < 0) {
    if (reserves) unreserveNew();
    return rc;
  }
  for (const device of attachment.devices) old.faultQueue?.dropOf(device, pasid);
  if (reserves && space !== oldSpace) for (const device of attachment.devices) oldSpace.unreserve(device.device);
  attachment.hwpt = hwpt;
  hwpt.users += attachment.devices.size;
  old.users -= attachment.devices.size - 1;
  return old;
}

type Change = (bound: BoundDevice, pasid: number, hwpt: HwPageTable) => HwPageTable | undefined | number;

const attachChange: Change = (bound, pasid, hwpt) => {
  const rc = attachToHwpt(bound, pasid, hwpt);
  return rc < 0 ? rc : undefined;
};

/** Finds an automatic page table of the IOAS that takes the device, or makes one. */
function autoDomain(
  bound: BoundDevice,
  pasid: number,
  ioas: Ioas,
  change: Change,
): { readonly old: HwPageTable | undefined; readonly id: number } | number {
  for (const hwpt of [...ioas.hwpts]) {
    if (!hwpt.automatic) continue;
    const old = change(bound, pasid, hwpt);
    // EINVAL means that this page table does not fit the device; anything else is a failure.
    if (old === -Errno.EINVAL) continue;
    return typeof old === "number" ? old : { old, id: hwpt.id };
  }
  const context = bound.context;
  const immediate = change === attachChange;
  const hwpt = allocatePagingHwpt(context, ioas, bound, 0, undefined, immediate ? pasid : undefined);
  if (typeof hwpt === "number") return hwpt;
  let old: HwPageTable | undefined;
  if (!immediate) {
    const left = change(bound, pasid, hwpt);
    if (typeof left === "number") {
      context.abort(hwpt);
      return left;
    }
    old = left;
  }
  hwpt.automatic = true;
  context.objects.publish(hwpt);
  return { old, id: hwpt.id };
}

/** `pt_id` may name an IOAS or a page table; the id of the page table, or a negative errno. */
function changePt(bound: BoundDevice, pasid: number, ptId: number, change: Change): number {
  const context = bound.context;
  const target = context.objects.any(ptId);
  if (target === undefined) return -Errno.ENOENT;
  let old: HwPageTable | undefined | number;
  let id = ptId;
  if (target.type === "hwpt-paging" || target.type === "hwpt-nested") {
    old = change(bound, pasid, target as HwPageTable);
  } else if (target instanceof Ioas) {
    const result = autoDomain(bound, pasid, target, change);
    if (typeof result === "number") return result;
    old = result.old;
    id = result.id;
  } else {
    return -Errno.EINVAL;
  }
  if (typeof old === "number") return old;
  if (old !== undefined) putHwpt(context, old);
  return id;
}

/** Attaches to an IOAS (a page table is chosen or made) or to a page table; the page table's id, or a negative errno. */
export function attachDevice(bound: BoundDevice, pasid: number, ptId: number): number {
  const id = changePt(bound, pasid, ptId, attachChange);
  if (id >= 0) bound.users++;
  return id;
}

/** As `attachDevice`, for a device that is attached; on failure nothing changes. */
export function replaceDevice(bound: BoundDevice, pasid: number, ptId: number): number {
  return changePt(bound, pasid, ptId, replaceHwpt);
}
