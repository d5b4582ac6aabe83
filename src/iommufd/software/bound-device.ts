// A device bound to a context, and the context's view of the device's group: who is attached to what, per PASID.
import { assert } from "../../base/index.ts";
import { Errno } from "../uapi/index.ts";
import type { IommufdContext } from "./context.ts";
import type { Domain } from "./domain.ts";
import type { HwPageTable } from "./hw-page-table.ts";
import { allocatePagingHwpt } from "./hwpt-calls.ts";
import { Ioas } from "./ioas.ts";
import { IommufdObject } from "./objects.ts";
import { installSwMsi } from "./sw-msi.ts";
import type { DeviceGroup, PhysicalDevice } from "./unit.ts";
import type { Vdevice } from "./viommu.ts";

/** Requests without a PASID. */
export const NO_PASID = 0;

export interface Attachment {
  hwpt: HwPageTable;
  readonly devices: Set<BoundDevice>;
}

/** One per context and device group. */
export class ContextGroup {
  readonly group: DeviceGroup;
  readonly attachments: Map<number, Attachment> = new Map<number, Attachment>();
  /** Where MSI pages go in every domain of the group; undefined when interrupts need no mapping. */
  swMsiStart: bigint | undefined;
  readonly requiredSwMsi: Set<number> = new Set<number>();
  bound = 0;

  constructor(group: DeviceGroup) {
    this.group = group;
  }
}

export class BoundDevice extends IommufdObject {
  readonly type = "device" as const;
  readonly context: IommufdContext;
  readonly device: PhysicalDevice;
  readonly group: ContextGroup;
  readonly enforcesCoherency: boolean;
  /** Whether the binding keeps the context open after its descriptor is closed. */
  readonly holdsContext: boolean;
  vdevice: Vdevice | undefined;
  leaving = false;

  constructor(context: IommufdContext, device: PhysicalDevice, group: ContextGroup, holdsContext: boolean) {
    super();
    this.context = context;
    this.device = device;
    this.group = group;
    this.holdsContext = holdsContext;
    this.enforcesCoherency = device.unit.enforcesCoherency(device);
    if (holdsContext) context.get();
  }

  override preDestroy(): void {
    this.leaving = true;
    if (this.vdevice !== undefined) this.context.objects.tombstone(this.vdevice);
  }

  override destroy(): void {
    const group = this.device.group;
    if (--group.ownerCount === 0) group.owner = undefined;
    if (--this.group.bound === 0) this.context.groups.delete(group.id);
    if (this.holdsContext) this.context.put();
  }
}

/** Binds a device: the caller becomes its user until `unbind`. The device, or a negative errno. */
export function bindDevice(
  context: IommufdContext,
  device: PhysicalDevice,
  options: { readonly holdsContext: boolean; readonly allowUnsafeInterrupts: boolean },
): BoundDevice | number {
  if (!device.unit.cacheCoherent(device)) return -Errno.EINVAL;
  const group = device.group;
  if (!group.isolatedMsi && !options.allowUnsafeInterrupts) return -Errno.EPERM;
  if (group.owner !== undefined && group.owner !== context) return -Errno.EPERM;
  if (group.owner === undefined && group.domain !== undefined) return -Errno.EBUSY;
  let shared = context.groups.get(group.id);
  const isNew = shared === undefined;
  shared ??= new ContextGroup(group);
  const bound = new BoundDevice(context, device, shared, options.holdsContext);
  const rc = context.objects.reserve(bound);
  if (rc < 0) {
    if (options.holdsContext) context.put();
    return rc;
  }
  if (isNew) context.groups.set(group.id, shared);
  shared.bound++;
  group.owner = context;
  group.ownerCount++;
  bound.users++;
  context.objects.publish(bound);
  return bound;
}

export function unbindDevice(bound: BoundDevice): void {
  bound.context.objects.removeByOwner(bound);
}

/** Puts the whole group on a domain; on failure it stays where it was. */
function setGroupDomain(group: DeviceGroup, domain: Domain | undefined): number {
  const old = group.domain;
  let done = 0;
  for (const device of group.devices) {
    const rc = device.unit.attach(device, domain, old);
    if (rc < 0) {
      for (const undo of group.devices.slice(0, done)) undo.unit.attach(undo, old, domain);
      return rc;
    }
    done++;
  }
  group.domain = domain;
  return 0;
}

function setPasidDomain(group: DeviceGroup, pasid: number, domain: Domain | undefined): number {
  const old = group.pasidDomains.get(pasid);
  let done = 0;
  for (const device of group.devices) {
    if (device.maxPasids === 0) {
      done++;
      continue;
    }
    const rc = device.unit.attachPasid!(device, pasid, domain, old);
    if (rc < 0) {
      for (const undo of group.devices.slice(0, done)) {
        if (undo.maxPasids > 0) undo.unit.attachPasid!(undo, pasid, old, domain);
      }
      return rc;
    }
    done++;
  }
  if (domain === undefined) group.pasidDomains.delete(pasid);
  else group.pasidDomains.set(pasid, domain);
  return 0;
}

/** PASIDs need domains made for them, on both sides. */
function checkPasid(hwpt: HwPageTable, group: ContextGroup, pasid: number): number {
  if (pasid === NO_PASID) {
    const others = group.attachments.size - (group.attachments.has(NO_PASID) ? 1 : 0);
    return !hwpt.pasidCompatible && others > 0 ? -Errno.EINVAL : 0;
  }
  if (!hwpt.pasidCompatible) return -Errno.EINVAL;
  const plain = group.attachments.get(NO_PASID);
  return plain !== undefined && !plain.hwpt.pasidCompatible ? -Errno.EINVAL : 0;
}

/** Programs the unit for the group. */
function programGroup(bound: BoundDevice, pasid: number, hwpt: HwPageTable): number {
  if (hwpt.faultQueue !== undefined && bound.device.isVfWithPri) return -Errno.EINVAL;
  const rc = checkPasid(hwpt, bound.group, pasid);
  if (rc < 0) return rc;
  if (bound.context.memory.failAt("attach")) return -Errno.ENOMEM;
  const domain = hwpt.domain!;
  const device = bound.device;
  if (domain.unit.family !== device.unit.family) return -Errno.EINVAL;
  if (pasid === NO_PASID) return setGroupDomain(bound.group.group, domain);
  if (device.unit.attachPasid === undefined) return -Errno.EOPNOTSUPP;
  for (const d of bound.group.group.devices) if (d.maxPasids > 0 && pasid >= d.maxPasids) return -Errno.EINVAL;
  return setPasidDomain(bound.group.group, pasid, domain);
}

/** Attaches a device to a page table; every sibling of a group must go to the same one. Zero or a negative errno. */
export function attachToHwpt(bound: BoundDevice, pasid: number, hwpt: HwPageTable): number {
  const group = bound.group;
  const attachment = group.attachments.get(pasid);
  if (attachment?.devices.has(bound)) return -Errno.EBUSY;
  if (attachment !== undefined && attachment.hwpt !== hwpt) return -Errno.EINVAL;
  const reserves = pasid === NO_PASID;
  const space = hwpt.paging.ioas.space;
  if (reserves) {
    let rc = space.enforceDeviceRegions(bound.device, (start) => (group.swMsiStart = start));
    if (rc < 0) return rc;
    if (attachment === undefined) {
      rc = installSwMsi(bound.context, group, hwpt.paging);
      if (rc < 0) {
        space.unreserve(bound.device);
        return rc;
      }
    }
  }
  if (attachment === undefined) {
    const rc = programGroup(bound, pasid, hwpt);
    if (rc < 0) {
      if (reserves) space.unreserve(bound.device);
      return rc;
    }
    group.attachments.set(pasid, { hwpt, devices: new Set([bound]) });
  } else {
    attachment.devices.add(bound);
  }
  hwpt.users++;
  return 0;
}

/** Detaches; the last device of a group leaves it blocked. False when the device was not attached. */
export function detachDevice(bound: BoundDevice, pasid: number): boolean {
  const group = bound.group;
  const attachment = group.attachments.get(pasid);
  if (attachment === undefined || !attachment.devices.has(bound)) return false;
  const hwpt = attachment.hwpt;
  attachment.devices.delete(bound);
  if (attachment.devices.size === 0) {
    const rc =
      pasid === NO_PASID ? setGroupDomain(group.group, undefined) : setPasidDomain(group.group, pasid, undefined);
    assert(rc === 0, "blocking a device's DMA cannot fail", rc);
    hwpt.faultQueue?.dropOf(bound, pasid);
    group.attachments.delete(pasid);
  }
  if (pasid === NO_PASID) hwpt.paging.ioas.space.unreserve(bound.device);
  putHwpt(bound.context, hwpt);
  bound.users--;
  return true;
}

/** Gives one use of a page table back; an automatic one goes with its last. */
function putHwpt(context: IommufdContext, hwpt: HwPageTable): void {
  hwpt.users--;
  if (hwpt.automatic) context.objects.removeIfUnused(hwpt);
}

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
  const unreserveNew = (): void => {
    if (space !== oldSpace) for (const device of attachment.devices) space.unreserve(device.device);
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
