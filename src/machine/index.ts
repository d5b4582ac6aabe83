// The door of the machine room.
import { planHarts } from "../target/riscv/index.ts";
import { buildMachine } from "./builder.ts";
import type { Machine, MachineConfig, MachineHost } from "./port.ts";

export type * from "./port.ts";
export { MAX_ICOUNT_SHIFT } from "./instruction-clock.ts";
export { MachineError, type MachineErrorCode } from "./errors.ts";
export { boardNames } from "./virt/config.ts";
export { virtDeviceTypes } from "./virt/plugs.ts";

/**
 * Makes a machine that stands in `prelaunch`, its images loaded; `start` lets it go, also with `startPaused`, which is
 * for front ends. Throws a VmError that names what in `config` cannot be had, with nothing left open.
 *
 *     const machine = createMachine(config, host);
 *     machine.start();
 *     const { status } = await machine.ended;
 *     await machine.close();
 */
export function createMachine(config: MachineConfig, host: MachineHost): Machine {
  return buildMachine(config, host, planHarts);
}
