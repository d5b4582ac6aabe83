import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
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
const publicLayouts = [...Object.values(iommufd), ...Object.values(vfio)].filter(isLayout);
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

// Fields whose C name differs: unions, embedded headers and padding that a layout spells out.
const cName: Readonly<Record<string, string>> = {
  "iommu_hw_info.data_type": "out_data_type",
  "vfio_pci_dependent_device.id": "group_id",
};
const embedsHeader = /^(vfio_iommu_type1_info_(cap_|dma_)|vfio_region_info_cap_|vfio_device_info_cap_)/;

describe.skipIf(headers === undefined)("against the kernel's headers (none of 7.2 found when skipped)", () => {
  test("sizeof and offsetof agree for every structure", () => {
    const lines: string[] = [];
    const expected: string[] = [];
    for (const l of publicLayouts) {
      lines.push(`printf("${l.name} %zu\\n", sizeof(struct ${l.name}));`);
      expected.push(`${l.name} ${l.lengthBytes}`);
      for (const [field, offset] of Object.entries(l.offsets)) {
        if (embedsHeader.test(l.name) && ["id", "version", "next"].includes(field)) continue;
        const c = cName[`${l.name}.${field}`] ?? field;
        lines.push(`printf("${l.name}.${field} %zu\\n", offsetof(struct ${l.name}, ${c}));`);
        expected.push(`${l.name}.${field} ${String(offset)}`);
      }
    }
    for (const r of Object.values(iommufdIoctls)) {
      lines.push(`printf("${r.name} %u\\n", (unsigned)${r.name});`);
      expected.push(`${r.name} ${ioctlCommand(r.nr)}`);
    }
    const folder = mkdtempSync(join(tmpdir(), "uapi-"));
    try {
      writeFileSync(
        join(folder, "a.c"),
        `#include <stdio.h>\n#include <stddef.h>\n#include <linux/iommufd.h>\n#include <linux/vfio.h>\nint main(void){${lines.join("\n")}return 0;}`,
      );
      execFileSync("cc", ["-w", "-isystem", headers!, "-o", join(folder, "a"), join(folder, "a.c")]);
      const got = execFileSync(join(folder, "a"), { encoding: "utf8" }).trim().split("\n");
      expect(got).toEqual(expected);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
