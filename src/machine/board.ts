// What a machine asks of its board.
import type { DirtyNotes } from "../memory/index.ts";
import type { RamBlock } from "../memory/port.ts";
import type { Saveable } from "../state/index.ts";
import type { AssignmentFacts, BusFacts, DeviceConfig, RegionFacts } from "./port.ts";
import type { Blocker, DeviceStateName, MovingDevice } from "../vfio/index.ts";
import type { Hart } from "../target/riscv/port.ts";

export interface Board {
  /** With its version: `virt-1.0`. */
  readonly machineType: string;
  readonly harts: readonly Hart[];
  /** False when there is neither firmware nor a kernel. */
  readonly canStart: boolean;
  /** The flattened tree as of the last reset, as `dumpdtb` writes it. */
  readonly deviceTree: Uint8Array;
  /** Everything with saved state, by a name that is the same in every machine of this configuration. */
  readonly saveables: ReadonlyMap<string, Saveable>;
  /** Devices of hosts that the board has. */
  readonly assignments: readonly AssignmentFacts[];
  /** What keeps those from migrating. */
  readonly migrationBlockers: readonly Blocker[];
  /** Those that migrate, by where the guest has them. */
  readonly movingDevices: ReadonlyMap<string, MovingDevice>;
  /** RAM and ROM. */
  readonly memoryBlocks: readonly RamBlock[];
  /** In which the blocks lie. */
  readonly memory: WebAssembly.Memory;
  /** Who writes to them. */
  readonly notes: DirtyNotes;
  readonly addressTree: RegionFacts;
  readonly flatView: readonly RegionFacts[];
  readonly systemBus: BusFacts;
  /** Power-on: devices, harts, images. RAM keeps what no image overwrites. */
  reset(): void;
  /** Resolves when no device has host requests in flight. */
  drain(): Promise<void>;
  /** Plugs a device in while the guest runs. Throws typed errors. */
  plugDevice(config: DeviceConfig): void;
  /** Asks the guest to let a device go. Throws MachineError. */
  unplugDevice(id: string): void;
  /** Told when the guest has let it go. */
  set onDeviceRemoved(told: (id: string) => void);
  /** Told of states of assigned devices on their way through a migration, where their options ask for it. */
  set onDeviceState(told: (id: string | number, state: DeviceStateName) => void);
  /** Lets go of everything that the host lent; idempotent. */
  close(): void;
}
