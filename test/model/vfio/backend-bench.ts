// A machine's memory, a host as described, and the object through which the machine takes its devices.
import { ManualTimers } from "../../../src/base/index.ts";
import { makeLocalCaller, type HostPlan, type HostSession } from "../../../src/iommufd/index.ts";
import { localAssigningHost } from "../../../src/machine/assigned-host.ts";
import { AddressSpace, containerRegion, ramRegion, WorldPlan, type World } from "../../../src/memory/index.ts";
import { IommufdBackend, type TrackerPolicy } from "../../../src/vfio/index.ts";
import { makeDescribedHost, type VfioHost } from "../../../src/vfiohost/index.ts";

const ARENA_BYTES = 0x1_0000;

export interface BackendBenchOptions {
  readonly policy: TrackerPolicy;
  /** Where RAM lies, and how much; default: one page at 0. */
  readonly ramAt?: number;
  readonly ramBytes?: number;
  /** Stands between the object and the host; `nameOf` knows a device file's device. */
  readonly watch?: (
    session: HostSession,
    arena: Uint8Array,
    nameOf: (path: string) => string | undefined,
  ) => HostSession;
}

export interface BackendBench {
  readonly backend: IommufdBackend;
  readonly warnings: readonly string[];
  readonly world: World;
  readonly timers: ManualTimers;
  readonly vfio: VfioHost;
  readonly audit: () => object;
}

export function makeBackend(
  plan: HostPlan,
  { policy, ramAt = 0, ramBytes = 0x1000, watch }: BackendBenchOptions,
): BackendBench {
  const worldPlan = new WorldPlan();
  const ram = worldPlan.ram("ram", ramBytes);
  const arenaAt = worldPlan.reserve("arena", ARENA_BYTES, 4096);
  const world = worldPlan.create();
  const root = containerRegion("system", 2 ** 53);
  root.add(ramRegion(ram), ramAt);
  const timers = new ManualTimers();
  const { host, vfio } = makeDescribedHost(plan, { timers, trace: { guestError: () => undefined } });
  const arena = world.u8.subarray(arenaAt, arenaAt + ARENA_BYTES);
  const warnings: string[] = [];
  const caller = makeLocalCaller({ bytes: world.u8 });
  const session = host.attach(caller);
  const nameOf = (path: string): string | undefined => vfio.devices.find((device) => device.path === path)?.name;
  const backend = new IommufdBackend({
    id: "f0",
    host: localAssigningHost({
      session: watch?.(session, arena, nameOf) ?? session,
      arena: { va: BigInt(arenaAt), bytes: arena },
      files: caller.files,
      vfio,
    }),
    space: new AddressSpace("memory", root, world),
    policy,
    warn: (text) => void warnings.push(text),
  });
  const audit = (): object => ({ ...host.audit(), ...vfio.audit() });
  return { backend, warnings, world, timers, vfio, audit };
}
