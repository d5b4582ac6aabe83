// What this program has: its boards, CPU models and devices.
import type { Catalogue } from "./catalogue.ts";

export const catalogue: Catalogue = {
  boards: [
    { name: "virt", description: "RISC-V VirtIO board (alias of virt-1.0, default)" },
    { name: "virt-1.0", description: "RISC-V VirtIO board" },
  ],
  cpuModels: [
    { name: "rv64", description: "RV64IMAFDC with Zicsr, Zifencei, Zicntr and Sstc (default)" },
    { name: "max", description: "everything that is implemented" },
  ],
  deviceTypes: [],
};
