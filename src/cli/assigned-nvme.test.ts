import { describe, expect, test } from "vitest";
import { builtInKinds } from "../vfiohost/index.ts";
import { readHostDescription } from "../iommufd/index.ts";
import { addAssignedNvme, assignedNode } from "./assigned-nvme.ts";
import { assignmentLine } from "./assignment-line.ts";
import { buildPlan } from "./qemu-options/build-plan.ts";
import { ConfigDraft } from "./qemu-options/draft.ts";

function planWith(...images: string[]): ReturnType<typeof buildPlan>["machine"] {
  const draft = new ConfigDraft();
  addAssignedNvme(
    draft,
    images.map((image) => ({ subject: `--nvme ${image}`, image, readOnly: false })),
  );
  return buildPlan(draft).machine;
}

describe("NVMe disks to be assigned", () => {
  test("each have a drive, a device of one host, and a vfio-pci", () => {
    const { blockNodes, devices, iommufds } = planWith("a.img", "b.img");
    expect(blockNodes.map(({ nodeName, image }) => [nodeName, image])).toEqual([
      ["assigned-nvme0", "a.img"],
      ["assigned-nvme1", "b.img"],
    ]);
    expect(devices.map(({ driver, properties }) => [driver, properties])).toEqual([
      ["vfio-pci", { host: "0000:01:00.0", iommufd: "nvme-host" }],
      ["vfio-pci", { host: "0000:02:00.0", iommufd: "nvme-host" }],
    ]);
    const [{ description } = { description: undefined }] = iommufds;
    const text = new TextDecoder().decode(description?.path === undefined ? description?.bytes : undefined);
    const host = readHostDescription(text, builtInKinds);
    expect(host.devices.map(({ name, properties }) => [name, properties["drive"]])).toEqual([
      ["0000:01:00.0", "assigned-nvme0"],
      ["0000:02:00.0", "assigned-nvme1"],
    ]);
  });

  test("none add nothing", () => {
    expect(planWith()).toMatchObject({ blockNodes: [], devices: [], iommufds: [] });
  });

  test("are found again by their device", () => {
    expect([assignedNode("0000:01:00.0"), assignedNode("0000:0b:00.0"), assignedNode("m0")]).toEqual([
      "assigned-nvme0",
      "assigned-nvme10",
      undefined,
    ]);
  });
});

test("one line says how a disk is attached, and what tracks it", () => {
  const facts = {
    device: "0000:01:00.0",
    iommufd: "nvme-host",
    pageTable: { id: 3, hasDirtyBits: true },
    isMediated: false,
    tracker: "iommu",
    because: "the dirty bits of its page table: the device cannot log what it writes",
  } as const;
  expect(assignmentLine(facts, "a.img")).toBe(
    "a.img as 0000:01:00.0: assigned through nvme-host, on page table 3; its writes are tracked by the dirty bits of its page table: the device cannot log what it writes",
  );
});
