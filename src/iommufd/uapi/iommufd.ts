// Structures of /dev/iommu (include/uapi/linux/iommufd.h of Linux 7.2), each declared once.
// The first field of every request is its size, so that old and new callers and hosts understand each other.
import { array, bytes, i32le, layout, u16le, u32le, u64le, u8, type Codec, type Layout } from "../../base/index.ts";

type U8 = Codec<number>;
type U16 = Codec<number>;
type U32 = Codec<number>;
type U64 = Codec<bigint>;

/** ';', the ioctl type that IOMMUFD and VFIO share. */
export const IOMMUFD_TYPE = 0x3b;
export const IOMMUFD_CMD_BASE = 0x80;

export const IommuDestroy: Layout<{ size: U32; id: U32 }> = layout("iommu_destroy", 8, { size: u32le, id: u32le });

export const IommuIoasAlloc: Layout<{ size: U32; flags: U32; out_ioas_id: U32 }> = layout("iommu_ioas_alloc", 12, {
  size: u32le,
  flags: u32le,
  out_ioas_id: u32le,
});

export const IommuIovaRange: Layout<{ start: U64; last: U64 }> = layout("iommu_iova_range", 16, {
  start: u64le,
  last: u64le,
});

export const IommuIoasIovaRanges: Layout<{
  size: U32;
  ioas_id: U32;
  num_iovas: U32;
  __reserved: U32;
  allowed_iovas: U64;
  out_iova_alignment: U64;
}> = layout("iommu_ioas_iova_ranges", 32, {
  size: u32le,
  ioas_id: u32le,
  num_iovas: u32le,
  __reserved: u32le,
  allowed_iovas: u64le,
  out_iova_alignment: u64le,
});

export const IommuIoasAllowIovas: Layout<{
  size: U32;
  ioas_id: U32;
  num_iovas: U32;
  __reserved: U32;
  allowed_iovas: U64;
}> = layout("iommu_ioas_allow_iovas", 24, {
  size: u32le,
  ioas_id: u32le,
  num_iovas: u32le,
  __reserved: u32le,
  allowed_iovas: u64le,
});

export const IoasMapFlag = { FIXED_IOVA: 1, WRITEABLE: 2, READABLE: 4 } as const;

export const IommuIoasMap: Layout<{
  size: U32;
  flags: U32;
  ioas_id: U32;
  __reserved: U32;
  user_va: U64;
  length: U64;
  iova: U64;
}> = layout("iommu_ioas_map", 40, {
  size: u32le,
  flags: u32le,
  ioas_id: u32le,
  __reserved: u32le,
  user_va: u64le,
  length: u64le,
  iova: u64le,
});

export const IommuIoasMapFile: Layout<{
  size: U32;
  flags: U32;
  ioas_id: U32;
  fd: U32;
  start: U64;
  length: U64;
  iova: U64;
}> = layout("iommu_ioas_map_file", 40, {
  size: u32le,
  flags: u32le,
  ioas_id: u32le,
  fd: i32le,
  start: u64le,
  length: u64le,
  iova: u64le,
});

export const IommuIoasCopy: Layout<{
  size: U32;
  flags: U32;
  dst_ioas_id: U32;
  src_ioas_id: U32;
  length: U64;
  dst_iova: U64;
  src_iova: U64;
}> = layout("iommu_ioas_copy", 40, {
  size: u32le,
  flags: u32le,
  dst_ioas_id: u32le,
  src_ioas_id: u32le,
  length: u64le,
  dst_iova: u64le,
  src_iova: u64le,
});

export const IommuIoasUnmap: Layout<{ size: U32; ioas_id: U32; iova: U64; length: U64 }> = layout(
  "iommu_ioas_unmap",
  24,
  { size: u32le, ioas_id: u32le, iova: u64le, length: u64le },
);

export const IommuOptionId = { RLIMIT_MODE: 0, HUGE_PAGES: 1 } as const;
export const IommuOptionOp = { SET: 0, GET: 1 } as const;

export const IommuOption: Layout<{
  size: U32;
  option_id: U32;
  op: U16;
  __reserved: U16;
  object_id: U32;
  val64: U64;
}> = layout("iommu_option", 24, {
  size: u32le,
  option_id: u32le,
  op: u16le,
  __reserved: u16le,
  object_id: u32le,
  val64: u64le,
});

export const VfioIoasOp = { GET: 0, SET: 1, CLEAR: 2 } as const;

export const IommuVfioIoas: Layout<{ size: U32; ioas_id: U32; op: U16; __reserved: U16 }> = layout(
  "iommu_vfio_ioas",
  12,
  { size: u32le, ioas_id: u32le, op: u16le, __reserved: u16le },
);

export const IommuIoasChangeProcess: Layout<{ size: U32; __reserved: U32 }> = layout("iommu_ioas_change_process", 8, {
  size: u32le,
  __reserved: u32le,
});

export const HwptAllocFlag = { NEST_PARENT: 1, DIRTY_TRACKING: 2, FAULT_ID_VALID: 4, PASID: 8 } as const;
export const HwptDataType = { NONE: 0, VTD_S1: 1, ARM_SMMUV3: 2, AMD_GUEST: 3 } as const;

export const IommuHwptAlloc: Layout<{
  size: U32;
  flags: U32;
  dev_id: U32;
  pt_id: U32;
  out_hwpt_id: U32;
  __reserved: U32;
  data_type: U32;
  data_len: U32;
  data_uptr: U64;
  fault_id: U32;
  __reserved2: U32;
}> = layout("iommu_hwpt_alloc", 48, {
  size: u32le,
  flags: u32le,
  dev_id: u32le,
  pt_id: u32le,
  out_hwpt_id: u32le,
  __reserved: u32le,
  data_type: u32le,
  data_len: u32le,
  data_uptr: u64le,
  fault_id: u32le,
  __reserved2: u32le,
});

export const HwInfoType = { NONE: 0, DEFAULT: 0, INTEL_VTD: 1, ARM_SMMUV3: 2, TEGRA241_CMDQV: 3, AMD: 4 } as const;
export const HwCapability = {
  DIRTY_TRACKING: 1,
  PCI_PASID_EXEC: 2,
  PCI_PASID_PRIV: 4,
  PCI_ATS_NOT_SUPPORTED: 8,
} as const;
export const HwInfoFlag = { INPUT_TYPE: 1 } as const;

/** `data_type` is the wanted type on the way in (with `HwInfoFlag.INPUT_TYPE`), the found one on the way out. */
export const IommuHwInfo: Layout<{
  size: U32;
  flags: U32;
  dev_id: U32;
  data_len: U32;
  data_uptr: U64;
  data_type: U32;
  out_max_pasid_log2: U8;
  __reserved: Codec<Uint8Array>;
  out_capabilities: U64;
}> = layout("iommu_hw_info", 40, {
  size: u32le,
  flags: u32le,
  dev_id: u32le,
  data_len: u32le,
  data_uptr: u64le,
  data_type: u32le,
  out_max_pasid_log2: u8,
  __reserved: bytes(3),
  out_capabilities: u64le,
});

export const SetDirtyTrackingFlag = { ENABLE: 1 } as const;

export const IommuHwptSetDirtyTracking: Layout<{ size: U32; flags: U32; hwpt_id: U32; __reserved: U32 }> = layout(
  "iommu_hwpt_set_dirty_tracking",
  16,
  { size: u32le, flags: u32le, hwpt_id: u32le, __reserved: u32le },
);

export const GetDirtyBitmapFlag = { NO_CLEAR: 1 } as const;

export const IommuHwptGetDirtyBitmap: Layout<{
  size: U32;
  hwpt_id: U32;
  flags: U32;
  __reserved: U32;
  iova: U64;
  length: U64;
  page_size: U64;
  data: U64;
}> = layout("iommu_hwpt_get_dirty_bitmap", 48, {
  size: u32le,
  hwpt_id: u32le,
  flags: u32le,
  __reserved: u32le,
  iova: u64le,
  length: u64le,
  page_size: u64le,
  data: u64le,
});

export const InvalidateDataType = { VTD_S1: 0, VIOMMU_ARM_SMMUV3: 1 } as const;

export const IommuHwptInvalidate: Layout<{
  size: U32;
  hwpt_id: U32;
  data_uptr: U64;
  data_type: U32;
  entry_len: U32;
  entry_num: U32;
  __reserved: U32;
}> = layout("iommu_hwpt_invalidate", 32, {
  size: u32le,
  hwpt_id: u32le,
  data_uptr: u64le,
  data_type: u32le,
  entry_len: u32le,
  entry_num: u32le,
  __reserved: u32le,
});

export const PgfaultFlag = { PASID_VALID: 1, LAST_PAGE: 2 } as const;
export const PgfaultPerm = { READ: 1, WRITE: 2, EXEC: 4, PRIV: 8 } as const;

/** What a read of a fault descriptor returns, record by record. */
export const IommuHwptPgfault: Layout<{
  flags: U32;
  dev_id: U32;
  pasid: U32;
  grpid: U32;
  perm: U32;
  __reserved: U32;
  addr: U64;
  length: U32;
  cookie: U32;
}> = layout("iommu_hwpt_pgfault", 40, {
  flags: u32le,
  dev_id: u32le,
  pasid: u32le,
  grpid: u32le,
  perm: u32le,
  __reserved: u32le,
  addr: u64le,
  length: u32le,
  cookie: u32le,
});

export const PageResponseCode = { SUCCESS: 0, INVALID: 1 } as const;

/** What is written to a fault descriptor. */
export const IommuHwptPageResponse: Layout<{ cookie: U32; code: U32 }> = layout("iommu_hwpt_page_response", 8, {
  cookie: u32le,
  code: u32le,
});

export const IommuFaultAlloc: Layout<{ size: U32; flags: U32; out_fault_id: U32; out_fault_fd: U32 }> = layout(
  "iommu_fault_alloc",
  16,
  { size: u32le, flags: u32le, out_fault_id: u32le, out_fault_fd: u32le },
);

export const ViommuType = { DEFAULT: 0, ARM_SMMUV3: 1, TEGRA241_CMDQV: 2 } as const;

export const IommuViommuAlloc: Layout<{
  size: U32;
  flags: U32;
  type: U32;
  dev_id: U32;
  hwpt_id: U32;
  out_viommu_id: U32;
  data_len: U32;
  __reserved: U32;
  data_uptr: U64;
}> = layout("iommu_viommu_alloc", 40, {
  size: u32le,
  flags: u32le,
  type: u32le,
  dev_id: u32le,
  hwpt_id: u32le,
  out_viommu_id: u32le,
  data_len: u32le,
  __reserved: u32le,
  data_uptr: u64le,
});

export const IommuVdeviceAlloc: Layout<{
  size: U32;
  viommu_id: U32;
  dev_id: U32;
  out_vdevice_id: U32;
  virt_id: U64;
}> = layout("iommu_vdevice_alloc", 24, {
  size: u32le,
  viommu_id: u32le,
  dev_id: u32le,
  out_vdevice_id: u32le,
  virt_id: u64le,
});

export const VeventqFlag = { LOST_EVENTS: 1 } as const;
export const VeventqType = { DEFAULT: 0, ARM_SMMUV3: 1, TEGRA241_CMDQV: 2 } as const;

/** Precedes every event in a read of an event queue's descriptor. */
export const IommufdVeventHeader: Layout<{ flags: U32; sequence: U32 }> = layout("iommufd_vevent_header", 8, {
  flags: u32le,
  sequence: u32le,
});

export const IommuVeventqAlloc: Layout<{
  size: U32;
  flags: U32;
  viommu_id: U32;
  type: U32;
  veventq_depth: U32;
  out_veventq_id: U32;
  out_veventq_fd: U32;
  __reserved: U32;
}> = layout("iommu_veventq_alloc", 32, {
  size: u32le,
  flags: u32le,
  viommu_id: u32le,
  type: u32le,
  veventq_depth: u32le,
  out_veventq_id: u32le,
  out_veventq_fd: u32le,
  __reserved: u32le,
});

export const HwQueueType = { DEFAULT: 0, TEGRA241_CMDQV: 1 } as const;

export const IommuHwQueueAlloc: Layout<{
  size: U32;
  flags: U32;
  viommu_id: U32;
  type: U32;
  index: U32;
  out_hw_queue_id: U32;
  nesting_parent_iova: U64;
  length: U64;
}> = layout("iommu_hw_queue_alloc", 40, {
  size: u32le,
  flags: u32le,
  viommu_id: u32le,
  type: u32le,
  index: u32le,
  out_hw_queue_id: u32le,
  nesting_parent_iova: u64le,
  length: u64le,
});

// Data of particular IOMMU models, carried by the requests above.

export const IommuHwptVtdS1: Layout<{ flags: U64; pgtbl_addr: U64; addr_width: U32; __reserved: U32 }> = layout(
  "iommu_hwpt_vtd_s1",
  24,
  { flags: u64le, pgtbl_addr: u64le, addr_width: u32le, __reserved: u32le },
);
export const VtdS1Flag = { SRE: 1, EAFE: 2, WPE: 4 } as const;

export const IommuHwptArmSmmuv3: Layout<{ ste: Codec<bigint[]> }> = layout("iommu_hwpt_arm_smmuv3", 16, {
  ste: array(u64le, 2),
});

export const IommuHwptAmdGuest: Layout<{ dte: Codec<bigint[]> }> = layout("iommu_hwpt_amd_guest", 32, {
  dte: array(u64le, 4),
});

export const IommuHwInfoVtd: Layout<{ flags: U32; __reserved: U32; cap_reg: U64; ecap_reg: U64 }> = layout(
  "iommu_hw_info_vtd",
  24,
  { flags: u32le, __reserved: u32le, cap_reg: u64le, ecap_reg: u64le },
);

export const IommuHwInfoArmSmmuv3: Layout<{
  flags: U32;
  __reserved: U32;
  idr: Codec<number[]>;
  iidr: U32;
  aidr: U32;
}> = layout("iommu_hw_info_arm_smmuv3", 40, {
  flags: u32le,
  __reserved: u32le,
  idr: array(u32le, 6),
  iidr: u32le,
  aidr: u32le,
});

export const IommuHwInfoTegra241Cmdqv: Layout<{
  flags: U32;
  version: U8;
  log2vcmdqs: U8;
  log2vsids: U8;
  __reserved: U8;
}> = layout("iommu_hw_info_tegra241_cmdqv", 8, {
  flags: u32le,
  version: u8,
  log2vcmdqs: u8,
  log2vsids: u8,
  __reserved: u8,
});

export const IommuHwInfoAmd: Layout<{ efr: U64; efr2: U64 }> = layout("iommu_hw_info_amd", 16, {
  efr: u64le,
  efr2: u64le,
});

export const IommuHwptVtdS1Invalidate: Layout<{ addr: U64; npages: U64; flags: U32; __reserved: U32 }> = layout(
  "iommu_hwpt_vtd_s1_invalidate",
  24,
  { addr: u64le, npages: u64le, flags: u32le, __reserved: u32le },
);

export const IommuViommuArmSmmuv3Invalidate: Layout<{ cmd: Codec<bigint[]> }> = layout(
  "iommu_viommu_arm_smmuv3_invalidate",
  16,
  { cmd: array(u64le, 2) },
);

export const IommuViommuTegra241Cmdqv: Layout<{ out_vintf_mmap_offset: U64; out_vintf_mmap_length: U64 }> = layout(
  "iommu_viommu_tegra241_cmdqv",
  16,
  { out_vintf_mmap_offset: u64le, out_vintf_mmap_length: u64le },
);

export const IommuVeventArmSmmuv3: Layout<{ evt: Codec<bigint[]> }> = layout("iommu_vevent_arm_smmuv3", 32, {
  evt: array(u64le, 4),
});

export const IommuVeventTegra241Cmdqv: Layout<{ lvcmdq_err_map: Codec<bigint[]> }> = layout(
  "iommu_vevent_tegra241_cmdqv",
  16,
  { lvcmdq_err_map: array(u64le, 2) },
);
