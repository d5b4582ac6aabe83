// A fuzz program is steps of 128 bytes each, so that any bytes are one and mutation needs no grammar. How a step is read
// stands in run-program.ts.
import { iommufdIoctls, iommuTestIoctl, VfioNr, type IoctlRow } from "../../../src/iommufd/index.ts";

export const STEP_BYTES = 128;
export const REQUEST_AT = 8;
export const REQUEST_BYTES = 88;
export const PAYLOAD_AT: number = REQUEST_AT + REQUEST_BYTES;
export const PAYLOAD_BYTES: number = STEP_BYTES - PAYLOAD_AT;

/** What a step does; its first byte modulo their number. */
export const StepKind = {
  IOCTL: 0,
  VFIO: 1,
  READ: 2,
  WRITE: 3,
  CLOSE: 4,
  DUPLICATE: 5,
  MMAP: 6,
  UNMAP: 7,
  ATTACH: 8,
  REPLACE: 9,
  DETACH: 10,
  DMA: 11,
  PAGE_REQUEST: 12,
  STREAM_EVENT: 13,
  SW_MSI: 14,
  DRIVER_ACCESS: 15,
  FAIL: 16,
  POLL: 17,
  OPEN: 18,
} as const;
export const KINDS = 19;

/** Every ioctl of /dev/iommu; VFIO's by their raw number. */
export const ROWS: readonly IoctlRow[] = [...Object.values(iommufdIoctls), iommuTestIoctl];
export const VFIO_NUMBERS: readonly number[] = [
  VfioNr.GET_API_VERSION,
  VfioNr.CHECK_EXTENSION,
  VfioNr.SET_IOMMU,
  VfioNr.IOMMU_GET_INFO,
  VfioNr.IOMMU_MAP_DMA,
  VfioNr.IOMMU_UNMAP_DMA,
  VfioNr.IOMMU_DIRTY_PAGES,
];

/** Where in the caller's memory requests and what they point to lie. */
export const REQUEST_VA = 0x1000;
export const PAYLOAD_VA = 0x800;
