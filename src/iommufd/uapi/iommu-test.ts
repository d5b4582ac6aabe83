// The kernel's private test interface (drivers/iommu/iommufd/iommufd_test.h of Linux 7.2): one structure, many operations.
import {
  bytes,
  i32le,
  layout,
  openEnum,
  u32le,
  u64le,
  type Codec,
  type Layout,
  type OpenEnum,
} from "../../base/index.ts";

type U32 = Codec<number>;
type U64 = Codec<bigint>;

const testOps = {
  ADD_RESERVED: 1,
  MOCK_DOMAIN: 2,
  MD_CHECK_MAP: 3,
  MD_CHECK_REFS: 4,
  CREATE_ACCESS: 5,
  DESTROY_ACCESS_PAGES: 6,
  ACCESS_PAGES: 7,
  ACCESS_RW: 8,
  SET_TEMP_MEMORY_LIMIT: 9,
  MOCK_DOMAIN_REPLACE: 10,
  ACCESS_REPLACE_IOAS: 11,
  MOCK_DOMAIN_FLAGS: 12,
  DIRTY: 13,
  MD_CHECK_IOTLB: 14,
  TRIGGER_IOPF: 15,
  DEV_CHECK_CACHE: 16,
  TRIGGER_VEVENT: 17,
  PASID_ATTACH: 18,
  PASID_REPLACE: 19,
  PASID_DETACH: 20,
  PASID_CHECK_HWPT: 21,
  DMABUF_GET: 22,
  DMABUF_REVOKE: 23,
} as const;
export const TestOp: OpenEnum<typeof testOps> = openEnum("IOMMU_TEST_OP", testOps);

/** `u` is the union; its members are the `Test…` layouts below, padded to its size. */
export const IommuTestCmd: Layout<{
  size: U32;
  op: U32;
  id: U32;
  __reserved: U32;
  u: Codec<Uint8Array>;
  last: U32;
  _tail: U32;
}> = layout("iommu_test_cmd", 72, {
  size: u32le,
  op: u32le,
  id: u32le,
  __reserved: u32le,
  u: bytes(48),
  last: u32le,
  _tail: u32le,
});

export const TestAddReserved: Layout<{ start: U64; length: U64 }> = layout("add_reserved", 16, {
  start: u64le,
  length: u64le,
});
export const TestMockDomain: Layout<{ out_stdev_id: U32; out_hwpt_id: U32; out_idev_id: U32; dev_flags: U32 }> = layout(
  "mock_domain_flags",
  16,
  { out_stdev_id: u32le, out_hwpt_id: u32le, out_idev_id: u32le, dev_flags: u32le },
);
export const TestReplace: Layout<{ pt_id: U32 }> = layout("mock_domain_replace", 4, { pt_id: u32le });
export const TestCheckMap: Layout<{ iova: U64; length: U64; uptr: U64 }> = layout("check_map", 24, {
  iova: u64le,
  length: u64le,
  uptr: u64le,
});
export const TestCheckRefs: Layout<{ length: U64; uptr: U64; refs: U32; _pad: U32 }> = layout("check_refs", 24, {
  length: u64le,
  uptr: u64le,
  refs: u32le,
  _pad: u32le,
});
export const TestCreateAccess: Layout<{ out_access_fd: U32; flags: U32 }> = layout("create_access", 8, {
  out_access_fd: u32le,
  flags: u32le,
});
export const TestAccessPages: Layout<{
  flags: U32;
  out_access_pages_id: U32;
  iova: U64;
  length: U64;
  uptr: U64;
}> = layout("access_pages", 32, {
  flags: u32le,
  out_access_pages_id: u32le,
  iova: u64le,
  length: u64le,
  uptr: u64le,
});
export const TestAccessRw: Layout<{ iova: U64; length: U64; uptr: U64; flags: U32; _pad: U32 }> = layout(
  "access_rw",
  32,
  { iova: u64le, length: u64le, uptr: u64le, flags: u32le, _pad: u32le },
);
export const TestDirty: Layout<{
  flags: U32;
  _pad: U32;
  iova: U64;
  length: U64;
  page_size: U64;
  uptr: U64;
  out_nr_dirty: U64;
}> = layout("dirty", 48, {
  flags: u32le,
  _pad: u32le,
  iova: u64le,
  length: u64le,
  page_size: u64le,
  uptr: u64le,
  out_nr_dirty: u64le,
});
/** Members of one or two words: check_iotlb {id, iotlb}, check_dev_cache {id, cache}, pasid_* {pasid, pt_id or hwpt_id}, … */
export const TestPair: Layout<{ first: U32; second: U32 }> = layout("pair", 8, { first: u32le, second: u32le });
export const TestTriggerIopf: Layout<{
  dev_id: U32;
  pasid: U32;
  grpid: U32;
  perm: U32;
  addr: U64;
}> = layout("trigger_iopf", 24, { dev_id: u32le, pasid: u32le, grpid: u32le, perm: u32le, addr: u64le });
export const TestDmabufRevoke: Layout<{ dmabuf_fd: Codec<number>; revoked: U32 }> = layout("dmabuf_revoke", 8, {
  dmabuf_fd: i32le,
  revoked: u32le,
});

export const MockDeviceFlag = { NO_DIRTY: 1, PASID: 4 } as const;
export const MockAccessCreateFlag = { NEEDS_PIN_PAGES: 1 } as const;
export const MockAccessPagesFlag = { WRITE: 1, SYZ: 0x1_0000 } as const;
export const MockAccessRwFlag = { WRITE: 1, SLOW_PATH: 4 } as const;
export const MockPageTable = { DEFAULT: 0, HUGE: 1 } as const;

/** Aperture and page sizes of the mock unit's default page table; in bytes. */
export const MOCK_APERTURE_START = 0x100_0000n;
export const MOCK_APERTURE_LAST: bigint = (1n << 31n) - 1n;
export const MOCK_PAGE_SIZE = 2048;
export const MOCK_HUGE_PAGE_SIZE: number = 512 * MOCK_PAGE_SIZE;
export const MOCK_PASID_WIDTH = 20;
/** The PASID whose second attachment the mock unit fails once. */
export const IOMMU_TEST_PASID_RESERVED = 1024;

export const IOMMU_HW_INFO_TYPE_SELFTEST = 0xfeedbeef;
export const IOMMU_HW_INFO_SELFTEST_REGVAL = 0xdeadbeef;
export const IommuTestHwInfo: Layout<{ flags: U32; test_reg: U32 }> = layout("iommu_test_hw_info", 8, {
  flags: u32le,
  test_reg: u32le,
});

export const IOMMU_HWPT_DATA_SELFTEST = 0xdead;
export const IOMMU_TEST_IOTLB_DEFAULT = 0xbadbeef;
export const IOMMU_TEST_DEV_CACHE_DEFAULT = 0xbaddad;
export const MOCK_IOTLB_NUM = 4;
export const MOCK_DEV_CACHE_NUM = 4;
export const IommuHwptSelftest: Layout<{ iotlb: U32; pagetable_type: U32 }> = layout("iommu_hwpt_selftest", 8, {
  iotlb: u32le,
  pagetable_type: u32le,
});

export const IOMMU_HWPT_INVALIDATE_DATA_SELFTEST = 0xdeadbeef;
export const INVALIDATE_FLAG_ALL = 1;
export const IommuHwptInvalidateSelftest: Layout<{ flags: U32; iotlb_id: U32 }> = layout(
  "iommu_hwpt_invalidate_selftest",
  8,
  { flags: u32le, iotlb_id: u32le },
);

export const IOMMU_VIOMMU_TYPE_SELFTEST = 0xdeadbeef;
export const IommuViommuSelftest: Layout<{
  in_data: U32;
  out_data: U32;
  out_mmap_offset: U64;
  out_mmap_length: U64;
}> = layout("iommu_viommu_selftest", 24, {
  in_data: u32le,
  out_data: u32le,
  out_mmap_offset: u64le,
  out_mmap_length: u64le,
});

export const IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST = 0xdeadbeef;
export const IommuViommuInvalidateSelftest: Layout<{ flags: U32; vdev_id: U32; cache_id: U32 }> = layout(
  "iommu_viommu_invalidate_selftest",
  12,
  { flags: u32le, vdev_id: u32le, cache_id: u32le },
);

export const IOMMU_VEVENTQ_TYPE_SELFTEST = 0xbeefbeef;
export const IommuViommuEventSelftest: Layout<{ virt_id: U32 }> = layout("iommu_viommu_event_selftest", 4, {
  virt_id: u32le,
});

export const IOMMU_HW_QUEUE_TYPE_SELFTEST = 0xdeadbeef;
export const IOMMU_TEST_HW_QUEUE_MAX = 2;
