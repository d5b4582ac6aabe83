// Structures of VFIO's device files and of the type1 calls that /dev/iommu also answers
// (include/uapi/linux/vfio.h of Linux 7.2). `argsz` comes first in each and plays the role of `size`.
import { i32le, layout, u16le, u32le, u64le, u8, type Codec, type Layout } from "../../base/index.ts";

type U32 = Codec<number>;
type I32 = Codec<number>;
type U64 = Codec<bigint>;

/** VFIO's ioctl numbers; `_IO(';', 100 + n)`. Some are shared by containers and devices. */
export const VfioNr = {
  GET_API_VERSION: 100,
  CHECK_EXTENSION: 101,
  SET_IOMMU: 102,
  DEVICE_GET_INFO: 107,
  DEVICE_GET_REGION_INFO: 108,
  DEVICE_GET_IRQ_INFO: 109,
  DEVICE_SET_IRQS: 110,
  DEVICE_RESET: 111,
  IOMMU_GET_INFO: 112,
  DEVICE_GET_PCI_HOT_RESET_INFO: 112,
  IOMMU_MAP_DMA: 113,
  DEVICE_PCI_HOT_RESET: 113,
  IOMMU_UNMAP_DMA: 114,
  DEVICE_IOEVENTFD: 116,
  IOMMU_DIRTY_PAGES: 117,
  DEVICE_FEATURE: 117,
  DEVICE_BIND_IOMMUFD: 118,
  DEVICE_ATTACH_IOMMUFD_PT: 119,
  DEVICE_DETACH_IOMMUFD_PT: 120,
  MIG_GET_PRECOPY_INFO: 121,
} as const;

export const VFIO_API_VERSION = 0;
export const VfioExtension = {
  TYPE1_IOMMU: 1,
  TYPE1v2_IOMMU: 3,
  DMA_CC_IOMMU: 4,
  TYPE1_NESTING_IOMMU: 6,
  NOIOMMU_IOMMU: 8,
  UNMAP_ALL: 9,
  UPDATE_VADDR: 10,
} as const;

/** Heads every entry of a capability chain; `next` is an offset from the structure's start, 0 at the end. */
export const VfioInfoCapHeader: Layout<{ id: Codec<number>; version: Codec<number>; next: U32 }> = layout(
  "vfio_info_cap_header",
  8,
  { id: u16le, version: u16le, next: u32le },
);

// Type1

export const VfioIommuInfoFlag = { PGSIZES: 1, CAPS: 2 } as const;
export const VfioIommuCap = { IOVA_RANGE: 1, MIGRATION: 2, DMA_AVAIL: 3 } as const;

export const VfioIommuType1Info: Layout<{
  argsz: U32;
  flags: U32;
  iova_pgsizes: U64;
  cap_offset: U32;
  pad: U32;
}> = layout("vfio_iommu_type1_info", 24, {
  argsz: u32le,
  flags: u32le,
  iova_pgsizes: u64le,
  cap_offset: u32le,
  pad: u32le,
});
export const VfioIovaRange: Layout<{ start: U64; end: U64 }> = layout("vfio_iova_range", 16, {
  start: u64le,
  end: u64le,
});
/** Followed by `nr_iovas` of `VfioIovaRange`. */
export const VfioIommuType1InfoCapIovaRange: Layout<{
  id: Codec<number>;
  version: Codec<number>;
  next: U32;
  nr_iovas: U32;
  reserved: U32;
}> = layout("vfio_iommu_type1_info_cap_iova_range", 16, {
  id: u16le,
  version: u16le,
  next: u32le,
  nr_iovas: u32le,
  reserved: u32le,
});
export const VfioIommuType1InfoDmaAvail: Layout<{
  id: Codec<number>;
  version: Codec<number>;
  next: U32;
  avail: U32;
}> = layout("vfio_iommu_type1_info_dma_avail", 12, { id: u16le, version: u16le, next: u32le, avail: u32le });

export const VfioDmaMapFlag = { READ: 1, WRITE: 2, VADDR: 4 } as const;
export const VfioIommuType1DmaMap: Layout<{ argsz: U32; flags: U32; vaddr: U64; iova: U64; size: U64 }> = layout(
  "vfio_iommu_type1_dma_map",
  32,
  { argsz: u32le, flags: u32le, vaddr: u64le, iova: u64le, size: u64le },
);
export const VfioDmaUnmapFlag = { GET_DIRTY_BITMAP: 1, ALL: 2, VADDR: 4 } as const;
export const VfioIommuType1DmaUnmap: Layout<{ argsz: U32; flags: U32; iova: U64; size: U64 }> = layout(
  "vfio_iommu_type1_dma_unmap",
  24,
  { argsz: u32le, flags: u32le, iova: u64le, size: u64le },
);

// Device: description

export const VfioDeviceFlag = { RESET: 1, PCI: 2, PLATFORM: 4, CAPS: 0x80 } as const;
export const VfioDeviceInfo: Layout<{
  argsz: U32;
  flags: U32;
  num_regions: U32;
  num_irqs: U32;
  cap_offset: U32;
  pad: U32;
}> = layout("vfio_device_info", 24, {
  argsz: u32le,
  flags: u32le,
  num_regions: u32le,
  num_irqs: u32le,
  cap_offset: u32le,
  pad: u32le,
});
export const VfioDeviceInfoCap = {
  ZPCI_BASE: 1,
  ZPCI_GROUP: 2,
  ZPCI_UTIL: 3,
  ZPCI_PFIP: 4,
  PCI_ATOMIC_COMP: 5,
} as const;
/** Widths of atomic operations that the device completes. */
export const VfioPciAtomicComp = { BITS32: 1, BITS64: 2, BITS128: 4 } as const;
export const VfioDeviceInfoCapPciAtomicComp: Layout<{
  id: Codec<number>;
  version: Codec<number>;
  next: U32;
  flags: U32;
  reserved: U32;
}> = layout("vfio_device_info_cap_pci_atomic_comp", 16, {
  id: u16le,
  version: u16le,
  next: u32le,
  flags: u32le,
  reserved: u32le,
});

export const VfioRegionInfoFlag = { READ: 1, WRITE: 2, MMAP: 4, CAPS: 8 } as const;
export const VfioRegionInfoCap = { SPARSE_MMAP: 1, TYPE: 2, MSIX_MAPPABLE: 3 } as const;
export const VfioPciRegion = {
  BAR0: 0,
  BAR1: 1,
  BAR2: 2,
  BAR3: 3,
  BAR4: 4,
  BAR5: 5,
  ROM: 6,
  CONFIG: 7,
  VGA: 8,
} as const;
export const VFIO_PCI_NUM_REGIONS = 9;
/** A region's bytes start at `index << 40` of the device file. */
export const VFIO_PCI_OFFSET_SHIFT = 40n;

export const VfioRegionInfo: Layout<{
  argsz: U32;
  flags: U32;
  index: U32;
  cap_offset: U32;
  size: U64;
  offset: U64;
}> = layout("vfio_region_info", 32, {
  argsz: u32le,
  flags: u32le,
  index: u32le,
  cap_offset: u32le,
  size: u64le,
  offset: u64le,
});
export const VfioRegionSparseMmapArea: Layout<{ offset: U64; size: U64 }> = layout("vfio_region_sparse_mmap_area", 16, {
  offset: u64le,
  size: u64le,
});
/** Followed by `nr_areas` of `VfioRegionSparseMmapArea`. */
export const VfioRegionInfoCapSparseMmap: Layout<{
  id: Codec<number>;
  version: Codec<number>;
  next: U32;
  nr_areas: U32;
  reserved: U32;
}> = layout("vfio_region_info_cap_sparse_mmap", 16, {
  id: u16le,
  version: u16le,
  next: u32le,
  nr_areas: u32le,
  reserved: u32le,
});
export const VfioRegionInfoCapType: Layout<{
  id: Codec<number>;
  version: Codec<number>;
  next: U32;
  type: U32;
  subtype: U32;
}> = layout("vfio_region_info_cap_type", 16, { id: u16le, version: u16le, next: u32le, type: u32le, subtype: u32le });

// Device: interrupts, reset

export const VfioIrqInfoFlag = { EVENTFD: 1, MASKABLE: 2, AUTOMASKED: 4, NORESIZE: 8 } as const;
export const VfioPciIrq = { INTX: 0, MSI: 1, MSIX: 2, ERR: 3, REQ: 4 } as const;
export const VFIO_PCI_NUM_IRQS = 5;
export const VfioIrqInfo: Layout<{ argsz: U32; flags: U32; index: U32; count: U32 }> = layout("vfio_irq_info", 16, {
  argsz: u32le,
  flags: u32le,
  index: u32le,
  count: u32le,
});
export const VfioIrqSetFlag = {
  DATA_NONE: 1,
  DATA_BOOL: 2,
  DATA_EVENTFD: 4,
  ACTION_MASK: 8,
  ACTION_UNMASK: 16,
  ACTION_TRIGGER: 32,
} as const;
/** Followed by `count` bytes (DATA_BOOL) or 32-bit descriptors (DATA_EVENTFD). */
export const VfioIrqSet: Layout<{ argsz: U32; flags: U32; index: U32; start: U32; count: U32 }> = layout(
  "vfio_irq_set",
  20,
  { argsz: u32le, flags: u32le, index: u32le, start: u32le, count: u32le },
);

export const VfioPciHotResetFlag = { DEV_ID: 1, DEV_ID_OWNED: 2 } as const;
/** `id` is a group id or, with `VfioPciHotResetFlag.DEV_ID`, a device id: 0 owned without an id, -1 not owned. */
export const VfioPciDependentDevice: Layout<{
  id: I32;
  segment: Codec<number>;
  bus: Codec<number>;
  devfn: Codec<number>;
}> = layout("vfio_pci_dependent_device", 8, { id: i32le, segment: u16le, bus: u8, devfn: u8 });
/** Followed by `count` of `VfioPciDependentDevice`. */
export const VfioPciHotResetInfo: Layout<{ argsz: U32; flags: U32; count: U32 }> = layout(
  "vfio_pci_hot_reset_info",
  12,
  {
    argsz: u32le,
    flags: u32le,
    count: u32le,
  },
);
/** Followed by `count` group descriptors; none for a device opened by its own file. */
export const VfioPciHotReset: Layout<{ argsz: U32; flags: U32; count: U32 }> = layout("vfio_pci_hot_reset", 12, {
  argsz: u32le,
  flags: u32le,
  count: u32le,
});
/** Width of the write, in bytes. */
export const VfioIoeventfdFlag = { BYTES1: 1, BYTES2: 2, BYTES4: 4, BYTES8: 8 } as const;
export const VfioDeviceIoeventfd: Layout<{
  argsz: U32;
  flags: U32;
  offset: U64;
  data: U64;
  fd: I32;
  reserved: U32;
}> = layout("vfio_device_ioeventfd", 32, {
  argsz: u32le,
  flags: u32le,
  offset: u64le,
  data: u64le,
  fd: i32le,
  reserved: u32le,
});

// Device: IOMMUFD

export const VfioDeviceBindFlag = { TOKEN: 1 } as const;
export const VfioDeviceBindIommufd: Layout<{
  argsz: U32;
  flags: U32;
  iommufd: I32;
  out_devid: U32;
  token_uuid_ptr: U64;
}> = layout("vfio_device_bind_iommufd", 24, {
  argsz: u32le,
  flags: u32le,
  iommufd: i32le,
  out_devid: u32le,
  token_uuid_ptr: u64le,
});
export const VfioDeviceAttachFlag = { PASID: 1 } as const;
export const VfioDeviceAttachIommufdPt: Layout<{ argsz: U32; flags: U32; pt_id: U32; pasid: U32 }> = layout(
  "vfio_device_attach_iommufd_pt",
  16,
  { argsz: u32le, flags: u32le, pt_id: u32le, pasid: u32le },
);
export const VfioDeviceDetachIommufdPt: Layout<{ argsz: U32; flags: U32; pasid: U32 }> = layout(
  "vfio_device_detach_iommufd_pt",
  12,
  { argsz: u32le, flags: u32le, pasid: u32le },
);

// Device: features and migration

export const VfioDeviceFeatureFlag = { MASK: 0xffff, GET: 0x1_0000, SET: 0x2_0000, PROBE: 0x4_0000 } as const;
export const VfioFeature = {
  PCI_VF_TOKEN: 0,
  MIGRATION: 1,
  MIG_DEVICE_STATE: 2,
  LOW_POWER_ENTRY: 3,
  LOW_POWER_ENTRY_WITH_WAKEUP: 4,
  LOW_POWER_EXIT: 5,
  DMA_LOGGING_START: 6,
  DMA_LOGGING_STOP: 7,
  DMA_LOGGING_REPORT: 8,
  MIG_DATA_SIZE: 9,
  BUS_MASTER: 10,
  DMA_BUF: 11,
  MIG_PRECOPY_INFOv2: 12,
} as const;
/** Followed by the feature's own structure. */
export const VfioDeviceFeature: Layout<{ argsz: U32; flags: U32 }> = layout("vfio_device_feature", 8, {
  argsz: u32le,
  flags: u32le,
});
export const VfioMigrationFlag = { STOP_COPY: 1, P2P: 2, PRE_COPY: 4 } as const;
export const VfioDeviceFeatureMigration: Layout<{ flags: U64 }> = layout("vfio_device_feature_migration", 8, {
  flags: u64le,
});
export const VfioDeviceFeatureMigState: Layout<{ device_state: U32; data_fd: I32 }> = layout(
  "vfio_device_feature_mig_state",
  8,
  { device_state: u32le, data_fd: i32le },
);
export const VfioDeviceState = {
  ERROR: 0,
  STOP: 1,
  RUNNING: 2,
  STOP_COPY: 3,
  RESUMING: 4,
  RUNNING_P2P: 5,
  PRE_COPY: 6,
  PRE_COPY_P2P: 7,
} as const;
export const VfioPrecopyInfoFlag = { REINIT: 1 } as const;
export const VfioPrecopyInfo: Layout<{ argsz: U32; flags: U32; initial_bytes: U64; dirty_bytes: U64 }> = layout(
  "vfio_precopy_info",
  24,
  { argsz: u32le, flags: u32le, initial_bytes: u64le, dirty_bytes: u64le },
);
export const VfioDeviceLowPowerEntryWithWakeup: Layout<{ wakeup_eventfd: I32; reserved: U32 }> = layout(
  "vfio_device_low_power_entry_with_wakeup",
  8,
  { wakeup_eventfd: i32le, reserved: u32le },
);
export const VfioDeviceFeatureDmaLoggingControl: Layout<{
  page_size: U64;
  num_ranges: U32;
  __reserved: U32;
  ranges: U64;
}> = layout("vfio_device_feature_dma_logging_control", 24, {
  page_size: u64le,
  num_ranges: u32le,
  __reserved: u32le,
  ranges: u64le,
});
export const VfioDeviceFeatureDmaLoggingRange: Layout<{ iova: U64; length: U64 }> = layout(
  "vfio_device_feature_dma_logging_range",
  16,
  { iova: u64le, length: u64le },
);
/** They must fit one page of the kernel. */
export const MAX_LOG_RANGES = 256;
export const VfioDeviceFeatureDmaLoggingReport: Layout<{ iova: U64; length: U64; page_size: U64; bitmap: U64 }> =
  layout("vfio_device_feature_dma_logging_report", 32, { iova: u64le, length: u64le, page_size: u64le, bitmap: u64le });
export const VfioDeviceFeatureMigDataSize: Layout<{ stop_copy_length: U64 }> = layout(
  "vfio_device_feature_mig_data_size",
  8,
  { stop_copy_length: u64le },
);
export const VfioDeviceFeatureBusMaster: Layout<{ op: U32 }> = layout("vfio_device_feature_bus_master", 4, {
  op: u32le,
});
export const VfioRegionDmaRange: Layout<{ offset: U64; length: U64 }> = layout("vfio_region_dma_range", 16, {
  offset: u64le,
  length: u64le,
});
/** Followed by `nr_ranges` of `VfioRegionDmaRange`. */
export const VfioDeviceFeatureDmaBuf: Layout<{ region_index: U32; open_flags: U32; flags: U32; nr_ranges: U32 }> =
  layout("vfio_device_feature_dma_buf", 16, { region_index: u32le, open_flags: u32le, flags: u32le, nr_ranges: u32le });
