// A CPU with its keeper and the two ways of running its programs.
import type { ReferenceQemu } from "../support/reference-qemu.ts";
import type { Setting } from "./compare.ts";
import { lockstepCpu } from "./cpu.ts";
import { makeKeeper } from "./keeper.ts";
import { QemuRunner } from "./qemu-runner.ts";
import { RatiteRunner } from "./ratite-runner.ts";
import type { Runner } from "./runner.ts";

/** CPUs that programs are made for. */
export const lockstepCpus: readonly string[] = ["rv64", "rva22s64", "max"];

/** One of Ratite's tiers, or QEMU. */
export type Way = "interpreter" | "jit" | ReferenceQemu;

export function makeSetting(cpuText: string, first: Way, second: Way): Setting {
  const cpu = lockstepCpu(cpuText);
  const keeper = makeKeeper(cpu);
  const runner = (way: Way): Runner =>
    typeof way === "string" ? new RatiteRunner(cpu, keeper, way) : new QemuRunner(way, cpu, keeper);
  return { cpu, keeper, runners: [runner(first), runner(second)] };
}

export async function closeSetting({ runners }: Setting): Promise<void> {
  for (const runner of runners) await runner.close();
}
