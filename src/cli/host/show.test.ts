import { describe, expect, test } from "vitest";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DEFAULT_USE } from "../../vfio/index.ts";
import { checkHost, checkJson, checkText } from "./check.ts";
import { readHostFile } from "./read-file.ts";
import { hostAsJson, showHost } from "./show.ts";

const plan = readHostFile(join(import.meta.dirname, "../../../examples/hosts/mixed.json"));
const USE = { ...DEFAULT_USE, memory: [{ start: 0x8000_0000n, last: 0x9fff_ffffn }] };

describe("ratite host show and check", () => {
  test("fits a terminal of 80 columns", () => {
    const lines = `${showHost(plan)}${checkText(checkHost(plan, USE))}`.split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("draws each device under its group and unit", () => {
    const text = showHost(plan);
    expect(text).toContain("u0  Intel VT-d (vtd-ssads)\n");
    expect(text).toContain(
      "└─ group 1\n   ├─ 0000:01:00.0  dma-engine\n   │     migrates by stop-copy, p2p, pre-copy;",
    );
    expect(text).toContain("└─ group 7, interrupts not isolated\n");
    expect(text).toContain("mediated devices, which reach an IOAS through access objects\n└─ m0  mdev-serial\n");
  });

  test("an empty host is said to be one", () => {
    expect(showHost({ units: [], groups: [], devices: [] })).toBe("an empty host: no units, no devices\n");
  });

  test("says what is blocked: device, call, errno and remedy", () => {
    const text = checkText(checkHost(plan, USE));
    expect(text).toContain("page table 1 (vt-d, with dirty bits): 0000:01:00.0, 0000:01:00.1\n");
    expect(text).toContain(
      "Device 0000:03:00.0 cannot be attached\n  VFIO_DEVICE_BIND_IOMMUFD: EPERM, the interrupts of its",
    );
    expect(text).toContain(
      "Migration is blocked: m0: VFIO device doesn't support device and IOMMU dirty\n  tracking\n  VFIO_DEVICE_FEATURE (DMA_LOGGING_START): ENOTTY",
    );
    expect(text).toContain("  would do: dmaLog true\n");
  });

  test("a property that the kind does not take is shown in its place", () => {
    const file = join(mkdtempSync(join(tmpdir(), "ratite-host-")), "host.json");
    const device = { id: "m0", kind: "mdev-serial", properties: { dma: "direct" } };
    writeFileSync(file, JSON.stringify({ units: [], devices: [device] }, null, 1));
    expect(() => readHostFile(file)).toThrow("Parameter 'dma' does not accept this value; 'pin' or 'copy' would do");
    rmSync(dirname(file), { recursive: true });
  });

  test("the same as data", () => {
    const shown = JSON.parse(hostAsJson(plan)) as { units: unknown[]; devices: unknown[] };
    expect(shown.units[0]).toMatchObject({
      id: "u0",
      model: "vt-d",
      aperture: { start: "0x0", last: "0xffffffffffff" },
    });
    expect(shown.devices[4]).toMatchObject({ name: "m0", unit: null, dirtyTracker: "none" });
    const checked = JSON.parse(checkJson(checkHost(plan, USE))) as { blocked: unknown[] };
    expect(checked.blocked[0]).toMatchObject({ what: "attachment", device: "0000:03:00.0", errno: "EPERM" });
  });
});
