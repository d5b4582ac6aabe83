// Every structure, constant and call number compared with a C compile of the kernel's own headers, where there are some.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Layout } from "../../base/index.ts";
import * as iommufd from "./iommufd.ts";
import { ioctlCommand, iommufdIoctls } from "./ioctls.ts";
import * as vfio from "./vfio.ts";

function isLayout(value: unknown): value is Layout<never> {
  return typeof value === "object" && value !== null && "offsets" in value && "lengthBytes" in value;
}
const layouts = [...Object.values(iommufd), ...Object.values(vfio)].filter(isLayout);

// A folder of kernel headers new enough: in RATITE_KERNEL_HEADERS, the system's, or what `npm run conformance:kernel` made.
function kernelHeaders(): string | undefined {
  const cached = join(
    process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
    "ratite/conformance/build/usr/include",
  );
  for (const folder of [process.env["RATITE_KERNEL_HEADERS"], "/usr/include", cached]) {
    const file = folder === undefined ? undefined : join(folder, "linux/iommufd.h");
    if (file !== undefined && existsSync(file) && readFileSync(file, "utf8").includes("iommu_hw_queue_alloc"))
      return folder;
  }
  return undefined;
}
const headers = kernelHeaders();

/** What `expressions` are in C, by their names. */
function inC(expressions: readonly string[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), "uapi-"));
  try {
    const lines = expressions.map((e) => `printf("%lld\\n", (long long)(${e}));`);
    const program = `#include <stdio.h>
#include <stddef.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
int main(void) { ${lines.join("\n")} return 0; }`;
    writeFileSync(join(folder, "a.c"), program);
    execFileSync("cc", ["-w", "-isystem", headers!, "-o", join(folder, "a"), join(folder, "a.c")]);
    const values = execFileSync(join(folder, "a"), { encoding: "utf8" }).trim().split("\n");
    return expressions.map((e, i) => `${e} = ${values[i]}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// Fields whose C name differs: unions, embedded headers and padding that a layout spells out.
const cName: Readonly<Record<string, string>> = {
  "iommu_hw_info.data_type": "out_data_type",
  "vfio_pci_dependent_device.id": "group_id",
};
const embedsHeader = /^(vfio_iommu_type1_info_(cap_|dma_)|vfio_region_info_cap_|vfio_device_info_cap_)/;

// What the C names of a constant's members begin and end with; those that do not follow stand in `irregular`.
const prefixes: readonly (readonly [string, Readonly<Record<string, number>>, string?])[] = [
  ["IOMMU_IOAS_MAP_", iommufd.IoasMapFlag],
  ["IOMMU_OPTION_", iommufd.IommuOptionId],
  ["IOMMU_OPTION_OP_", iommufd.IommuOptionOp],
  ["IOMMU_VFIO_IOAS_", iommufd.VfioIoasOp],
  ["IOMMU_HWPT_ALLOC_", iommufd.HwptAllocFlag],
  ["IOMMU_HWPT_DATA_", iommufd.HwptDataType],
  ["IOMMU_HW_INFO_TYPE_", iommufd.HwInfoType],
  ["IOMMU_HW_CAP_", iommufd.HwCapability],
  ["IOMMU_HW_INFO_FLAG_", iommufd.HwInfoFlag],
  ["IOMMU_HWPT_DIRTY_TRACKING_", iommufd.SetDirtyTrackingFlag],
  ["IOMMU_HWPT_GET_DIRTY_BITMAP_", iommufd.GetDirtyBitmapFlag],
  ["IOMMU_HWPT_INVALIDATE_DATA_", iommufd.InvalidateDataType],
  ["IOMMU_PGFAULT_FLAGS_", iommufd.PgfaultFlag],
  ["IOMMU_PGFAULT_PERM_", iommufd.PgfaultPerm],
  ["IOMMUFD_PAGE_RESP_", iommufd.PageResponseCode],
  ["IOMMU_VIOMMU_TYPE_", iommufd.ViommuType],
  ["IOMMU_VEVENTQ_FLAG_", iommufd.VeventqFlag],
  ["IOMMU_VEVENTQ_TYPE_", iommufd.VeventqType],
  ["IOMMU_HW_QUEUE_TYPE_", iommufd.HwQueueType],
  ["IOMMU_VTD_S1_", iommufd.VtdS1Flag],
  ["VFIO_", vfio.VfioExtension],
  ["VFIO_IOMMU_INFO_", vfio.VfioIommuInfoFlag],
  ["VFIO_IOMMU_TYPE1_INFO_CAP_", vfio.VfioIommuCap],
  ["VFIO_DMA_MAP_FLAG_", vfio.VfioDmaMapFlag],
  ["VFIO_DMA_UNMAP_FLAG_", vfio.VfioDmaUnmapFlag],
  ["VFIO_DEVICE_FLAGS_", vfio.VfioDeviceFlag],
  ["VFIO_DEVICE_INFO_CAP_", vfio.VfioDeviceInfoCap],
  ["VFIO_REGION_INFO_FLAG_", vfio.VfioRegionInfoFlag],
  ["VFIO_REGION_INFO_CAP_", vfio.VfioRegionInfoCap],
  ["VFIO_PCI_", vfio.VfioPciRegion, "_REGION_INDEX"],
  ["VFIO_IRQ_INFO_", vfio.VfioIrqInfoFlag],
  ["VFIO_PCI_", vfio.VfioPciIrq, "_IRQ_INDEX"],
  ["VFIO_IRQ_SET_", vfio.VfioIrqSetFlag],
  ["VFIO_PCI_HOT_RESET_FLAG_", vfio.VfioPciHotResetFlag],
  ["VFIO_DEVICE_FEATURE_", vfio.VfioDeviceFeatureFlag],
  ["VFIO_DEVICE_FEATURE_", vfio.VfioFeature],
  ["VFIO_MIGRATION_", vfio.VfioMigrationFlag],
  ["VFIO_DEVICE_STATE_", vfio.VfioDeviceState],
  ["VFIO_PRECOPY_INFO_", vfio.VfioPrecopyInfoFlag],
  ["VFIO_DEVICE_BIND_FLAG_", vfio.VfioDeviceBindFlag],
  ["VFIO_DEVICE_ATTACH_", vfio.VfioDeviceAttachFlag],
  ["VFIO_DEVICE_IOEVENTFD_", vfio.VfioIoeventfdFlag],
  ["VFIO_PCI_ATOMIC_COMP", vfio.VfioPciAtomicComp],
  ["0xff & VFIO_", vfio.VfioNr],
];
const irregular: Readonly<Record<string, string>> = {
  IOMMU_HWPT_ALLOC_FAULT_ID_VALID: "IOMMU_HWPT_FAULT_ID_VALID",
  IOMMU_HWPT_INVALIDATE_DATA_VIOMMU_ARM_SMMUV3: "IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3",
  VFIO_IOMMU_TYPE1_INFO_CAP_DMA_AVAIL: "VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL",
  VFIO_TYPE1_NESTING_IOMMU: "__VFIO_RESERVED_TYPE1_NESTING_IOMMU",
  VFIO_DEVICE_IOEVENTFD_BYTES1: "VFIO_DEVICE_IOEVENTFD_8",
  VFIO_DEVICE_IOEVENTFD_BYTES2: "VFIO_DEVICE_IOEVENTFD_16",
  VFIO_DEVICE_IOEVENTFD_BYTES4: "VFIO_DEVICE_IOEVENTFD_32",
  VFIO_DEVICE_IOEVENTFD_BYTES8: "VFIO_DEVICE_IOEVENTFD_64",
  VFIO_PCI_ATOMIC_COMPBITS32: "VFIO_PCI_ATOMIC_COMP32",
  VFIO_PCI_ATOMIC_COMPBITS64: "VFIO_PCI_ATOMIC_COMP64",
  VFIO_PCI_ATOMIC_COMPBITS128: "VFIO_PCI_ATOMIC_COMP128",
};

describe.skipIf(headers === undefined)(
  "against the kernel's headers (skipped: none of 7.2 or newer in RATITE_KERNEL_HEADERS, /usr/include or the cache)",
  () => {
    test("sizeof and offsetof agree for every structure", () => {
      const expected = new Map<string, number>();
      for (const l of layouts) {
        expected.set(`sizeof(struct ${l.name})`, l.lengthBytes);
        for (const [field, offset] of Object.entries(l.offsets)) {
          if (embedsHeader.test(l.name) && ["id", "version", "next"].includes(field)) continue;
          expected.set(`offsetof(struct ${l.name}, ${cName[`${l.name}.${field}`] ?? field})`, offset as number);
        }
      }
      expect(inC([...expected.keys()])).toEqual([...expected].map(([e, value]) => `${e} = ${value}`));
    });

    test("every call's number and every constant agree", () => {
      const expected = new Map<string, number>();
      for (const row of Object.values(iommufdIoctls)) expected.set(row.name, ioctlCommand(row.nr));
      for (const [prefix, constants, suffix = ""] of prefixes) {
        for (const [member, value] of Object.entries(constants)) {
          const name = `${prefix}${member}${suffix}`;
          expected.set(irregular[name] ?? name, value);
        }
      }
      expect(inC([...expected.keys()])).toEqual([...expected].map(([e, value]) => `${e} = ${value}`));
    });
  },
);
