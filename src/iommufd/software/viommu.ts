// Virtual IOMMU objects: what a guest's own IOMMU is made of on the host's side.
import { assert } from "../../base/index.ts";
import { Errno, type IommufdRequest } from "../uapi/index.ts";
import { Access } from "./access.ts";
import type { BoundDevice } from "./bound-device.ts";
import type { Call } from "./call.ts";
import type { IommufdContext } from "./context.ts";
import type { PagingDomain } from "./domain.ts";
import { EventFile } from "./event-file.ts";
import { PAGE_SIZE } from "./frames.ts";
import type { PagingHwpt } from "./hw-page-table.ts";
import { TOP } from "./iova-allocator.ts";
import { IommufdObject } from "./objects.ts";
import type { HardwareQueue, PhysicalDevice, UnitDriver, ViommuDriver, VirtualIommu } from "./unit.ts";
import { UserData } from "./user-data.ts";
import { EventQueueOfViommu, MAX_DEPTH } from "./veventq.ts";

const PAGE = BigInt(PAGE_SIZE);
/** The kernel keeps a pointer per page of a queue in one allocation, which is smaller than 2 GiB. */
const MAX_QUEUE_PAGES = (1n << 28n) - 1n;

export class Viommu extends IommufdObject implements VirtualIommu {
  readonly type = "viommu" as const;
  readonly context: IommufdContext;
  readonly viommuType: number;
  readonly unit: UnitDriver;
  readonly parent: PagingHwpt;
  /** By the guest's number for the device. */
  readonly vdevices: Map<bigint, Vdevice> = new Map<bigint, Vdevice>();
  readonly eventQueues: EventQueueOfViommu[] = [];
  driver: ViommuDriver = {};

  constructor(context: IommufdContext, viommuType: number, unit: UnitDriver, parent: PagingHwpt) {
    super();
    this.context = context;
    this.viommuType = viommuType;
    this.unit = unit;
    this.parent = parent;
    parent.users++;
  }

  override snapshot(): object {
    return {
      viommuType: this.viommuType,
      unit: this.unit.id,
      parent: this.parent.id,
      vdevices: [...this.vdevices].map(([virtualId, vdevice]) => [virtualId, vdevice.id]),
      eventQueues: this.eventQueues.map((queue) => queue.id),
    };
  }

  override destroy(): void {
    this.driver.destroy?.(this);
    this.parent.users--;
  }

  get table(): PagingDomain {
    return this.parent.domain!;
  }

  addRegion(bytes: Uint8Array): bigint {
    return this.context.addRegion(this, bytes);
  }

  removeRegion(offset: bigint): void {
    this.context.removeRegion(offset);
  }

  deviceOf(virtualId: bigint): PhysicalDevice | undefined {
    return this.vdevices.get(virtualId)?.bound.device;
  }

  report(type: number, event: Uint8Array): number {
    const queue = this.eventQueues.find((q) => q.eventType === type);
    if (queue === undefined) return -Errno.EOPNOTSUPP;
    queue.push(event);
    return 0;
  }

  virtualIdOf(device: PhysicalDevice): bigint | undefined {
    for (const vdevice of this.vdevices.values()) if (vdevice.bound.device === device) return vdevice.virtualId;
    return undefined;
  }
}

export class Vdevice extends IommufdObject {
  readonly type = "vdevice" as const;
  readonly viommu: Viommu;
  readonly bound: BoundDevice;
  readonly virtualId: bigint;

  constructor(viommu: Viommu, bound: BoundDevice, virtualId: bigint) {
    super();
    this.viommu = viommu;
    this.bound = bound;
    this.virtualId = virtualId;
    viommu.users++;
  }

  override snapshot(): object {
    return { viommu: this.viommu.id, device: this.bound.id, virtualId: this.virtualId };
  }

  override destroy(): void {
    if (this.viommu.vdevices.get(this.virtualId) === this) this.viommu.vdevices.delete(this.virtualId);
    this.viommu.users--;
    if (this.bound.vdevice === this) this.bound.vdevice = undefined;
  }
}

export class HwQueue extends IommufdObject implements HardwareQueue {
  readonly type = "hw-queue" as const;
  readonly viommu: Viommu;
  readonly queueType: number;
  readonly baseIova: bigint;
  readonly lengthBytes: bigint;
  /** Keeps the queue's memory pinned and its areas locked. */
  access: Access | undefined;
  onDestroy: (() => void) | undefined;

  constructor(viommu: Viommu, queueType: number, baseIova: bigint, lengthBytes: bigint) {
    super();
    this.viommu = viommu;
    this.queueType = queueType;
    this.baseIova = baseIova;
    this.lengthBytes = lengthBytes;
    viommu.users++;
  }

  /** The pages under the queue. */
  get pinned(): { readonly iova: bigint; readonly lengthBytes: bigint } {
    const iova = this.baseIova & ~(PAGE - 1n);
    const end = (this.baseIova + this.lengthBytes + PAGE - 1n) & ~(PAGE - 1n);
    return { iova, lengthBytes: end - iova };
  }

  override snapshot(): object {
    const { viommu, queueType, baseIova, lengthBytes, access } = this;
    return { viommu: viommu.id, queueType, baseIova, lengthBytes, access: access?.id };
  }

  override destroy(): void {
    this.onDestroy?.();
    if (this.access !== undefined) {
      const { iova, lengthBytes } = this.pinned;
      this.access.unpin(iova, lengthBytes);
      this.access.changeIoas(undefined);
      this.access.close();
    }
    this.viommu.users--;
  }
}

export function viommuAlloc(call: Call<IommufdRequest<"viommuAlloc">>): number {
  const { request, context, caller } = call;
  const bound = context.objects.get<BoundDevice>(request.dev_id, "device");
  if (bound === undefined) return -Errno.ENOENT;
  const unit = bound.device.unit;
  if (unit.initViommu === undefined || !unit.hasViommu(bound.device, request.type)) return -Errno.EOPNOTSUPP;
  const parent = context.objects.get<PagingHwpt>(request.hwpt_id, "hwpt-paging");
  if (parent === undefined) return -Errno.ENOENT;
  if (!parent.nestParent) return -Errno.EINVAL;
  const viommu = new Viommu(context, request.type, unit, parent);
  let rc = context.objects.reserve(viommu);
  if (rc < 0) {
    viommu.destroy();
    return rc;
  }
  const data =
    request.data_len > 0 ? new UserData(caller.memory, request.type, request.data_uptr, request.data_len) : undefined;
  const driver = context.memory.failAt("viommu") ? -Errno.ENOMEM : unit.initViommu(viommu, data);
  if (typeof driver === "number") {
    context.abort(viommu);
    return driver;
  }
  viommu.driver = driver;
  request.out_viommu_id = viommu.id;
  rc = call.respond();
  if (rc < 0) {
    context.abort(viommu);
    return rc;
  }
  context.objects.publish(viommu);
  return 0;
}

export function vdeviceAlloc(call: Call<IommufdRequest<"vdeviceAlloc">>): number {
  const { request, context } = call;
  const viommu = context.objects.get<Viommu>(request.viommu_id, "viommu");
  if (viommu === undefined) return -Errno.ENOENT;
  const bound = context.objects.get<BoundDevice>(request.dev_id, "device");
  if (bound === undefined) return -Errno.ENOENT;
  if (viommu.unit !== bound.device.unit) return -Errno.EINVAL;
  if (bound.leaving) return -Errno.ENOENT;
  if (bound.vdevice !== undefined) return -Errno.EEXIST;
  const vdevice = new Vdevice(viommu, bound, request.virt_id);
  let rc = context.objects.reserve(vdevice);
  if (rc < 0) {
    vdevice.destroy();
    return rc;
  }
  if (viommu.vdevices.has(request.virt_id)) {
    context.abort(vdevice);
    return -Errno.EEXIST;
  }
  bound.vdevice = vdevice;
  viommu.vdevices.set(request.virt_id, vdevice);
  request.out_vdevice_id = vdevice.id;
  rc = call.respond();
  if (rc < 0) {
    context.abort(vdevice);
    return rc;
  }
  context.objects.publish(vdevice);
  return 0;
}

export function veventqAlloc(call: Call<IommufdRequest<"veventqAlloc">>): number {
  const { request, context, caller } = call;
  if (request.veventq_depth === 0 || request.veventq_depth > MAX_DEPTH) return -Errno.EINVAL;
  const viommu = context.objects.get<Viommu>(request.viommu_id, "viommu");
  if (viommu === undefined) return -Errno.ENOENT;
  if (viommu.eventQueues.some((q) => q.eventType === request.type)) return -Errno.EEXIST;
  const queue = new EventQueueOfViommu(viommu, request.type, request.veventq_depth);
  let rc = context.objects.reserve(queue);
  if (rc < 0) {
    queue.destroy();
    return rc;
  }
  const file = new EventFile(queue);
  const fd = call.installFile(file);
  if (fd < 0) {
    file.release();
    context.abort(queue);
    return fd;
  }
  request.out_veventq_id = queue.id;
  request.out_veventq_fd = fd;
  rc = call.respond();
  if (rc < 0) {
    caller.files.close(fd);
    context.abort(queue);
    return rc;
  }
  queue.file = file;
  context.objects.publish(queue);
  return 0;
}

export function hwQueueAlloc(call: Call<IommufdRequest<"hwQueueAlloc">>): number {
  const { request, context } = call;
  if (request.length === 0n) return -Errno.EINVAL;
  const iova = request.nesting_parent_iova;
  if (iova + request.length - 1n > TOP) return -Errno.EOVERFLOW;
  const viommu = context.objects.get<Viommu>(request.viommu_id, "viommu");
  if (viommu === undefined) return -Errno.ENOENT;
  const driver = viommu.driver;
  if (driver.initHwQueue === undefined || driver.hasHwQueues?.(request.type) !== true) return -Errno.EOPNOTSUPP;
  const offset = iova % PAGE;
  if (offset + request.length + PAGE - 1n > TOP) return -Errno.ERANGE;
  const queue = new HwQueue(viommu, request.type, iova, request.length);
  let rc = context.objects.reserve(queue);
  if (rc < 0) {
    queue.destroy();
    return rc;
  }
  const frames = queue.pinned.lengthBytes / PAGE > MAX_QUEUE_PAGES ? -Errno.ENOMEM : pinQueue(queue);
  if (typeof frames === "number") {
    context.abort(queue);
    return frames;
  }
  rc = context.memory.failAt("queue")
    ? -Errno.EIO
    : driver.initHwQueue(queue, request.index, frames[0]!, Number(offset));
  if (rc === 0) {
    request.out_hw_queue_id = queue.id;
    rc = call.respond();
  }
  if (rc < 0) {
    context.abort(queue);
    return rc;
  }
  context.objects.publish(queue);
  return 0;
}

/** Hardware reads the queue by physical address: its pages must follow each other and must not go away. */
function pinQueue(queue: HwQueue): number[] | number {
  const access = Access.create(queue.viommu.context, undefined);
  if (typeof access === "number") return access;
  let rc = access.changeIoas(queue.viommu.parent.ioas);
  if (rc === 0) {
    const { iova, lengthBytes } = queue.pinned;
    const frames = access.pin(iova, lengthBytes, false);
    if (typeof frames !== "number") {
      if (frames.every((frame, i) => frame === frames[0]! + i)) {
        queue.access = access;
        return frames;
      }
      access.unpin(iova, lengthBytes);
      rc = -Errno.EFAULT;
    } else {
      rc = frames;
    }
  }
  assert(rc < 0, "a queue without memory has an errno", rc);
  access.close();
  return rc;
}
