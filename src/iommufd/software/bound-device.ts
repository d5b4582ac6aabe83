// A device bound to a context, and the context's view of the device's group: who is attached to what, per PASID.
import { assert } from "../../base/index.ts";
import { Errno } from "../uapi/index.ts";
import type { IommufdContext } from "./context.ts";
import type { Domain } from "./domain.ts";
import type { HostMemory } from "./host-memory.ts";
import type { HwPageTable } from "./hw-page-table.ts";
import { IommufdObject } from "./objects.ts";
import { installSwMsi } from "./sw-msi.ts";
import { NO_PASID, type DeviceGroup, type PhysicalDevice } from "./unit.ts";
import type { Vdevice } from "./viommu.ts";

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

  /** As plain data, with what the unit was told. */
  snapshot(): object {
    const { group, attachments, swMsiStart, requiredSwMsi, bound } = this;
    return {
      ...{ id: group.id, bound, swMsiStart, ownerCount: group.ownerCount },
      attachments: [...attachments].map(([pasid, { hwpt, devices }]) => [
        pasid,
        hwpt.id,
        [...devices].map((d) => d.id),
      ]),
      requiredSwMsi: [...requiredSwMsi],
      domain: group.domain?.hwptId,
      pasidDomains: [...group.pasidDomains].map(([pasid, domain]) => [pasid, domain.hwptId]),
    };
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

  override snapshot(): object {
    const { device, enforcesCoherency, holdsContext, vdevice } = this;
    return { device: device.name, group: device.group.id, enforcesCoherency, holdsContext, vdevice: vdevice?.id };
  }

  override destroy(): void {
    const group = this.device.group;
    if (--group.ownerCount === 0) group.owner = undefined;
    if (--this.group.bound === 0) this.context.groups.delete(group);
    if (this.holdsContext) this.context.put();
  }
}

/** Binds a device: the caller becomes its user until `unbind`. The device, or a negative errno. */
export function bindDevice(
  context: IommufdContext,
  device: PhysicalDevice,
  options: { readonly holdsContext: boolean; readonly allowUnsafeInterrupts: boolean },
): BoundDevice | number {
  // The order of `bindRefusal`.
  if (!device.unit.cacheCoherent(device)) return -Errno.EINVAL;
  const group = device.group;
  if (!group.isolatedMsi && !options.allowUnsafeInterrupts) return -Errno.EPERM;
  if (group.owner !== undefined && group.owner !== context) return -Errno.EPERM;
  if (group.owner === undefined && group.domain !== undefined) return -Errno.EBUSY;
  let shared = context.groups.get(group);
  const isNew = shared === undefined;
  shared ??= new ContextGroup(group);
  const bound = new BoundDevice(context, device, shared, options.holdsContext);
  const rc = context.objects.reserve(bound);
  if (rc < 0) {
    if (options.holdsContext) context.put();
    return rc;
  }
  if (isNew) context.groups.set(group, shared);
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

/** Puts the whole group on a domain; on failure it stays where it was. Blocking it (no domain) cannot fail. */
function setGroupDomain(memory: HostMemory, group: DeviceGroup, domain: Domain | undefined): number {
  const old = group.domain;
  let done = 0;
  for (const device of group.devices) {
    const fails = domain !== undefined && memory.failAt("attach");
    const rc = fails ? -Errno.ENOMEM : device.unit.attach(device, domain, old);
    if (rc < 0) {
      for (const undo of group.devices.slice(0, done)) undo.unit.attach(undo, old, domain);
      return rc;
    }
    done++;
  }
  group.domain = domain;
  return 0;
}

function setPasidDomain(memory: HostMemory, group: DeviceGroup, pasid: number, domain: Domain | undefined): number {
  const old = group.pasidDomains.get(pasid);
  let done = 0;
  for (const device of group.devices) {
    if (device.maxPasids === 0) {
      done++;
      continue;
    }
    const fails = domain !== undefined && memory.failAt("attach");
    const rc = fails ? -Errno.ENOMEM : device.unit.attachPasid!(device, pasid, domain, old);
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
export function programGroup(bound: BoundDevice, pasid: number, hwpt: HwPageTable): number {
  if (hwpt.faultQueue !== undefined && bound.device.isVfWithPri) return -Errno.EINVAL;
  const rc = checkPasid(hwpt, bound.group, pasid);
  if (rc < 0) return rc;
  const domain = hwpt.domain!;
  const { device, context } = bound;
  if (domain.unit.family !== device.unit.family) return -Errno.EINVAL;
  if (pasid === NO_PASID) return setGroupDomain(context.memory, bound.group.group, domain);
  if (device.unit.attachPasid === undefined) return -Errno.EOPNOTSUPP;
  for (const d of bound.group.group.devices) if (d.maxPasids > 0 && pasid >= d.maxPasids) return -Errno.EINVAL;
  return setPasidDomain(context.memory, bound.group.group, pasid, domain);
}

/** Attaches a device to a page table; every sibling of a group must go to the same one. Zero or a negative errno. */
export function attachToHwpt(bound: BoundDevice, pasid: number, hwpt: HwPageTable): number {
  const group = bound.group;
  const attachment = group.attachments.get(pasid);
  if (attachment?.devices.has(bound)) return -Errno.EBUSY;
  if (attachment !== undefined && attachment.hwpt !== hwpt) return -Errno.EINVAL;
  const reserves = pasid === NO_PASID;
  const space = hwpt.paging.ioas.space;
  const swMsiBefore = group.swMsiStart;
  let rc = reserves ? space.enforceDeviceRegions(bound.device, (start) => (group.swMsiStart = start)) : 0;
  if (rc === 0 && attachment === undefined) {
    if (reserves) rc = installSwMsi(bound.context, group, hwpt.paging);
    if (rc === 0) rc = programGroup(bound, pasid, hwpt);
  }
  if (rc < 0) {
    group.swMsiStart = swMsiBefore;
    if (reserves) space.unreserve(bound.device);
    return rc;
  }
  if (attachment === undefined) {
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
    const { memory } = bound.context;
    const rc =
      pasid === NO_PASID
        ? setGroupDomain(memory, group.group, undefined)
        : setPasidDomain(memory, group.group, pasid, undefined);
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
export function putHwpt(context: IommufdContext, hwpt: HwPageTable): void {
  hwpt.users--;
  if (hwpt.automatic) context.objects.removeIfUnused(hwpt);
}
