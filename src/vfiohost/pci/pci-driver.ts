// vfio-pci: a function behind an IOMMU unit, on a bus with others (drivers/vfio/pci/vfio_pci_core.c of Linux 7.2).
import type { PciDevice } from "../../device/pci/index.ts";
import {
  attachDevice,
  bindDevice,
  detachDevice,
  Errno,
  NO_PASID,
  replaceDevice,
  swMsiAddress,
  unbindDevice,
  VfioFeature,
  VfioNr,
  type BoundDevice,
  type DescribedDevice,
  type EventFd,
  type IommufdContext,
} from "../../iommufd/index.ts";
import type { FeatureRequest } from "../check-feature.ts";
import type { DeviceCall } from "../device-call.ts";
import { DmaBufs } from "./dma-bufs.ts";
import { FunctionDriver, type FunctionDriverOptions } from "./function-driver.ts";
import type { HostBus, PciAddress } from "./host-bus.ts";
import { hotReset, hotResetInfo } from "./hot-reset.ts";
import { Ioeventfds } from "./ioeventfds.ts";
import { lowPowerFeature } from "./low-power.ts";
import { DOORBELL } from "./messages.ts";

const MAX_INT = 0x7fff_ffff;

export interface PciDriverOptions extends FunctionDriverOptions {
  readonly address: PciAddress;
  readonly physical: DescribedDevice;
  readonly bus: HostBus<PciDriver>;
}

export class PciDriver extends FunctionDriver {
  readonly address: PciAddress;
  readonly physical: DescribedDevice;
  readonly bus: HostBus<PciDriver>;
  bound: BoundDevice | undefined;
  /** Low power that the user asked for, and the eventfd that is told when something wakes the device. */
  lowPower: { readonly wakeup: EventFd | undefined } | undefined;
  readonly dmaBufs: DmaBufs = new DmaBufs(this);
  readonly #ioeventfds: Ioeventfds = new Ioeventfds(this);
  readonly #pasids = new Set<number>();
  #attached = false;

  constructor(device: PciDevice, options: PciDriverOptions) {
    super(device, options);
    this.address = options.address;
    this.physical = options.physical;
    this.bus = options.bus;
    options.bus.add(this, device.pci);
  }

  bind(context: IommufdContext): number {
    const bound = bindDevice(context, this.physical, { holdsContext: true, allowUnsafeInterrupts: false });
    if (typeof bound === "number") return bound;
    this.bound = bound;
    return bound.id;
  }

  unbind(): void {
    const bound = this.bound!;
    for (const pasid of this.#pasids) detachDevice(bound, pasid);
    this.#pasids.clear();
    this.detach();
    unbindDevice(bound);
    this.bound = undefined;
  }

  attach(ptId: number): number {
    const change = this.#attached ? replaceDevice : attachDevice;
    const rc = change(this.bound!, NO_PASID, ptId);
    if (rc >= 0) this.#attached = true;
    return rc;
  }

  detach(): void {
    if (this.#attached) detachDevice(this.bound!, NO_PASID);
    this.#attached = false;
  }

  attachPasid(pasid: number, ptId: number): number {
    if (this.#pasids.has(pasid)) return replaceDevice(this.bound!, pasid, ptId);
    if (pasid > MAX_INT) return -Errno.ENOSPC;
    const rc = attachDevice(this.bound!, pasid, ptId);
    if (rc >= 0) this.#pasids.add(pasid);
    return rc;
  }

  detachPasid(pasid: number): void {
    if (this.#pasids.delete(pasid)) detachDevice(this.bound!, pasid);
  }

  protected doorbell(): bigint | number {
    return (this.bound === undefined ? undefined : swMsiAddress(this.bound, DOORBELL)) ?? DOORBELL;
  }

  override close(): void {
    this.endLowPower();
    this.#ioeventfds.close();
    this.dmaBufs.close();
    super.close();
  }

  wake(): void {
    if (this.lowPower?.wakeup === undefined) return;
    this.lowPower.wakeup.signal();
    this.endLowPower();
  }

  beginLowPower(wakeup: EventFd | undefined): void {
    this.lowPower = { wakeup };
    this.events.onPower(true);
    this.memoryChanged(false);
  }

  endLowPower(): void {
    if (this.lowPower === undefined) return;
    this.lowPower.wakeup?.release();
    this.lowPower = undefined;
    this.events.onPower(false);
    this.memoryChanged(this.memoryEnabled);
  }

  /** Whether other devices may reach its memory now. */
  get memoryReachable(): boolean {
    return this.memoryEnabled && this.lowPower === undefined;
  }

  protected override memoryChanged(reachable: boolean): void {
    this.dmaBufs.setRevoked(!reachable || this.lowPower !== undefined);
  }

  override ioctl(call: DeviceCall, nr: number): number {
    if (nr === VfioNr.DEVICE_GET_PCI_HOT_RESET_INFO) return hotResetInfo(this, call);
    if (nr === VfioNr.DEVICE_PCI_HOT_RESET) return hotReset(this, call);
    if (nr === VfioNr.DEVICE_IOEVENTFD) return this.#ioeventfds.ioctl(call);
    return super.ioctl(call, nr);
  }

  feature(call: DeviceCall, request: FeatureRequest): number {
    if (request.index === VfioFeature.DMA_BUF) return this.dmaBufs.get(call, request);
    return lowPowerFeature(this, call, request);
  }
}
