// What the Node door needs of this room; the programs are not for importing.
export { addAssignedNvme, type AssignedDisk } from "./assigned-nvme.ts";
export { CliError, type CliErrorCode } from "./errors.ts";
export { resolveGuest } from "./guest-commands.ts";
export type { FileRef, MachinePlan } from "./plan.ts";
export { buildPlan } from "./qemu-options/build-plan.ts";
export { ConfigDraft } from "./qemu-options/draft.ts";
export { ConsoleError, type ConsoleErrorCode, type ExpectOptions, type VmConsole } from "./worker/console.ts";
export { startVirtualMachine, type VirtualMachine, type VirtualMachineHooks } from "./worker/virtual-machine.ts";
