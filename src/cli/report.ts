// What a machine has done, as figures that two runs can be compared by.
import { createHash } from "node:crypto";
import type { Machine, MachineStatistics } from "../machine/index.ts";

export interface MachineReport extends MachineStatistics {
  /** Of all harts together. */
  readonly totalInstructions: number;
  readonly memory: readonly { readonly name: string; readonly lengthBytes: number; readonly sha256: string }[];
}

/** Right for a machine that stands still. */
export function machineReport({ statistics, memoryBlocks }: Machine): MachineReport {
  return {
    totalInstructions: statistics.instructions.reduce((sum, count) => sum + count, 0),
    ...statistics,
    memory: memoryBlocks.map(({ name, lengthBytes, bytes }) => ({
      name,
      lengthBytes,
      sha256: createHash("sha256").update(bytes).digest("hex"),
    })),
  };
}
