// What the tests of this room share: a host with devices behind units, a caller, clients, and time that the test moves.
import { expect } from "vitest";
import { ManualTimers } from "../base/index.ts";
import {
  DescribedUnit,
  IommufdClient,
  ioctlCommand,
  type LocalEventFd,
  makeGroup,
  makeLocalCaller,
  MigrationData,
  SoftwareHost,
  unitProfiles,
  VfioDeviceClient,
  vfioDeviceIoctls,
  VfioPciRegion,
  type AnyLayout,
  type DeviceGroup,
  type HostSession,
  type LocalCaller,
  type LocalCallerOptions,
  type SoftwareHostOptions,
  type VfioDeviceIoctl,
} from "../iommufd/index.ts";
import { makeVfioHost, type VfioHostOptions } from "./make-host.ts";
import type { VfioDeviceDescription, VfioDeviceNode, VfioHost } from "./port.ts";

export const MEMORY_BYTES = 0x40_0000;
export const ARENA_AT: number = MEMORY_BYTES - 0x2_0000;
/** Where raw requests of tests lie. */
export const RAW_AT: number = ARENA_AT - 0x2000;

export interface VfioBench {
  readonly host: SoftwareHost;
  readonly vfio: VfioHost;
  readonly timers: ManualTimers;
  readonly caller: LocalCaller;
  readonly session: HostSession;
  readonly bytes: Uint8Array;
  readonly iommufd: IommufdClient;
  /** Adds a device, by default a DMA engine behind a unit of this profile in a group of its own. */
  add(description?: Partial<VfioDeviceDescription>, profile?: string, group?: DeviceGroup): VfioDeviceNode;
  /** Opens a device's file. */
  open(node: VfioDeviceNode): VfioDeviceClient;
  /** Opens and binds it. */
  bound(node: VfioDeviceNode): VfioDeviceClient;
  /** An ioctl with a structure as it is written here; the result and the structure as it came back. */
  raw<L extends AnyLayout>(
    fd: number,
    ioctl: VfioDeviceIoctl,
    layout: L,
    values: object,
    trailing?: Uint8Array,
  ): { readonly result: number; readonly reply: ReturnType<L["decode"]> };
  /** An ioctl by its number, on an argument. */
  ioctl(fd: number, nr: number, argument?: number): number;
  eventFd(): { readonly fd: number; readonly event: LocalEventFd };
  data(fd: number): MigrationData;
  /** Closes everything and expects that nothing is left. */
  end(): void;
}

export interface VfioBenchOptions extends SoftwareHostOptions {
  readonly kinds?: VfioHostOptions["kinds"];
  /** The caller, besides its memory. */
  readonly caller?: Omit<LocalCallerOptions, "bytes">;
}

export function vfioBench(options: VfioBenchOptions = {}): VfioBench {
  const host = new SoftwareHost(options);
  const timers = new ManualTimers();
  const vfio = makeVfioHost({
    host,
    timers,
    trace: { guestError: () => {} },
    ...(options.kinds === undefined ? {} : { kinds: options.kinds }),
  });
  const bytes = new Uint8Array(MEMORY_BYTES);
  const caller = makeLocalCaller({ bytes, ...options.caller });
  const session = host.attach(caller);
  const arena = { va: BigInt(ARENA_AT), bytes: bytes.subarray(ARENA_AT, ARENA_AT + 0x1_0000) };
  const dataArena = { va: BigInt(ARENA_AT + 0x1_0000), bytes: bytes.subarray(ARENA_AT + 0x1_0000) };
  const iommufd = IommufdClient.open(session, arena);
  const units = new Map<string, DescribedUnit>();
  let groups = 0;
  const bench: VfioBench = {
    host,
    vfio,
    timers,
    caller,
    session,
    bytes,
    iommufd,
    add(description = {}, profile = "vtd-ssads", group = makeGroup(100 + groups++)) {
      const kind = description.kind ?? "dma-engine";
      const name = description.name ?? `0000:01:00.${vfio.devices.length}`;
      if (vfio.kinds.find((k) => k.name === kind)?.bus === "mdev") return vfio.add({ kind, name, ...description });
      let unit = units.get(profile);
      if (unit === undefined) units.set(profile, (unit = new DescribedUnit(`u${units.size}`, unitProfiles[profile]!)));
      return vfio.add({ kind, name, ...description }, { unit, group });
    },
    open: (node) => VfioDeviceClient.open(session, arena, node.path),
    bound(node) {
      const device = bench.open(node);
      device.bind(iommufd.fd);
      return device;
    },
    raw(fd, ioctl, layout, values, trailing = new Uint8Array(0)) {
      layout.encode(values, bytes, RAW_AT);
      bytes.set(trailing, RAW_AT + layout.lengthBytes);
      const result = bench.ioctl(fd, vfioDeviceIoctls[ioctl].nr);
      return { result, reply: layout.decode(bytes, RAW_AT) as never };
    },
    ioctl: (fd, nr, argument = RAW_AT) => session.ioctl(fd, ioctlCommand(nr), BigInt(argument)),
    eventFd() {
      const fd = caller.files.openEventFd();
      return { fd, event: caller.files.lookup(fd) as LocalEventFd };
    },
    data: (fd) => new MigrationData(session, fd, dataArena),
    end() {
      caller.files.closeAll();
      expect(vfio.audit()).toEqual({ boundDevices: 0, eventFds: 0, mappings: 0, dataFiles: 0 });
      expect(host.audit()).toEqual({ pinnedPages: 0, accountsClear: true, openContexts: 0 });
      for (const { isOpen, placement } of vfio.devices) {
        expect(isOpen).toBe(false);
        expect(placement?.group.ownerCount ?? 0).toBe(0);
      }
    },
  };
  return bench;
}

/** Little-endian numbers at an offset of a region. */
export function registers(
  device: VfioDeviceClient,
  index: number,
): {
  get(at: number, widthBytes?: number): number;
  set(at: number, value: number, widthBytes?: number): void;
} {
  const region = device.region(index);
  return {
    get(at, widthBytes = 4) {
      const into = new Uint8Array(widthBytes);
      device.read(region, BigInt(at), into);
      return into.reduceRight((sum, byte) => sum * 256 + byte, 0);
    },
    set(at, value, widthBytes = 4) {
      const from = Uint8Array.from({ length: widthBytes }, (_, i) => Math.floor(value / 256 ** i) & 0xff);
      device.write(region, BigInt(at), from);
    },
  };
}

export const config = (device: VfioDeviceClient): ReturnType<typeof registers> =>
  registers(device, VfioPciRegion.CONFIG);
