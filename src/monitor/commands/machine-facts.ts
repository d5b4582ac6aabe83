// What the machine is made of.
import { arrayOf, bool, enumType, int, optional, size, str, struct } from "../schema/types.ts";
import { command, type Command } from "../schema/command.ts";

const SysEmuTarget = enumType("SysEmuTarget", ["riscv64"]);
const TargetInfo = struct("TargetInfo", { arch: SysEmuTarget });
const CpuInstanceProperties = struct("CpuInstanceProperties", {
  "node-id": optional(int),
  "socket-id": optional(int),
  "core-id": optional(int),
  "thread-id": optional(int),
});
const CpuInfoFast = struct("CpuInfoFast", {
  "cpu-index": int,
  "qom-type": str,
  "qom-path": str,
  "thread-id": int,
  props: optional(CpuInstanceProperties),
  target: SysEmuTarget,
});
const MemoryInfo = struct("MemoryInfo", { "base-memory": size, "plugged-memory": optional(size) });
const MachineInfo = struct("CurrentMachineParams", { "wakeup-suspend-support": bool });
const Accelerator = enumType("Accelerator", ["tcg"]);
const AcceleratorInfo = struct("AcceleratorInfo", {
  enabled: Accelerator,
  present: arrayOf(Accelerator),
});
const KvmInfo = struct("KvmInfo", { enabled: bool, present: bool });

/** A vCPU's place in the object tree. */
export function cpuPath(index: number): string {
  return `/machine/unattached/device[${index}]`;
}

export const machineFactCommands: readonly Command[] = [
  command("query-target", { returns: TargetInfo, run: () => ({ arch: "riscv64" as const }) }),
  command("query-cpus-fast", {
    returns: arrayOf(CpuInfoFast),
    run: ({ config, processId }) =>
      Array.from({ length: config.smp }, (_, index) => ({
        "cpu-index": index,
        "qom-type": `${config.cpu.model}-riscv-cpu`,
        "qom-path": cpuPath(index),
        "thread-id": processId,
        target: "riscv64" as const,
      })),
  }),
  command("query-memory-size-summary", {
    returns: MemoryInfo,
    run: ({ config }) => ({ "base-memory": config.memoryBytes, "plugged-memory": 0 }),
  }),
  command("query-current-machine", { returns: MachineInfo, run: () => ({ "wakeup-suspend-support": false }) }),
  command("query-accelerators", {
    returns: AcceleratorInfo,
    run: () => ({ enabled: "tcg" as const, present: ["tcg" as const] }),
  }),
  command("query-kvm", { returns: KvmInfo, run: () => ({ enabled: false, present: false }) }),
];
