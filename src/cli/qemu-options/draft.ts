// What the options said, in the order they said it, before defaults and cross-checks.
import type { AcceleratorConfig } from "../../accel/port.ts";
import type { OptionError } from "../../object/index.ts";
import type { IcountConfig } from "../../machine/port.ts";
import type { BlockPlan, CharPlan, DevicePlan, FileRef, IommufdPlan, MonitorPlan } from "../plan.ts";

/** -blockdev: a protocol node with a file, or a raw node over one. */
export interface DraftBlockNode extends Omit<BlockPlan, "image"> {
  readonly image?: BlockPlan["image"];
  /** raw: the node below. */
  readonly over?: string;
}

/** -serial: a chardev of its own, one by id, or none. */
export type DraftSerial = { readonly subject: string; readonly chardev: CharPlan | string | undefined };

export interface NamedFile {
  readonly subject: string;
  readonly path: string;
}

export class ConfigDraft {
  board: string | undefined;
  readonly boardOptions: Record<string, string> = {};
  cpu: { model: string; features: Record<string, boolean> } | undefined;
  /** What was asked for, by which option; the first that there is, and why the first that there is not cannot be had. */
  readonly accelerators: { source?: string; chosen?: AcceleratorConfig; refusal?: OptionError } = {};
  smp = 1;
  memoryBytes: number | undefined;
  preallocated = false;
  firmware: "default" | "none" | FileRef = "default";
  kernel: FileRef | undefined;
  initrd: FileRef | undefined;
  dtb: FileRef | undefined;
  readonly fwCfg: { readonly name: string; readonly content: FileRef }[] = [];
  /** With the option that gave it. */
  commandLine: { readonly subject: string; readonly text: string } | undefined;
  readonly devices: DevicePlan[] = [];
  readonly blockNodes: DraftBlockNode[] = [];
  readonly iommufds: IommufdPlan[] = [];
  readonly chardevs: CharPlan[] = [];
  readonly serials: DraftSerial[] = [];
  readonly monitors: MonitorPlan[] = [];
  /** -monitor was there, also as `none`. */
  monitorGiven = false;
  nographic = false;
  displayNone = false;
  noDefaults = false;
  noReboot = false;
  noShutdown = false;
  startPaused = false;
  /** Only what was given. */
  readonly rtc: { base?: "utc" | "localtime" | bigint; clock?: "host" | "rt" | "vm" } = {};
  icount: IcountConfig | undefined;
  seed: bigint | undefined;
  name: string | undefined;
  uuid: string | undefined;
  pidFile: NamedFile | undefined;
  incoming: { readonly subject: string; readonly uri: string } | undefined;
  dirtyOracle = false;
  report: NamedFile | undefined;
  dumpDeviceTree: NamedFile | undefined;
  guestErrors = false;
  logFile: NamedFile | undefined;
  readonly warnings: string[] = [];
  /** Something to print instead of running: a help or version text. */
  information: string | undefined;
  /** The text of -help, which needs the whole table. */
  helpWanted = false;
}
