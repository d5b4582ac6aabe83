// The VFIO half of a software host: devices made from descriptions, each with its file.
import type { TimerPort, TracePort } from "../base/index.ts";
import { DescribedDevice, DeviceDma, DmaResult, Errno, type DmaFault, type SoftwareHost } from "../iommufd/index.ts";
import { HostCounters } from "./counters.ts";
import type { WorkPort } from "../device/index.ts";
import type { PciDevice } from "../device/pci/index.ts";
import { VfioDevice, type DriverEvents } from "./device.ts";
import type { DeviceDriver } from "./driver.ts";
import { DeviceFile } from "./device-file.ts";
import { VfioHostError } from "./errors.ts";
import { builtInKinds, pinsPages, type DeviceKind, type DiskSource } from "./kinds.ts";
import { MediatedDriver } from "./mediated/mediated-driver.ts";
import { HostBus, parsePciAddress } from "./pci/host-bus.ts";
import { PciDriver } from "./pci/pci-driver.ts";
import type { VfioAudit, VfioDeviceDescription, VfioDmaFault, VfioHost, VfioPlacement } from "./port.ts";
import { DeviceWires, type HostDma, type InterruptListener } from "./wires.ts";

const MAX_FAULTS = 1000;

export interface VfioHostOptions {
  readonly host: SoftwareHost;
  /** What devices work by. */
  readonly timers: TimerPort;
  readonly trace: TracePort;
  /** For devices with disks. Absent: there are none. */
  readonly disks?: DiskSource | undefined;
  /** For devices that wait for files of the host. Absent: they begin at once. */
  readonly work?: WorkPort | undefined;
  /** Told the name of the device before each of its DMA writes. */
  readonly beforeWrite?: ((device: string) => void) | undefined;
  /** Further kinds of device. */
  readonly kinds?: readonly DeviceKind[];
}

/** Adds `/dev/vfio/devices/vfioN` to a software host. */
export function makeVfioHost(options: VfioHostOptions): VfioHost {
  return new SoftwareVfioHost(options);
}

class SoftwareVfioHost implements VfioHost {
  readonly kinds: readonly DeviceKind[];
  readonly devices: VfioDevice[] = [];
  readonly faults: VfioDmaFault[] = [];
  readonly #options: VfioHostOptions;
  readonly #bus = new HostBus<PciDriver>();
  readonly #counters = new HostCounters();

  constructor(options: VfioHostOptions) {
    this.#options = options;
    this.kinds = [...builtInKinds, ...(options.kinds ?? [])];
  }

  add(description: VfioDeviceDescription, placement?: VfioPlacement): VfioDevice {
    const kind = this.#check(description, placement);
    const { host, timers, trace, disks, work } = this.#options;
    const wires = new DeviceWires(trace);
    const model = kind.make({ description, timers, ports: wires.ports, disks, work });
    let driver: InterruptListener & DeviceDriver;
    let dma: HostDma;
    const device = new VfioDevice({
      path: `/dev/vfio/devices/vfio${this.devices.length}`,
      name: description.name,
      kind,
      migration: description.migration ?? [],
      dmaLog: description.dmaLog ?? false,
      placement,
      memory: host.memory,
      counters: this.#counters,
      model,
      makeDriver: (events) => {
        const made =
          placement === undefined
            ? this.#mediated(kind, model, description, events)
            : this.#behindUnit(model, description.name, placement, events);
        ({ driver, dma } = made);
        return driver;
      },
    });
    wires.connect(device.logged(this.#announced(description.name, dma!)), driver!, () => device.activity === "running");
    this.devices.push(device);
    host.addFile(device.path, () => (host.memory.failAt("alloc") ? -Errno.ENOMEM : new DeviceFile(device)));
    return device;
  }

  async drain(): Promise<void> {
    await Promise.all(this.devices.map((device) => device.drain()));
  }

  audit(): VfioAudit {
    const { boundDevices, eventFds, mappings, dataFiles } = this.#counters;
    return { boundDevices, eventFds, mappings, dataFiles };
  }

  #check(description: VfioDeviceDescription, placement: VfioPlacement | undefined): DeviceKind {
    const { name, migration = [], dmaLog = false } = description;
    const refuse = (code: VfioHostError["code"], message: string): never => {
      throw new VfioHostError(code, message, { subject: name });
    };
    const kind =
      this.kinds.find((k) => k.name === description.kind) ??
      refuse("unknownKind", `There is no kind of device "${description.kind}"; ${this.#names()} would do`);
    if (this.devices.some((d) => d.name === name)) refuse("duplicateName", "There is a device of this name already");
    if (kind.bus === "pci" && parsePciAddress(name) === undefined) {
      refuse("badName", "A PCI device is named by its address, such as 0000:01:00.0");
    }
    if (kind.bus === "mdev" && (name === "" || name.includes("/"))) refuse("badName", "A name has no slash");
    if ((kind.bus === "pci") !== (placement !== undefined)) {
      const would = kind.bus === "pci" ? "stands behind a unit" : "stands behind no unit";
      refuse("badPlacement", `A device of kind "${kind.name}" ${would}`);
    }
    if (placement?.group.devices.some((d) => d.unit !== placement.unit) === true) {
      refuse("badPlacement", "Its group stands behind another unit; a group of its own would do");
    }
    for (const ability of migration) {
      if (!kind.migration.includes(ability)) refuse("badAbility", `Kind "${kind.name}" cannot do "${ability}"`);
      if (!migration.includes("stop-copy")) refuse("badAbility", `"${ability}" needs "stop-copy"`);
    }
    if (dmaLog && !kind.dmaLog) refuse("badAbility", `Kind "${kind.name}" cannot log its DMA`);
    return kind;
  }

  #names(): string {
    return this.kinds.map((k) => k.name).join(", ");
  }

  #behindUnit(model: PciDevice, name: string, { unit, group, reserved = [] }: VfioPlacement, events: DriverEvents) {
    const physical = new DescribedDevice({ name, unit, group, reserved });
    const driver = new PciDriver(model, {
      address: parsePciAddress(name)!,
      physical,
      memory: this.#options.host.memory,
      counters: this.#counters,
      bus: this.#bus,
      events,
    });
    const dma = new DeviceDma(this.#options.host.memory, physical, (fault) => this.#note(name, fault));
    return { driver, dma };
  }

  #mediated(kind: DeviceKind, model: PciDevice, description: VfioDeviceDescription, events: DriverEvents) {
    const driver = new MediatedDriver(model, {
      memory: this.#options.host.memory,
      counters: this.#counters,
      events,
      pins: pinsPages(kind, description),
      onFault: (fault) => this.#keep({ device: description.name, ...fault }),
    });
    return { driver, dma: driver.dma };
  }

  #announced(device: string, dma: HostDma): HostDma {
    const { beforeWrite } = this.#options;
    if (beforeWrite === undefined) return dma;
    return {
      read: (iova, into) => dma.read(iova, into),
      write(iova, from) {
        beforeWrite(device);
        return dma.write(iova, from);
      },
    };
  }

  #note(device: string, { iova, pasid, write, result }: DmaFault): void {
    const reason = result === DmaResult.forbidden ? "forbidden" : "unmapped";
    this.#keep({ device, iova, pasid, write, reason });
  }

  #keep(fault: VfioDmaFault): void {
    this.faults.push(fault);
    if (this.faults.length > MAX_FAULTS) this.faults.shift();
  }
}
