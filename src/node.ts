// The door for Node: a machine on a thread of its own, configured by an object.
import { defaultAccelerator } from "./accel/port.ts";
import {
  addAssignedNvme,
  buildPlan,
  ConfigDraft,
  resolveGuest,
  startVirtualMachine,
  type AssignedDisk,
  type FileRef,
  type VirtualMachine,
  type VirtualMachineHooks,
} from "./cli/index.ts";
import { fetchGuest } from "./guest/index.ts";
import { nodeGuestHost } from "./host/node/index.ts";
import type { DeviceConfig } from "./machine/index.ts";
import { convert, sizeInMebibytes } from "./object/index.ts";

export { VmError } from "./base/index.ts";
export type { ExpectMatch } from "./chardev/index.ts";
export { CliError, ConsoleError, type ExpectOptions, type VirtualMachine, type VmConsole } from "./cli/index.ts";
export { GuestError } from "./guest/index.ts";
export { HostError } from "./host/node/index.ts";
export { MachineError, type DeviceConfig, type MachineExit, type RunState } from "./machine/index.ts";
export { OptionError } from "./object/index.ts";

/** A path, or the bytes themselves. */
export type FileSource = string | Uint8Array;

export interface DriveOptions {
  /** A raw disk image: a path, or bytes, which are copied and lost with the machine. */
  readonly image: FileSource;
  readonly readOnly?: boolean;
  /**
   * How the guest sees it: `/dev/vda`, `vdb`… on the virtio-mmio bus (the default) or as a PCI function, or
   * `/dev/nvme0n1`, `nvme1n1`…: emulated, or a software host's, assigned through IOMMUFD.
   */
  readonly interface?: "virtio" | "virtio-pci" | "nvme" | "nvme-assigned";
}

export interface VirtualMachineOptions extends VirtualMachineHooks {
  /** Default `virt`. */
  readonly board?: string;
  /** Properties of the board by QEMU's names, as after `-machine virt,`: `{ aia: "aplic-imsic" }`. */
  readonly boardOptions?: Readonly<Record<string, string | boolean>>;
  /** Bytes as a number, or QEMU's spelling: `512M`, `1G`. Default 128 MiB, with a guest 512 MiB. */
  readonly memory?: number | string;
  /** Harts; default 1. */
  readonly cpus?: number;
  /** CPU model; default `rv64`. */
  readonly cpu?: string;
  /** How guest code is run: `jit` (the default) compiles hot code to WebAssembly, `interpreter` does not. */
  readonly accelerator?: "jit" | "interpreter";
  /** A guest that `ratite guest fetch` knows: its kernel and initrd, unless given here. Fetched when it is missing. */
  readonly guest?: string;
  readonly kernel?: FileSource;
  readonly initrd?: FileSource;
  /** Default: the built-in SBI. */
  readonly firmware?: "default" | "none" | { readonly image: FileSource };
  readonly deviceTree?: FileSource;
  /** The kernel's command line. */
  readonly append?: string;
  readonly drives?: readonly (FileSource | DriveOptions)[];
  /** More devices, by QEMU's driver names. */
  readonly devices?: readonly DeviceConfig[];
  /** A reset by the guest ends the machine. */
  readonly noReboot?: boolean;
}

/**
 * Makes a machine in a worker; it is paused until `start`. Rejects with a VmError when something given is wrong.
 *
 *     await using vm = await createMachine({ guest: "debian", memory: "512M" });
 *     await vm.start();
 *     await vm.console.expect("~# ");
 *     await vm.console.write("poweroff\n");
 *     const { status } = await vm.ended;
 */
export async function createMachine(options: VirtualMachineOptions): Promise<VirtualMachine> {
  const draft = draftOf(options);
  if (options.guest !== undefined) await addGuest(draft, options.guest, options.onNotice);
  const { machine, warnings } = buildPlan(draft);
  for (const warning of warnings) options.onNotice?.(warning);
  return startVirtualMachine(machine, options);
}

const CONSOLE = "console";
const GUEST_MEMORY_BYTES = 512 * 2 ** 20;

/** The guest's kernel and initrd where the caller gave none of their own. */
async function addGuest(draft: ConfigDraft, word: string, onNotice: VirtualMachineHooks["onNotice"]): Promise<void> {
  const { name, release } = resolveGuest(word, undefined);
  const files = await fetchGuest(nodeGuestHost(), name, {
    ...(release === undefined ? {} : { release }),
    report: ({ phase, subject }) => {
      if (phase === "notice") onNotice?.(subject);
    },
  });
  const subject = `guest: ${word}`;
  draft.kernel ??= { subject, path: files.kernelPath };
  draft.initrd ??= { subject, path: files.initrdPath };
  draft.commandLine ??= { subject, text: "console=ttyS0" };
  draft.memoryBytes ??= GUEST_MEMORY_BYTES;
}

function draftOf(options: VirtualMachineOptions): ConfigDraft {
  const draft = new ConfigDraft();
  draft.board = options.board;
  for (const [name, value] of Object.entries(options.boardOptions ?? {})) {
    draft.boardOptions[name] = typeof value === "boolean" ? (value ? "on" : "off") : value;
  }
  draft.smp = options.cpus ?? 1;
  if (options.memory !== undefined) draft.memoryBytes = memoryBytes(options.memory);
  if (options.cpu !== undefined) draft.cpu = { model: options.cpu, features: {} };
  if (options.accelerator !== undefined)
    draft.accelerators.chosen = { ...defaultAccelerator, tier: options.accelerator };
  draft.noReboot = options.noReboot ?? false;
  draft.kernel = fileRef("kernel", options.kernel);
  draft.initrd = fileRef("initrd", options.initrd);
  draft.dtb = fileRef("deviceTree", options.deviceTree);
  const { firmware = "default" } = options;
  draft.firmware = typeof firmware === "string" ? firmware : (fileRef("firmware", firmware.image) ?? "default");
  if (options.append !== undefined) draft.commandLine = { subject: "append", text: options.append };
  addDrives(draft, options.drives ?? []);
  for (const device of options.devices ?? []) draft.devices.push({ ...device, subject: `devices: ${device.driver}` });
  draft.chardevs.push({ id: CONSOLE, subject: CONSOLE, mux: false, backend: { kind: "lent" } });
  draft.serials.push({ subject: CONSOLE, chardev: CONSOLE });
  return draft;
}

function memoryBytes(memory: number | string): number {
  return typeof memory === "number" ? memory : convert(sizeInMebibytes, "memory", memory);
}

function fileRef(subject: string, source: FileSource | undefined): FileRef | undefined {
  if (source === undefined) return undefined;
  return typeof source === "string" ? { subject, path: source } : { subject, name: subject, bytes: source };
}

function addDrives(draft: ConfigDraft, drives: readonly (FileSource | DriveOptions)[]): void {
  const assigned: AssignedDisk[] = [];
  for (const [index, drive] of drives.entries()) {
    const options = typeof drive === "string" || drive instanceof Uint8Array ? { image: drive } : drive;
    const { image, readOnly = false } = options;
    if (options.interface === "nvme-assigned") assigned.push({ subject: `drives[${index}]`, image, readOnly });
    else addDrive(draft, index, options);
  }
  addAssignedNvme(draft, assigned);
}

function addDrive(draft: ConfigDraft, index: number, drive: DriveOptions): void {
  const { image, readOnly = false, interface: kind = "virtio" } = drive;
  const subject = `drives[${index}]`;
  const nodeName = `drive${index}`;
  draft.blockNodes.push({ nodeName, subject, image, formatGiven: true, readOnly, autoReadOnly: false });
  const properties = { drive: nodeName };
  if (kind === "nvme") draft.devices.push({ driver: "nvme", properties: { ...properties, serial: nodeName }, subject });
  else {
    const driver = kind === "virtio-pci" ? "virtio-blk-pci" : "virtio-blk-device";
    draft.devices.push({ driver, properties, subject });
  }
}
