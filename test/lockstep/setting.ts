// A CPU with its keeper and the two ways of running its programs.
import type { ReferenceQemu } from "../support/reference-qemu.ts";
import type { Setting } from "./compare.ts";
import { lockstepCpu } from "./cpu.ts";
import { makeKeeper } from "./keeper.ts";
import { QemuRunner } from "./qemu-runner.ts";
import { RatiteRunner } from "./ratite-runner.ts";

/** CPUs that programs are made for. */
export const lockstepCpus: readonly string[] = ["rv64"];

/** Ratite and QEMU, or Ratite twice. */
export function makeSetting(cpuText: string, qemu?: ReferenceQemu): Setting {
  const cpu = lockstepCpu(cpuText);
  const keeper = makeKeeper(cpu);
  const ratite = new RatiteRunner(cpu, keeper);
  const other = qemu === undefined ? new RatiteRunner(cpu, keeper) : new QemuRunner(qemu, cpu, keeper);
  return { cpu, keeper, runners: [ratite, other] };
}

export async function closeSetting({ runners }: Setting): Promise<void> {
  for (const runner of runners) await runner.close();
}
