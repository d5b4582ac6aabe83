// A machine's memory and a software host, joined as the product joins them; devices are DMA and nothing else.
import {
  attachDevice,
  bindDevice,
  DescribedDevice,
  DescribedUnit,
  detachDevice,
  DeviceDma,
  Errno,
  IommufdClient,
  IommufdError,
  makeGroup,
  makeLocalCaller,
  NO_PASID,
  SoftwareHost,
  unbindDevice,
  unitProfiles,
  type DeviceGroup,
  type IommufdContext,
  type LocalFiles,
  type UnitDescription,
} from "../../iommufd/index.ts";
import { AddressSpace, containerRegion, ramRegion, WorldPlan, type RamBlock, type World } from "../../memory/index.ts";
import { Container, type ContainedDevice, type ContainerOptions } from "../container.ts";
import type { DmaLog } from "../trackers/source.ts";

export const RAM_BASE = 0x8000_0000;
export const RAM_BYTES = 0x40_0000;

export interface RigDevice extends ContainedDevice {
  readonly dma: DeviceDma;
  unbind(): void;
}

export interface Rig {
  readonly host: SoftwareHost;
  readonly world: World;
  readonly space: AddressSpace;
  readonly ram: RamBlock;
  readonly iommufd: IommufdClient;
  readonly files: LocalFiles;
  readonly warnings: string[];
  container(options?: Partial<Pick<ContainerOptions, "policy" | "fileOf">>): Container;
  device(unit: UnitDescription, options?: RigDeviceOptions): RigDevice;
}

export interface RigDeviceOptions {
  readonly group?: DeviceGroup;
  readonly log?: DmaLog;
  readonly mayLog?: boolean;
}

export function makeRig(): Rig {
  const plan = new WorldPlan();
  const ram = plan.ram("ram", RAM_BYTES);
  const arenaAt = plan.reserve("iommufd arena", 0x1_0000, 4096);
  const world = plan.create();
  const root = containerRegion("system", 2 ** 53);
  root.add(ramRegion(ram), RAM_BASE);
  const space = new AddressSpace("memory", root, world);
  const host = new SoftwareHost();
  const caller = makeLocalCaller({ bytes: world.u8 });
  const session = host.attach(caller);
  const arena = { va: BigInt(arenaAt), bytes: world.u8.subarray(arenaAt, arenaAt + 0x1_0000) };
  const iommufd = IommufdClient.open(session, arena);
  const context = caller.files.lookup(iommufd.fd) as IommufdContext;
  const units = new Map<UnitDescription, DescribedUnit>();
  const warnings: string[] = [];
  let count = 0;
  return {
    host,
    world,
    space,
    ram,
    iommufd,
    files: caller.files,
    warnings,
    container: (options = {}) =>
      new Container({
        iommufd,
        space,
        policy: "mixed",
        warn: (message) => void warnings.push(message),
        ...options,
      }),
    device(description, options = {}) {
      let unit = units.get(description);
      if (unit === undefined) units.set(description, (unit = new DescribedUnit(`u${units.size}`, description)));
      const name = `d${count++}`;
      const device = new DescribedDevice({ name, unit, group: options.group ?? makeGroup(100 + count) });
      const bound = bindDevice(context, device, { holdsContext: false, allowUnsafeInterrupts: true });
      if (typeof bound === "number") throw new IommufdError("VFIO_DEVICE_BIND_IOMMUFD", -bound, name);
      return {
        name,
        deviceId: bound.id,
        isMediated: false,
        log: options.log,
        mayLog: options.mayLog ?? true,
        canMigrate: true,
        dma: new DeviceDma(host.memory, device),
        attach(tableId) {
          const result = attachDevice(bound, NO_PASID, tableId);
          if (result < 0) throw new IommufdError("VFIO_DEVICE_ATTACH_IOMMUFD_PT", -result, name);
        },
        detach: () => void detachDevice(bound, NO_PASID),
        unbind: () => unbindDevice(bound),
      };
    },
  };
}

const profile = (name: string): UnitDescription => unitProfiles[name]!;
/** A unit that sets dirty bits, the same model without, and one of another model. */
export const TRACKING_UNIT: UnitDescription = profile("vtd-ssads");
export const PLAIN_UNIT: UnitDescription = profile("vtd");
export const OTHER_UNIT: UnitDescription = profile("smmuv3");

/** A DMA log of a device whose writes the test names, and which takes ranges of so many bytes in all. */
export function fakeLog(
  mostBytes: number = Infinity,
): DmaLog & { readonly written: Set<number>; readonly calls: string[] } {
  const written = new Set<number>();
  const calls: string[] = [];
  let on = false;
  return {
    written,
    calls,
    start(ranges) {
      if (ranges.reduce((sum, range) => sum + Number(range.lengthBytes), 0) > mostBytes) {
        throw new IommufdError("VFIO_DEVICE_FEATURE (DMA_LOGGING_START)", Errno.ENOMEM);
      }
      calls.push(`start ${ranges.map((r) => `${r.iova.toString(16)}+${r.lengthBytes.toString(16)}`).join(" ")}`);
      on = true;
      written.clear();
    },
    stop() {
      calls.push("stop");
      on = false;
    },
    report(iova, lengthBytes, pageBytes) {
      if (!on) throw new IommufdError("VFIO_DEVICE_FEATURE", Errno.EINVAL);
      const bits = new Uint8Array(Number((lengthBytes / pageBytes + 7n) / 8n));
      for (const page of written) {
        const bit = page - Number(iova / pageBytes);
        if (bit < 0 || bit >= Number(lengthBytes / pageBytes)) continue;
        bits[bit >> 3]! |= 1 << (bit & 7);
        written.delete(page);
      }
      return bits;
    },
  };
}
