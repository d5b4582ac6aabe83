// What a front end wants, as plain data that can cross to a worker: the machine's configuration before files are opened.
import type { DeviceConfig, IommufdConfig, MachineConfig, NamedBytes } from "../machine/port.ts";
import type { SocketAddress } from "../host/node/index.ts";

/** A file by path, or bytes that the caller has; `subject` is the option as given, for errors. */
export type FileRef =
  | { readonly subject: string; readonly path: string }
  | ({ readonly subject: string; readonly path?: undefined } & NamedBytes);

export type CharKind =
  | { readonly kind: "stdio"; readonly signal: boolean }
  | { readonly kind: "file"; readonly path: string; readonly append: boolean }
  | {
      readonly kind: "socket";
      readonly address: SocketAddress;
      readonly server: boolean;
      readonly wait: boolean;
      readonly noDelay: boolean;
    }
  | { readonly kind: "null" }
  | { readonly kind: "ringbuf"; readonly sizeBytes: number }
  /** Brought by whoever opens the plan, under this id. */
  | { readonly kind: "lent" };

export interface CharPlan {
  readonly id: string;
  readonly subject: string;
  /** Several fronts share it, and Ctrl-A is its escape character. */
  readonly mux: boolean;
  readonly backend: CharKind;
}

export interface MonitorPlan {
  readonly subject: string;
  /** The character device's id. */
  readonly chardev: string;
  /** QMP, or the monitor for people. */
  readonly mode: "control" | "readline";
  readonly pretty: boolean;
  /** Somebody else has the mux first. */
  readonly isHidden: boolean;
}

export interface BlockPlan {
  readonly nodeName: string;
  readonly subject: string;
  /** A path, an image that the caller has in memory, or any disk of this size. */
  readonly image: string | Uint8Array | ScratchImage;
  /** Given as raw; otherwise the file is looked at, and what looks like another format is refused. */
  readonly formatGiven: boolean;
  readonly readOnly: boolean;
  /** Fall back to read-only when the file cannot be opened for writing. */
  readonly autoReadOnly: boolean;
}

/** A disk that nobody named: one of the user's cache folder that no other machine has. */
export interface ScratchImage {
  readonly scratchBytes: number;
}

type Loaded = "firmware" | "kernel" | "initrd" | "dtb" | "fwCfg" | "devices" | "iommufds";

/** An iommufd object whose host description is still a file, or its text. */
export interface IommufdPlan extends Omit<IommufdConfig, "host"> {
  readonly description: FileRef;
}

export interface DevicePlan extends DeviceConfig {
  readonly subject: string;
}

/** A MachineConfig whose files are still names, and the back ends that it refers to. */
export interface MachinePlan extends Omit<MachineConfig, Loaded> {
  readonly firmware: "default" | "none" | FileRef;
  readonly kernel?: FileRef;
  readonly initrd?: FileRef;
  readonly dtb?: FileRef;
  readonly fwCfg: readonly { readonly name: string; readonly content: FileRef }[];
  readonly devices: readonly DevicePlan[];
  readonly iommufds: readonly IommufdPlan[];
  readonly chardevs: readonly CharPlan[];
  readonly blockNodes: readonly BlockPlan[];
}

/** What only a command-line program does around a machine. */
export interface ProgramPlan {
  readonly machine: MachinePlan;
  readonly monitors: readonly MonitorPlan[];
  readonly pidFile?: { readonly subject: string; readonly path: string };
  readonly dumpDeviceTree?: { readonly subject: string; readonly path: string };
  /** Where the machine comes from; `defer` waits for a monitor to say. */
  readonly incoming?: { readonly subject: string; readonly uri: string };
  /** Migrations look whether a written page was missed. */
  readonly dirtyOracle: boolean;
  readonly report?: { readonly subject: string; readonly path: string };
  /** Guest errors go to standard error or to this file; undefined keeps them quiet. */
  readonly guestErrors?: { readonly logFile?: { readonly subject: string; readonly path: string } };
  readonly warnings: readonly string[];
}
