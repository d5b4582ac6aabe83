// The one table of /dev/iommu's ioctls: number, structure, least size, and the checks that need no state.
// Dispatch, client, tests and documentation are derived from it.
import { IommuTestCmd } from "./iommu-test.ts";
import * as s from "./iommufd.ts";

/** A layout of which only the bytes matter. */
export interface AnyLayout {
  readonly name: string;
  readonly lengthBytes: number;
  readonly offsets: Readonly<Record<string, number>>;
  decode(source: Uint8Array, offset?: number): object;
  encode(values: object, target?: Uint8Array, offset?: number): Uint8Array;
}

/** One ioctl. Size rule: a caller's size below `minBytes` is EINVAL; non-zero bytes past the structure are E2BIG. */
export interface IoctlRow<L extends AnyLayout = AnyLayout> {
  readonly name: string;
  /** `_IOC_NR`. */
  readonly nr: number;
  readonly layout: L;
  readonly minBytes: number;
  /** Fields that must be zero, else EOPNOTSUPP. */
  readonly reserved?: readonly string[];
  /** Bits of `flags` that are known; others are EOPNOTSUPP. Absent: the call itself decides. */
  readonly knownFlags?: number;
  /** Types for which 0 means "none given": EOPNOTSUPP. */
  readonly needsType?: boolean;
}

function row<L extends AnyLayout>(r: IoctlRow<L>): IoctlRow<L> {
  return r;
}

const mapFlags = 7;

export const iommufdIoctls: {
  readonly destroy: IoctlRow<typeof s.IommuDestroy>;
  readonly ioasAlloc: IoctlRow<typeof s.IommuIoasAlloc>;
  readonly ioasAllowIovas: IoctlRow<typeof s.IommuIoasAllowIovas>;
  readonly ioasCopy: IoctlRow<typeof s.IommuIoasCopy>;
  readonly ioasIovaRanges: IoctlRow<typeof s.IommuIoasIovaRanges>;
  readonly ioasMap: IoctlRow<typeof s.IommuIoasMap>;
  readonly ioasUnmap: IoctlRow<typeof s.IommuIoasUnmap>;
  readonly option: IoctlRow<typeof s.IommuOption>;
  readonly vfioIoas: IoctlRow<typeof s.IommuVfioIoas>;
  readonly hwptAlloc: IoctlRow<typeof s.IommuHwptAlloc>;
  readonly getHwInfo: IoctlRow<typeof s.IommuHwInfo>;
  readonly hwptSetDirtyTracking: IoctlRow<typeof s.IommuHwptSetDirtyTracking>;
  readonly hwptGetDirtyBitmap: IoctlRow<typeof s.IommuHwptGetDirtyBitmap>;
  readonly hwptInvalidate: IoctlRow<typeof s.IommuHwptInvalidate>;
  readonly faultQueueAlloc: IoctlRow<typeof s.IommuFaultAlloc>;
  readonly ioasMapFile: IoctlRow<typeof s.IommuIoasMapFile>;
  readonly viommuAlloc: IoctlRow<typeof s.IommuViommuAlloc>;
  readonly vdeviceAlloc: IoctlRow<typeof s.IommuVdeviceAlloc>;
  readonly ioasChangeProcess: IoctlRow<typeof s.IommuIoasChangeProcess>;
  readonly veventqAlloc: IoctlRow<typeof s.IommuVeventqAlloc>;
  readonly hwQueueAlloc: IoctlRow<typeof s.IommuHwQueueAlloc>;
} = {
  destroy: row({ name: "IOMMU_DESTROY", nr: 0x80, layout: s.IommuDestroy, minBytes: 8 }),
  ioasAlloc: row({ name: "IOMMU_IOAS_ALLOC", nr: 0x81, layout: s.IommuIoasAlloc, minBytes: 12, knownFlags: 0 }),
  ioasAllowIovas: row({
    name: "IOMMU_IOAS_ALLOW_IOVAS",
    nr: 0x82,
    layout: s.IommuIoasAllowIovas,
    minBytes: 24,
    reserved: ["__reserved"],
  }),
  ioasCopy: row({
    name: "IOMMU_IOAS_COPY",
    nr: 0x83,
    layout: s.IommuIoasCopy,
    minBytes: 40,
    knownFlags: mapFlags,
  }),
  ioasIovaRanges: row({
    name: "IOMMU_IOAS_IOVA_RANGES",
    nr: 0x84,
    layout: s.IommuIoasIovaRanges,
    minBytes: 32,
    reserved: ["__reserved"],
  }),
  ioasMap: row({
    name: "IOMMU_IOAS_MAP",
    nr: 0x85,
    layout: s.IommuIoasMap,
    minBytes: 40,
    knownFlags: mapFlags,
    reserved: ["__reserved"],
  }),
  ioasUnmap: row({ name: "IOMMU_IOAS_UNMAP", nr: 0x86, layout: s.IommuIoasUnmap, minBytes: 24 }),
  option: row({ name: "IOMMU_OPTION", nr: 0x87, layout: s.IommuOption, minBytes: 24, reserved: ["__reserved"] }),
  vfioIoas: row({
    name: "IOMMU_VFIO_IOAS",
    nr: 0x88,
    layout: s.IommuVfioIoas,
    minBytes: 12,
    reserved: ["__reserved"],
  }),
  hwptAlloc: row({
    name: "IOMMU_HWPT_ALLOC",
    nr: 0x89,
    layout: s.IommuHwptAlloc,
    minBytes: 24,
    reserved: ["__reserved"],
  }),
  getHwInfo: row({
    name: "IOMMU_GET_HW_INFO",
    nr: 0x8a,
    layout: s.IommuHwInfo,
    minBytes: 32,
    knownFlags: 1,
    reserved: ["__reserved"],
  }),
  // The reserved field is not looked at by 7.2.
  hwptSetDirtyTracking: row({
    name: "IOMMU_HWPT_SET_DIRTY_TRACKING",
    nr: 0x8b,
    layout: s.IommuHwptSetDirtyTracking,
    minBytes: 16,
    knownFlags: 1,
  }),
  hwptGetDirtyBitmap: row({
    name: "IOMMU_HWPT_GET_DIRTY_BITMAP",
    nr: 0x8c,
    layout: s.IommuHwptGetDirtyBitmap,
    minBytes: 48,
    knownFlags: 1,
    reserved: ["__reserved"],
  }),
  // The reserved field is checked by the call, which writes entry_num back first.
  hwptInvalidate: row({ name: "IOMMU_HWPT_INVALIDATE", nr: 0x8d, layout: s.IommuHwptInvalidate, minBytes: 32 }),
  faultQueueAlloc: row({
    name: "IOMMU_FAULT_QUEUE_ALLOC",
    nr: 0x8e,
    layout: s.IommuFaultAlloc,
    minBytes: 16,
    knownFlags: 0,
  }),
  ioasMapFile: row({
    name: "IOMMU_IOAS_MAP_FILE",
    nr: 0x8f,
    layout: s.IommuIoasMapFile,
    minBytes: 40,
    knownFlags: mapFlags,
  }),
  viommuAlloc: row({
    name: "IOMMU_VIOMMU_ALLOC",
    nr: 0x90,
    layout: s.IommuViommuAlloc,
    minBytes: 24,
    knownFlags: 0,
    needsType: true,
  }),
  vdeviceAlloc: row({ name: "IOMMU_VDEVICE_ALLOC", nr: 0x91, layout: s.IommuVdeviceAlloc, minBytes: 24 }),
  ioasChangeProcess: row({
    name: "IOMMU_IOAS_CHANGE_PROCESS",
    nr: 0x92,
    layout: s.IommuIoasChangeProcess,
    minBytes: 8,
    reserved: ["__reserved"],
  }),
  veventqAlloc: row({
    name: "IOMMU_VEVENTQ_ALLOC",
    nr: 0x93,
    layout: s.IommuVeventqAlloc,
    minBytes: 28,
    knownFlags: 0,
    reserved: ["__reserved"],
    needsType: true,
  }),
  hwQueueAlloc: row({
    name: "IOMMU_HW_QUEUE_ALLOC",
    nr: 0x94,
    layout: s.IommuHwQueueAlloc,
    minBytes: 40,
    knownFlags: 0,
    needsType: true,
  }),
};

export type IommufdIoctl = keyof typeof iommufdIoctls;
/** The decoded structure of an ioctl. */
export type IommufdRequest<K extends IommufdIoctl> = ReturnType<(typeof iommufdIoctls)[K]["layout"]["decode"]>;

/** The kernel's private test interface; present only in kernels built for testing, here behind an option. */
export const iommuTestIoctl: IoctlRow<typeof IommuTestCmd> = row({
  name: "IOMMU_TEST_CMD",
  nr: 0xa0,
  layout: IommuTestCmd,
  minBytes: 68,
});

/** `_IO(';', nr)`: what the caller passes as the command. */
export function ioctlCommand(nr: number): number {
  return (s.IOMMUFD_TYPE << 8) | nr;
}
