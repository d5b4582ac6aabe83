// A software host inside the machine: its devices reach guest memory through the machine's own bytes.
import { type TimerPort, type TracePort } from "../base/index.ts";
import type { WorkPort } from "../device/index.ts";
import { IommufdError, makeLocalCaller, type EventFd, type HostPlan, type LocalFiles } from "../iommufd/index.ts";
import type { AddressSpace, WorldPlan } from "../memory/index.ts";
import {
  explain,
  IommufdBackend,
  type AssigningHost,
  type Blocker,
  type EventPort,
  type MigratingDevice,
} from "../vfio/index.ts";
import { makeDescribedHost, type DescribedHost, type DiskSource } from "../vfiohost/index.ts";
import { MachineError } from "./errors.ts";
import type { AssignmentFacts, IommufdConfig } from "./port.ts";

/** Requests, and the bitmap of half a gigabyte's pages at a time. */
const ARENA_BYTES = 0x1_0000;

export interface AssignedHostParts {
  readonly space: AddressSpace;
  /** What the host's devices work by. */
  readonly timers: TimerPort;
  readonly trace: TracePort;
  /** The machine's disks, for the host's devices. */
  readonly disks: DiskSource;
  readonly work?: WorkPort | undefined;
  readonly warn: (message: string) => void;
  /** Told of what devices of hosts write, beside their trackers. */
  readonly onDeviceWrite?: ((device: string, offset: number, lengthBytes: number) => void) | undefined;
  /** Told of each host that is made. */
  readonly made: (host: DescribedHost) => void;
}

/** The machine's iommufd objects by id; memory for their requests is reserved before the world is made. */
export type PlannedIommufds = (parts: AssignedHostParts) => ReadonlyMap<string, IommufdBackend>;

export function planIommufds(plan: WorldPlan, configs: readonly IommufdConfig[]): PlannedIommufds {
  const planned = configs.map((config) => ({ config, at: plan.reserve(`iommufd ${config.id}`, ARENA_BYTES, 4096) }));
  return (parts) => {
    const backends = new Map<string, IommufdBackend>();
    for (const { config, at } of planned) {
      if (backends.has(config.id)) {
        throw new MachineError("badConfig", `There are two iommufd objects "${config.id}"`, { subject: config.id });
      }
      const host = assigningHost(config.host, at, parts);
      const { space, warn } = parts;
      const { id, policy } = config;
      const others = (): MigratingDevice[] =>
        [...backends.values()].filter((other) => other.id !== id).flatMap(({ migrating }) => migrating);
      backends.set(id, new IommufdBackend({ id, host, space, policy, warn, others }));
    }
    return backends;
  };
}

function assigningHost(plan: HostPlan, arenaAt: number, parts: AssignedHostParts): AssigningHost {
  const { space, timers, trace, disks, work, onDeviceWrite } = parts;
  const { world } = space;
  let writer = "";
  const beforeWrite = onDeviceWrite === undefined ? undefined : (device: string) => void (writer = device);
  const made = makeDescribedHost(plan, { timers, trace, disks, work, beforeWrite });
  parts.made(made);
  const { host, vfio } = made;
  const caller = makeLocalCaller({
    bytes: world.u8,
    // Which pages are dirty is asked of the IOMMU, or of the device; translated code is ours to watch.
    onDeviceWrite: (offset, lengthBytes) => {
      world.notes.noteForeignWrite(offset, lengthBytes);
      onDeviceWrite?.(writer, offset, lengthBytes);
    },
  });
  const arena = { va: BigInt(arenaAt), bytes: world.u8.subarray(arenaAt, arenaAt + ARENA_BYTES) };
  return localAssigningHost({ session: host.attach(caller), arena, files: caller.files, vfio });
}

/** What hands out the devices of a host in this process. */
export function localAssigningHost({
  session,
  arena,
  files,
  vfio,
}: Pick<AssigningHost, "session" | "arena"> & {
  readonly files: LocalFiles;
  readonly vfio: DescribedHost["vfio"];
}): AssigningHost {
  const devices = vfio.devices.map(({ name, path, kind }) => ({ name, path, isMediated: kind.bus === "mdev" }));
  return { session, arena, events: localEvents(files), devices };
}

function localEvents(files: LocalFiles): EventPort {
  return {
    open(onSignalled) {
      const fd = files.openEventFd();
      if (fd < 0) throw new IommufdError("eventfd", -fd);
      const event = files.eventFd(fd) as EventFd;
      const end = onSignalled === undefined ? undefined : event.listen(onSignalled);
      return {
        fd,
        signal: () => event.signal(),
        close() {
          end?.();
          event.release();
          files.close(fd);
        },
      };
    },
  };
}

/** For those who want to see how devices are assigned. */
export function assignmentFacts(backend: IommufdBackend): readonly AssignmentFacts[] {
  return backend.assignments.map(({ device, container }) => {
    const domain = container.domainOf(device);
    const { tracker, because } = container.trackerOf(device);
    return {
      device: device.name,
      iommufd: backend.id,
      pageTable: domain === undefined ? undefined : { id: domain.hwptId, hasDirtyBits: domain.hasDirtyBits },
      isMediated: device.isMediated,
      tracker,
      because,
    };
  });
}

/** What keeps the devices of all objects from migrating together. */
export function blockersOf(backends: Iterable<IommufdBackend>): readonly Blocker[] {
  return explain({ refused: [], migrating: [...backends].flatMap(({ migrating }) => migrating) });
}
