// What this program has: its boards, CPU models and devices.
import { boardNames, virtDeviceTypes } from "../../machine/index.ts";
import { cpuModels } from "../../target/riscv/index.ts";
import type { Catalogue } from "./catalogue.ts";

export const catalogue: Catalogue = {
  boards: boardNames.map((name) => ({
    name,
    description: name === "virt" ? "RISC-V VirtIO board (alias of virt-1.0, default)" : "RISC-V VirtIO board",
  })),
  cpuModels,
  deviceTypes: virtDeviceTypes,
};
