// NVMe disks behind a software host, assigned to the guest: one word of a front end for a drive, an iommufd object, a host
// description and a vfio-pci.
import type { BlockPlan } from "./plan.ts";
import type { ConfigDraft } from "./qemu-options/draft.ts";

export const NVME_HOST = "nvme-host";

export interface AssignedDisk {
  /** The option, for errors. */
  readonly subject: string;
  readonly image: BlockPlan["image"];
  readonly readOnly: boolean;
}

/** A controller for each disk, all behind one IOMMU that tracks what they write. */
export function addAssignedNvme(draft: ConfigDraft, disks: readonly AssignedDisk[]): void {
  if (disks.length === 0) return;
  const description = {
    units: [{ id: "u0", profile: "vtd-ssads" }],
    devices: disks.map((_disk, index) => ({
      bdf: addressOf(index),
      kind: "nvme",
      unit: "u0",
      migration: ["stop-copy", "p2p", "pre-copy"],
      properties: { drive: nodeNameOf(index), serial: nodeNameOf(index) },
    })),
  };
  const bytes = new TextEncoder().encode(JSON.stringify(description, undefined, 2));
  draft.iommufds.push({
    id: NVME_HOST,
    policy: "mixed",
    description: { subject: disks[0]!.subject, name: "the host of NVMe disks", bytes },
  });
  for (const [index, { subject, image, readOnly }] of disks.entries()) {
    const nodeName = nodeNameOf(index);
    draft.blockNodes.push({ nodeName, subject, image, formatGiven: true, readOnly, autoReadOnly: false });
    draft.devices.push({ driver: "vfio-pci", subject, properties: { host: addressOf(index), iommufd: NVME_HOST } });
  }
}

/** The block node behind a device of this host. */
export function assignedNode(device: string): string | undefined {
  const bus = /^0000:([0-9a-f]{2}):00\.0$/.exec(device)?.[1];
  return bus === undefined ? undefined : nodeNameOf(Number.parseInt(bus, 16) - 1);
}

function nodeNameOf(index: number): string {
  return `assigned-nvme${index}`;
}

function addressOf(index: number): string {
  return `0000:${(index + 1).toString(16).padStart(2, "0")}:00.0`;
}
