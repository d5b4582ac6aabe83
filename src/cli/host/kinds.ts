// The kinds of device that a host description may name.
import type { DescribableKind } from "../../iommufd/index.ts";

const ALL = ["stop-copy", "p2p", "pre-copy"] as const;

export const deviceKinds: readonly DescribableKind[] = [
  { name: "dma-engine", bus: "pci", migration: ALL, dmaLog: true },
  { name: "mdev-serial", bus: "mdev", migration: ALL, dmaLog: true },
];
