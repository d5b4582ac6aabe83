// The one table of the ioctls of VFIO's device files: name, number, structure. What follows a structure, and which of its
// fields are read, is the call's own affair.
import type { AnyLayout } from "./ioctls.ts";
import * as s from "./vfio.ts";

export interface VfioIoctlRow<L extends AnyLayout | undefined = AnyLayout | undefined> {
  readonly name: string;
  readonly nr: number;
  /** Absent for a call without argument. */
  readonly layout: L;
}

function row<L extends AnyLayout | undefined>(name: string, nr: number, layout: L): VfioIoctlRow<L> {
  return { name, nr, layout };
}

const nr = s.VfioNr;

export const vfioDeviceIoctls: {
  readonly bind: VfioIoctlRow<typeof s.VfioDeviceBindIommufd>;
  readonly attach: VfioIoctlRow<typeof s.VfioDeviceAttachIommufdPt>;
  readonly detach: VfioIoctlRow<typeof s.VfioDeviceDetachIommufdPt>;
  readonly getInfo: VfioIoctlRow<typeof s.VfioDeviceInfo>;
  readonly getRegionInfo: VfioIoctlRow<typeof s.VfioRegionInfo>;
  readonly getIrqInfo: VfioIoctlRow<typeof s.VfioIrqInfo>;
  readonly setIrqs: VfioIoctlRow<typeof s.VfioIrqSet>;
  readonly reset: VfioIoctlRow<undefined>;
  readonly getHotResetInfo: VfioIoctlRow<typeof s.VfioPciHotResetInfo>;
  readonly hotReset: VfioIoctlRow<typeof s.VfioPciHotReset>;
  readonly ioeventfd: VfioIoctlRow<typeof s.VfioDeviceIoeventfd>;
  readonly feature: VfioIoctlRow<typeof s.VfioDeviceFeature>;
  readonly getPrecopyInfo: VfioIoctlRow<typeof s.VfioPrecopyInfo>;
} = {
  bind: row("VFIO_DEVICE_BIND_IOMMUFD", nr.DEVICE_BIND_IOMMUFD, s.VfioDeviceBindIommufd),
  attach: row("VFIO_DEVICE_ATTACH_IOMMUFD_PT", nr.DEVICE_ATTACH_IOMMUFD_PT, s.VfioDeviceAttachIommufdPt),
  detach: row("VFIO_DEVICE_DETACH_IOMMUFD_PT", nr.DEVICE_DETACH_IOMMUFD_PT, s.VfioDeviceDetachIommufdPt),
  getInfo: row("VFIO_DEVICE_GET_INFO", nr.DEVICE_GET_INFO, s.VfioDeviceInfo),
  getRegionInfo: row("VFIO_DEVICE_GET_REGION_INFO", nr.DEVICE_GET_REGION_INFO, s.VfioRegionInfo),
  getIrqInfo: row("VFIO_DEVICE_GET_IRQ_INFO", nr.DEVICE_GET_IRQ_INFO, s.VfioIrqInfo),
  setIrqs: row("VFIO_DEVICE_SET_IRQS", nr.DEVICE_SET_IRQS, s.VfioIrqSet),
  reset: row("VFIO_DEVICE_RESET", nr.DEVICE_RESET, undefined),
  getHotResetInfo: row("VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", nr.DEVICE_GET_PCI_HOT_RESET_INFO, s.VfioPciHotResetInfo),
  hotReset: row("VFIO_DEVICE_PCI_HOT_RESET", nr.DEVICE_PCI_HOT_RESET, s.VfioPciHotReset),
  ioeventfd: row("VFIO_DEVICE_IOEVENTFD", nr.DEVICE_IOEVENTFD, s.VfioDeviceIoeventfd),
  feature: row("VFIO_DEVICE_FEATURE", nr.DEVICE_FEATURE, s.VfioDeviceFeature),
  getPrecopyInfo: row("VFIO_MIG_GET_PRECOPY_INFO", nr.MIG_GET_PRECOPY_INFO, s.VfioPrecopyInfo),
};

export type VfioDeviceIoctl = keyof typeof vfioDeviceIoctls;
