// What this room asks of whoever joins it with a host: a session on the host, memory that both understand, eventfds, and
// the names of its devices.
import type { ClientArena, HostSession } from "../iommufd/index.ts";

/** An eventfd of ours. */
export interface OpenEvent {
  readonly fd: number;
  /** Adds one, as a program would write to it. */
  signal(): void;
  close(): void;
}

export interface EventPort {
  /** `onSignalled` hears of what others add. Throws IommufdError when there is none to be had. */
  open(onSignalled?: () => void): OpenEvent;
}

/** A device that the host can hand out. */
export interface HostDevice {
  /** `0000:01:00.0`, or a mediated device's name. */
  readonly name: string;
  /** Its file: `/dev/vfio/devices/vfio0`. */
  readonly path: string;
  readonly isMediated: boolean;
}

export interface AssigningHost {
  readonly session: HostSession;
  readonly arena: ClientArena;
  readonly events: EventPort;
  readonly devices: readonly HostDevice[];
}
