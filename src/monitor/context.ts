// What commands work on.
import type { WallClockPort } from "../base/index.ts";
import type { Machine, MachineConfig } from "../machine/index.ts";
import type { MigrationControl } from "../migration/index.ts";
import type { EventHub } from "./event-hub.ts";

export interface MonitorContext {
  readonly machine: Machine;
  readonly config: MachineConfig;
  readonly events: EventHub;
  readonly wallClock: WallClockPort;
  /** Ratite's own, behind QEMU's in `query-version`. */
  readonly productVersion: string;
  /** The host's process, whose one thread runs every hart. */
  readonly processId: number;
  /** Absent where nothing lends channels. */
  readonly migration?: MigrationControl;
  /** A machine is to come from there. */
  readonly onIncoming: (uri: string) => void;
  /** Whether clients want to hear of a migration's phases (capability `events`). */
  readonly tellsMigration: { current: boolean };
}
