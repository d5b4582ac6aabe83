// The machine as front ends see it: one configuration object, what the host lends, what a machine can be told.
import type { ClockPort, RngPort, TimerPort, TracePort, WallClockPort, YieldPort } from "../base/index.ts";
import type { Accelerator, AcceleratorConfig } from "../accel/port.ts";
import type { BlockNode } from "../block/port.ts";
import type { CharBackend } from "../chardev/port.ts";
import type { HostPlan } from "../iommufd/index.ts";
import type { CpuBus, RamBlock, World, WorldPlan } from "../memory/index.ts";
import type { LookForUntouched, MigratableMachine } from "../migration/port.ts";
import type { Blocker, DeviceStateName, TrackerPolicy } from "../vfio/index.ts";
import type { DescribedHost } from "../vfiohost/index.ts";
import type { ExternalInterrupts, Hart, HartConfig, HostFirmware, TimebasePort } from "../target/riscv/port.ts";

/** A file's bytes and the name it is called in errors. */
export interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface DeviceConfig {
  /** QEMU's driver name, e.g. `virtio-blk-device`. */
  readonly driver: string;
  readonly id?: string;
  /** Properties as given (strings), or typed when they came as JSON. */
  readonly properties: Readonly<Record<string, string | number | boolean>>;
}

/** Guest time made of executed instructions (QEMU's `-icount`). */
export interface IcountConfig {
  /** An instruction takes 2^shift nanoseconds; `auto` follows the host's speed and makes no two runs the same. */
  readonly shift: number | "auto";
  /** The guest waits for the host where it runs ahead of it. */
  readonly align: boolean;
  /** While every hart waits, the host sleeps as long; otherwise guest time jumps to the next timer. */
  readonly sleep: boolean;
}

/** An `iommufd` object: a context of a host whose devices can be assigned. */
export interface IommufdConfig {
  readonly id: string;
  /** A software host, as its description has it. */
  readonly host: HostPlan;
  readonly policy: TrackerPolicy;
}

export interface MachineConfig {
  /** `virt` or `virt-1.0`. */
  readonly board: string;
  readonly boardOptions: Readonly<Record<string, string>>;
  readonly cpu: { readonly model: string; readonly features: Readonly<Record<string, boolean>> };
  readonly smp: number;
  readonly memoryBytes: number;
  /** The host gives all of the RAM at once, and not when it is first touched. */
  readonly preallocated?: boolean;
  readonly firmware: "default" | "none" | NamedBytes;
  readonly kernel?: NamedBytes;
  readonly initrd?: NamedBytes;
  readonly dtb?: NamedBytes;
  readonly commandLine: string;
  /** What firmware finds in fw_cfg besides the board's own files, by the names of its files. */
  readonly fwCfg?: readonly NamedBytes[];
  /** Chardev ids for the board's serial ports, in order; undefined leaves a port unconnected. */
  readonly serials: readonly (string | undefined)[];
  readonly devices: readonly DeviceConfig[];
  readonly iommufds?: readonly IommufdConfig[];
  /** Dirty tracking is compared with what is written, for people who debug device models. */
  readonly dirtyOracle?: boolean;
  readonly noReboot: boolean;
  readonly noShutdown: boolean;
  readonly startPaused: boolean;
  /** The machine comes from elsewhere: it stands in `inmigrate` until it is there. */
  readonly incoming?: boolean;
  readonly rtc: { readonly base: "utc" | "localtime" | bigint; readonly clock: "host" | "rt" | "vm" };
  readonly icount?: IcountConfig;
  readonly accelerator?: AcceleratorConfig;
  /** Makes what the guest gets as random reproducible (QEMU's `-seed`); 64 bits. */
  readonly seed?: bigint;
  readonly name?: string;
  readonly uuid?: string;
}

/** What a platform lends to a machine. */
export interface MachineHost {
  readonly clock: ClockPort;
  readonly wallClock: WallClockPort;
  /** Timers on `clock`. */
  readonly timers: TimerPort;
  readonly rng: RngPort;
  readonly trace: TracePort;
  readonly yield: YieldPort;
  /** What local time is ahead of UTC, for `-rtc base=localtime`. */
  readonly localTimeOffsetNs?: bigint;
  /** Told what an operator should know though the machine goes on. */
  readonly notice?: (message: string) => void;
  /** By chardev id. */
  readonly chardevs: ReadonlyMap<string, CharBackend>;
  /** By node name. */
  readonly blockNodes: ReadonlyMap<string, BlockNode>;
  /**
   * Finds pages of the machine's WebAssembly memory that nobody has ever touched, where the platform knows. The first page may
   * be written to meanwhile, and is as before then.
   */
  readonly untouchedPages?: (memory: Uint8Array) => LookForUntouched | undefined;
  /** Told of each software host that is made for an iommufd object, for who wants to look behind it. */
  readonly softwareHostMade?: (made: DescribedHost) => void;
}

/** QEMU's run states that this machine can be in. */
export type RunState =
  | "prelaunch"
  | "running"
  | "paused"
  /** Waits for a machine to arrive in it. */
  | "inmigrate"
  /** Stopped, while the last of it is sent. */
  | "finish-migrate"
  /** It runs elsewhere now. */
  | "postmigrate"
  | "shutdown"
  | "internal-error"
  | "guest-panicked";

/** Who ended it from the host's side: a front end's user, a signal, a monitor's command. */
export type HostQuit = "host-quit" | "host-signal" | "host-qmp-quit";

/** How a machine came to its end. */
export interface MachineExit {
  readonly cause: "guest-shutdown" | "guest-reset" | "guest-panic" | HostQuit | "internal-error";
  /** What the process should exit with: 0, or the guest's failure code. */
  readonly status: number;
  readonly message?: string;
}

/** What a machine has done so far. */
export interface MachineStatistics {
  /** Instructions of each hart. */
  readonly instructions: readonly number[];
  /** Guest time since the machine was made. */
  readonly guestNs: number;
}

/** Who is told what happens to a machine; each part is optional. */
export interface MachineObserver {
  runState?(state: RunState): void;
  /** Everything is as after power-on again. */
  reset?(isGuest: boolean): void;
  /** The machine ends, or with noShutdown stands still. */
  shutdown?(exit: MachineExit): void;
  /** The guest has let go of a device that it was asked for, which is gone now. */
  deviceRemoved?(id: string): void;
  /**
   * An assigned device has got to a state of VFIO migration; only with `migration-events=on`. One without an id is known by
   * how many devices without one came before it.
   */
  deviceState?(id: string | number, state: DeviceStateName): void;
}

/** How a device is assigned. */
export interface AssignmentFacts {
  readonly device: string;
  readonly iommufd: string;
  /** The page table it is on; undefined when its host chose one, or it needs none. */
  readonly pageTable: { readonly id: number; readonly hasDirtyBits: boolean } | undefined;
  readonly isMediated: boolean;
  /** What tells of the pages that it writes, and why that. */
  readonly tracker: "device" | "iommu" | "none";
  readonly because: string;
}

/** A run of the machine's addresses. */
export interface RegionFacts {
  readonly name: string;
  /** Guest-physical. */
  readonly start: number;
  readonly lengthBytes: number;
  /** Where several overlap, the higher one is seen. */
  readonly priority: number;
  readonly kind: "i/o" | "ram" | "rom";
  readonly isEnabled: boolean;
  /** It shows a part of another one. */
  readonly alias?: { readonly of: string; readonly offsetBytes: number };
  readonly children: readonly RegionFacts[];
}

export interface DeviceFacts {
  /** QEMU's driver name, where it has one. */
  readonly typeName: string;
  readonly id: string | undefined;
  /** Those that were given. */
  readonly properties: Readonly<Record<string, string>>;
  /** Where its registers are, of those on the system bus. */
  readonly ranges: readonly { readonly start: number; readonly lengthBytes: number }[];
  readonly buses: readonly BusFacts[];
}

export interface BusFacts {
  readonly name: string;
  readonly typeName: string;
  readonly devices: readonly DeviceFacts[];
}

export interface Machine {
  readonly runState: RunState;
  /** Starts or continues. */
  start(): void;
  /** As `start`; a machine that was moved away, or saved, takes its disks back first. Rejects with a VmError. */
  resume(): Promise<void>;
  /** Pauses; resolves when no hart runs. */
  stop(): Promise<void>;
  reset(): void;
  /** Ends the machine from the host's side. */
  quit(cause: HostQuit): void;
  /** Resolves once, when the machine has ended. With noShutdown it pauses in `shutdown` instead. */
  readonly ended: Promise<MachineExit>;
  /** Told of changes until the returned function is called. */
  observe(observer: MachineObserver): () => void;
  /** Plugs a PCI device into the slot of a root port while the guest runs. Throws a VmError. */
  addDevice(config: DeviceConfig): void;
  /** Asks the guest to let such a device go; `MachineObserver.deviceRemoved` follows when it has. Throws MachineError. */
  removeDevice(id: string): void;
  /** The board's flattened device tree as `-machine dumpdtb=` writes it. */
  readonly boardDeviceTree: Uint8Array;
  readonly statistics: MachineStatistics;
  /** What executes guest code: figures, and its tier, which may be changed at any time between calls. */
  readonly accelerator: Accelerator;
  /** As migration takes it; `started` and `handedOver` keep the run state. */
  readonly movable: MigratableMachine;
  /** The machine runs elsewhere: it stays here in `postmigrate`. */
  handedOver(): void;
  /** The machine has arrived and was not started. */
  arrived(): void;
  /** Devices of hosts that this machine has, in the order of assigning. */
  readonly assignments: readonly AssignmentFacts[];
  /** Everything about them that keeps the machine from migrating. */
  readonly migrationBlockers: readonly Blocker[];
  /** RAM and ROM; their bytes go on changing while the machine runs. */
  readonly memoryBlocks: readonly RamBlock[];
  /** What lies at which address, and what hides what. */
  readonly addressTree: RegionFacts;
  /** What of it is seen, ascending. */
  readonly flatView: readonly RegionFacts[];
  /** Devices, by their buses. */
  readonly systemBus: BusFacts;
  close(): Promise<void>;
}

/** What harts stand on. */
export interface HartSurroundings {
  /** The bus of the hart whose stores are reported under this name. */
  readonly bus: (source: string) => CpuBus;
  readonly timebase: TimebasePort;
  /** What the harts' entropy source gives. */
  readonly rng: RngPort;
  /** A hart's external interrupt controllers, where they are more than a line each. */
  readonly externalInterrupts: (hartId: number) => ExternalInterrupts | undefined;
  /** Timers on the clock that drives the timebase. */
  readonly timers: TimerPort;
  readonly resetVector: bigint;
  /** Firmware in the host's place of M-mode, once it is there; undefined lets guests run M-mode themselves. */
  readonly firmware: () => HostFirmware | undefined;
}

/** Makes a machine's harts: first what they need is reserved, then, when the memory exists, they are made. */
export type HartPlanner = (
  plan: WorldPlan,
  configs: readonly HartConfig[],
  accelerator?: AcceleratorConfig,
) => { create(world: World, surroundings: HartSurroundings): readonly Hart[] };
