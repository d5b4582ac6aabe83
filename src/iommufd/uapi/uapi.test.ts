import { describe, expect, test } from "vitest";
import type { Layout } from "../../base/index.ts";
import { Errno, explainErrno } from "./errno.ts";
import * as iommufd from "./iommufd.ts";
import { ioctlCommand, iommufdIoctls, iommuTestIoctl } from "./ioctls.ts";
import * as mock from "./iommu-test.ts";
import * as vfio from "./vfio.ts";

function isLayout(value: unknown): value is Layout<never> {
  return typeof value === "object" && value !== null && "offsets" in value && "lengthBytes" in value;
}
const mockLayouts = Object.values(mock).filter(isLayout);

describe("ioctl table", () => {
  test("the commands are the kernel's, from 0x3b80 on without a gap", () => {
    const commands = Object.values(iommufdIoctls)
      .map((r) => ioctlCommand(r.nr))
      .sort((a, b) => a - b);
    expect(commands).toEqual(Array.from({ length: 21 }, (_, i) => 0x3b80 + i));
    expect(ioctlCommand(iommuTestIoctl.nr)).toBe(0x3ba0);
  });

  test("structure sizes and least sizes are the kernel's", () => {
    const sizes = Object.fromEntries(
      [...Object.values(iommufdIoctls), iommuTestIoctl].map((r) => [r.name, [r.layout.lengthBytes, r.minBytes]]),
    );
    expect(sizes).toEqual({
      IOMMU_DESTROY: [8, 8],
      IOMMU_IOAS_ALLOC: [12, 12],
      IOMMU_IOAS_ALLOW_IOVAS: [24, 24],
      IOMMU_IOAS_COPY: [40, 40],
      IOMMU_IOAS_IOVA_RANGES: [32, 32],
      IOMMU_IOAS_MAP: [40, 40],
      IOMMU_IOAS_UNMAP: [24, 24],
      IOMMU_OPTION: [24, 24],
      IOMMU_VFIO_IOAS: [12, 12],
      IOMMU_HWPT_ALLOC: [48, 24],
      IOMMU_GET_HW_INFO: [40, 32],
      IOMMU_HWPT_SET_DIRTY_TRACKING: [16, 16],
      IOMMU_HWPT_GET_DIRTY_BITMAP: [48, 48],
      IOMMU_HWPT_INVALIDATE: [32, 32],
      IOMMU_FAULT_QUEUE_ALLOC: [16, 16],
      IOMMU_IOAS_MAP_FILE: [40, 40],
      IOMMU_VIOMMU_ALLOC: [40, 24],
      IOMMU_VDEVICE_ALLOC: [24, 24],
      IOMMU_IOAS_CHANGE_PROCESS: [8, 8],
      IOMMU_VEVENTQ_ALLOC: [32, 28],
      IOMMU_HW_QUEUE_ALLOC: [40, 40],
      IOMMU_TEST_CMD: [72, 68],
    });
  });

  test("every reserved field named by the table exists in its structure", () => {
    for (const r of Object.values(iommufdIoctls)) {
      for (const field of r.reserved ?? []) expect(Object.keys(r.layout.offsets)).toContain(field);
    }
  });
});

test("members of the test command fit its union", () => {
  for (const member of mockLayouts.filter((l) => l !== (mock.IommuTestCmd as unknown))) {
    expect(member.lengthBytes).toBeLessThanOrEqual(48);
  }
});

test("an errno explains itself, more closely where the call is known", () => {
  expect(explainErrno("IOMMU_DESTROY", Errno.EBUSY)).toBe("other objects or an attached device still use the object");
  expect(explainErrno("IOMMU_OPTION", Errno.EPERM)).toBe("the caller lacks the right to do this");
  expect(explainErrno("IOMMU_OPTION", 200)).toBe("the host answered with errno 200");
});

describe("sizes of structures", () => {
  const sizes = (layouts: object) =>
    Object.fromEntries(
      Object.values(layouts)
        .filter(isLayout)
        .map((l) => [l.name, l.lengthBytes]),
    );

  test("of /dev/iommu and of the models' own data are the kernel's", () => {
    expect(sizes(iommufd)).toEqual({
      iommu_destroy: 8,
      iommu_fault_alloc: 16,
      iommu_hw_info: 40,
      iommu_hw_info_amd: 16,
      iommu_hw_info_arm_smmuv3: 40,
      iommu_hw_info_tegra241_cmdqv: 8,
      iommu_hw_info_vtd: 24,
      iommu_hw_queue_alloc: 40,
      iommu_hwpt_alloc: 48,
      iommu_hwpt_amd_guest: 32,
      iommu_hwpt_arm_smmuv3: 16,
      iommu_hwpt_get_dirty_bitmap: 48,
      iommu_hwpt_invalidate: 32,
      iommu_hwpt_page_response: 8,
      iommu_hwpt_pgfault: 40,
      iommu_hwpt_set_dirty_tracking: 16,
      iommu_hwpt_vtd_s1: 24,
      iommu_hwpt_vtd_s1_invalidate: 24,
      iommu_ioas_alloc: 12,
      iommu_ioas_allow_iovas: 24,
      iommu_ioas_change_process: 8,
      iommu_ioas_copy: 40,
      iommu_ioas_iova_ranges: 32,
      iommu_ioas_map: 40,
      iommu_ioas_map_file: 40,
      iommu_ioas_unmap: 24,
      iommu_iova_range: 16,
      iommu_option: 24,
      iommu_vdevice_alloc: 24,
      iommu_vevent_arm_smmuv3: 32,
      iommu_vevent_tegra241_cmdqv: 16,
      iommu_veventq_alloc: 32,
      iommu_vfio_ioas: 12,
      iommu_viommu_alloc: 40,
      iommu_viommu_arm_smmuv3_invalidate: 16,
      iommu_viommu_tegra241_cmdqv: 16,
      iommufd_vevent_header: 8,
    });
  });

  test("of VFIO are the kernel's", () => {
    expect(sizes(vfio)).toEqual({
      vfio_device_attach_iommufd_pt: 16,
      vfio_device_bind_iommufd: 24,
      vfio_device_detach_iommufd_pt: 12,
      vfio_device_feature: 8,
      vfio_device_feature_bus_master: 4,
      vfio_device_feature_dma_buf: 16,
      vfio_device_feature_dma_logging_control: 24,
      vfio_device_feature_dma_logging_range: 16,
      vfio_device_feature_dma_logging_report: 32,
      vfio_device_feature_mig_data_size: 8,
      vfio_device_feature_mig_state: 8,
      vfio_device_feature_migration: 8,
      vfio_device_info: 24,
      vfio_device_info_cap_pci_atomic_comp: 16,
      vfio_device_ioeventfd: 32,
      vfio_device_low_power_entry_with_wakeup: 8,
      vfio_info_cap_header: 8,
      vfio_iommu_type1_dma_map: 32,
      vfio_iommu_type1_dma_unmap: 24,
      vfio_iommu_type1_info: 24,
      vfio_iommu_type1_info_cap_iova_range: 16,
      vfio_iommu_type1_info_dma_avail: 12,
      vfio_iova_range: 16,
      vfio_irq_info: 16,
      vfio_irq_set: 20,
      vfio_pci_dependent_device: 8,
      vfio_pci_hot_reset: 12,
      vfio_pci_hot_reset_info: 12,
      vfio_precopy_info: 24,
      vfio_region_dma_range: 16,
      vfio_region_info: 32,
      vfio_region_info_cap_sparse_mmap: 16,
      vfio_region_info_cap_type: 16,
      vfio_region_sparse_mmap_area: 16,
    });
  });

  test("of the kernel's test interface are the kernel's", () => {
    expect(sizes(mock)).toEqual({
      iommu_hwpt_invalidate_selftest: 8,
      iommu_hwpt_selftest: 8,
      iommu_test_cmd: 72,
      iommu_test_hw_info: 8,
      iommu_viommu_event_selftest: 4,
      iommu_viommu_invalidate_selftest: 12,
      iommu_viommu_selftest: 24,
      access_pages: 32,
      access_rw: 32,
      add_reserved: 16,
      check_map: 24,
      check_refs: 24,
      create_access: 8,
      dirty: 48,
      dmabuf_revoke: 8,
      mock_domain_flags: 16,
      pair: 8,
      mock_domain_replace: 4,
      trigger_iopf: 24,
    });
  });
});
