// Plugs devices in as `-device` says: virtio devices into slots, PCI devices into buses, ports of virtio-serial and
// namespaces of NVMe into those. PCI devices also come and go while the guest runs, through root ports.
import type { TimerPort } from "../../base/index.ts";
import {
  NvmeController,
  nvmeNamespaceInfo,
  readNvmeNamespaceConfig,
  type DeviceTypeInfo,
  type WorkPort,
} from "../../device/index.ts";
import { pciProperties, placeName, readPciPlacement, RootPort, type PciBus } from "../../device/pci/index.ts";
import {
  VirtioSerial,
  readSerialPortConfig,
  virtconsoleInfo,
  virtserialportInfo,
  type SerialPortConfig,
  type VirtioContext,
  type VirtioMmio,
} from "../../device/virtio/index.ts";
import { MachineError } from "../errors.ts";
import { LocalMemory } from "../local-memory.ts";
import { busFacts, deviceFacts } from "../inspect.ts";
import type { BusFacts, DeviceConfig, MachineObserver } from "../port.ts";
import type { System } from "../system.ts";
import { VfioPci, type IommufdBackend, type MovingDevice } from "../../vfio/index.ts";
import type { Given } from "./given.ts";
import type { PciDeviceType, PluggedDevice } from "./pci-device-type.ts";
import { pciDeviceTypes } from "./pci-devices.ts";
import { PciSlots, type PciPlace } from "./pci-slots.ts";
import { Slots } from "./slots.ts";
import { slotDevices, type SlotDevice, type VirtioParts } from "./virtio-devices.ts";

export interface PlugParts extends VirtioParts {
  readonly system: System;
  readonly mmio: readonly VirtioMmio[];
  readonly rootBus: PciBus;
  readonly timers: TimerPort;
  readonly iommufds: ReadonlyMap<string, IommufdBackend>;
  readonly work?: WorkPort | undefined;
  /** What the virtio device named so is given. */
  readonly context: (name: string) => VirtioContext;
}

/** What is plugged into the bus of another device. */
const childDevices: readonly DeviceTypeInfo[] = [virtconsoleInfo, virtserialportInfo, nvmeNamespaceInfo];

/** For `-device help` and `-device X,help`. */
export const virtDeviceTypes: readonly DeviceTypeInfo[] = [
  ...slotDevices.map(({ info }) => info),
  ...childDevices,
  ...pciDeviceTypes.map(({ info }) => info),
];

/** A PCI device in its place. */
interface Plugged {
  readonly id: string | undefined;
  readonly config: DeviceConfig;
  readonly name: string;
  readonly place: PciPlace;
  readonly device: PluggedDevice;
  /** Ends its part in the machine. */
  readonly release: () => void;
}

type When = "before the start" | "while the guest runs";

/** Throws typed errors that name the device and what would do. */
export class Plugs {
  /** The guest has let go of a device that the operator wanted back. */
  onRemoved: ((id: string) => void) | undefined;
  /** An assigned device whose options ask for it has got to a state of VFIO migration. */
  onDeviceState: MachineObserver["deviceState"] | undefined;
  readonly #parts: PlugParts;
  readonly #slots = new Slots();
  readonly #pciSlots: PciSlots;
  readonly #ids = new Set<string>();
  /** How many devices without an id came so far. */
  #namelessCount = 0;
  readonly #serialBuses: { readonly bus: string; readonly device: VirtioSerial }[] = [];
  readonly #plugged = new Set<Plugged>();
  readonly #inSlots = new Map<number, DeviceConfig>();
  /** By the bus that they are in. */
  readonly #children: { readonly bus: string; readonly config: DeviceConfig }[] = [];

  constructor(parts: PlugParts) {
    this.#parts = parts;
    this.#pciSlots = new PciSlots(parts.rootBus);
  }

  get pciDevices(): PluggedDevice[] {
    return [...this.#plugged].map(({ device }) => device);
  }

  /** By the names of their states. */
  get movingDevices(): ReadonlyMap<string, MovingDevice> {
    const moving = new Map<string, MovingDevice>();
    for (const { device, place } of this.#plugged) {
      if (!(device instanceof VfioPci) || device.moving === undefined) continue;
      moving.set(`${place.bus.name}/${placeName(place.at)}/${device.typeName}`, device.moving);
    }
    return moving;
  }

  /** What is in a slot of virtio-mmio. */
  slotFacts(slot: number): BusFacts {
    const config = this.#inSlots.get(slot);
    const devices =
      config === undefined ? [] : [deviceFacts(config, { buses: this.#serialBus(this.#parts.mmio[slot]!.device) })];
    return busFacts(`virtio-mmio-bus.${slot}`, "virtio-mmio-bus", devices);
  }

  /** The root bus, and what is behind its ports. */
  get pciFacts(): BusFacts {
    return this.#pciBusFacts(this.#parts.rootBus);
  }

  #pciBusFacts(bus: PciBus): BusFacts {
    const here = [...this.#plugged].filter(({ place }) => place.bus === bus);
    const devices = here.map(({ config, name, place, device }) => {
      const behind = device instanceof RootPort ? [this.#pciBusFacts(device.secondary)] : [];
      const { addr: _addr, ...properties } = config.properties;
      return deviceFacts(
        { ...config, properties: { addr: placeName(place.at), ...properties } },
        { buses: [...behind, ...this.#serialBus(device.backend), ...this.#busOf(name)] },
      );
    });
    return busFacts(bus.name, "PCIE", devices);
  }

  #serialBus(device: unknown): readonly BusFacts[] {
    const serial = this.#serialBuses.find((each) => each.device === device);
    return serial === undefined ? [] : this.#busOf(serial.bus);
  }

  /** A bus of a device's own; none where it is empty. */
  #busOf(name: string): readonly BusFacts[] {
    const inside = this.#children.filter(({ bus }) => bus === name).map(({ config }) => deviceFacts(config));
    return inside.length === 0
      ? []
      : [busFacts(name, inside[0]!.typeName === nvmeNamespaceInfo.typeName ? "NVME" : "virtio-serial-bus", inside)];
  }

  /** In the order of the configuration, before the machine starts. */
  plug(config: DeviceConfig): void {
    if (config.id !== undefined) this.#checkId(config.id, config.driver);
    this.#plugAny(config);
    this.#noteId(config);
  }

  /** While the guest runs, into the slot of a root port. */
  hotPlug(config: DeviceConfig): void {
    if (config.id !== undefined) this.#checkId(config.id, config.driver);
    const type = pciDeviceTypes.find(({ info }) => info.typeName === config.driver);
    if (type === undefined)
      throw unknownDevice(
        config.driver,
        pciDeviceTypes.map(({ info }) => info),
      );
    this.#plugPci(type, config, "while the guest runs");
    this.#noteId(config);
  }

  #noteId({ id }: DeviceConfig): void {
    if (id === undefined) this.#namelessCount += 1;
    else this.#ids.add(id);
  }

  /** Asks the guest to let a device go; `onRemoved` follows. */
  unplug(id: string): void {
    const plugged = [...this.#plugged].find((each) => each.id === id);
    if (plugged === undefined) {
      throw new MachineError("unknownDevice", `There is no device "${id}" that could be taken out`, { subject: id });
    }
    const { port, bus } = plugged.place;
    if (port?.hasHotplug !== true) {
      throw new MachineError("badConfig", `Bus "${bus.name}" does not support hotplugging`, { subject: id });
    }
    if (port.isRemovalAsked) {
      throw new MachineError("badConfig", `Device "${id}" is already in the process of unplug`, { subject: id });
    }
    port.askForRemoval();
  }

  #checkId(id: string, driver: string): void {
    if (!this.#ids.has(id)) return;
    throw new MachineError("badConfig", `Id "${id}" of "${driver}" is used by another device`, { subject: driver });
  }

  #plugAny(config: DeviceConfig): void {
    const { driver } = config;
    const slotDevice = slotDevices.find(({ info }) => info.typeName === driver);
    if (slotDevice !== undefined) return this.#plugSlot(slotDevice, config);
    const pci = pciDeviceTypes.find(({ info }) => info.typeName === driver);
    if (pci !== undefined) return this.#plugPci(pci, config, "before the start");
    const child = childDevices.find(({ typeName }) => typeName === driver);
    if (child === undefined) throw unknownDevice(driver, virtDeviceTypes);
    const { bus, ...properties } = config.properties;
    const given = { properties, subject: driver, name: config.id ?? driver };
    const busName = bus === undefined ? undefined : String(bus);
    const parent = child === nvmeNamespaceInfo ? this.#plugNamespace(given, busName) : this.#plugPort(given, busName);
    this.#children.push({ bus: parent, config });
  }

  #plugSlot(type: SlotDevice, config: DeviceConfig): void {
    const { mmio, system, context } = this.#parts;
    const slot = this.#slots.take(config);
    const { bus: _bus, ...properties } = config.properties;
    const name = config.id ?? `${config.driver}.${slot}`;
    const device = type.make({ properties, subject: config.driver, name }, this.#parts, context(name));
    mmio[slot]!.plug(device);
    this.#inSlots.set(slot, config);
    system.saveables.set(`virtio-mmio.${slot}/${device.typeName}`, device);
    if (device instanceof VirtioSerial) this.#addSerialBus(device, config.id);
  }

  #addSerialBus(device: VirtioSerial, id: string | undefined): void {
    const bus = id === undefined ? `virtio-serial-bus.${this.#serialBuses.length}` : `${id}.0`;
    this.#serialBuses.push({ bus, device });
  }

  /** Into the bus that is named, or the first one; returns its name. */
  #plugPort({ properties, subject }: Given, bus: string | undefined): string {
    const found = bus === undefined ? this.#serialBuses[0] : this.#serialBuses.find((each) => each.bus === bus);
    if (found === undefined) {
      const wanted = bus === undefined ? "virtio-serial bus" : `bus "${bus}"`;
      throw new MachineError(
        "badConfig",
        `There is no ${wanted} for "${subject}"; a virtio-serial-device before it would do`,
        { subject },
      );
    }
    const config = readSerialPortConfig(subject as SerialPortConfig["kind"], properties, subject);
    const { backends } = this.#parts;
    found.device.addPort(config, config.chardev === undefined ? undefined : backends.chardev(config.chardev, subject));
    return found.bus;
  }

  /** Into the controller that is named, or the first one; returns its name. */
  #plugNamespace({ properties, subject, name: user }: Given, bus: string | undefined): string {
    const plugged = [...this.#plugged].find(({ device, name }) => {
      return device instanceof NvmeController && (bus === undefined || name === bus);
    });
    const nvme = plugged?.device;
    if (plugged === undefined || !(nvme instanceof NvmeController)) {
      const wanted = bus === undefined ? "NVMe controller" : `bus "${bus}"`;
      throw new MachineError("badConfig", `There is no ${wanted} for "${subject}"; an nvme with that id would do`, {
        subject,
      });
    }
    const { drive, namespaceId, uuid, eui64, blockShift } = readNvmeNamespaceConfig(properties, subject);
    const node = this.#parts.backends.blockNode(drive, user);
    nvme.addNamespace({ ...(namespaceId === undefined ? {} : { id: namespaceId }), node, blockShift, uuid, eui64 });
    return plugged.name;
  }

  #plugPci(type: PciDeviceType, config: DeviceConfig, when: When): void {
    const { driver, id } = config;
    const { bus, own, common } = splitProperties(config.properties);
    const place = this.#pciSlots.take(driver, bus, readPciPlacement(driver, common, driver));
    try {
      this.#checkHotPlug(driver, place, when);
      const name = id ?? `${driver}.${placeName(place.at)}`;
      const { timers } = this.#parts;
      const ports = place.bus.ports(place.at, name);
      const claimSlotNumber = (chassis: number, slot: number): void =>
        this.#pciSlots.claimSlotNumber(driver, chassis, slot);
      const given = { properties: own, subject: driver, name };
      const device = type.make(given, { ...this.#parts, name, place, ports, timers, claimSlotNumber });
      this.#watchStates(device, id ?? this.#namelessCount);
      this.#connect(device, place, when);
      if (device.backend instanceof VirtioSerial) this.#addSerialBus(device.backend, id);
      this.#plugged.add({ id, config, name, place, device, release: this.#adopt(device, place) });
    } catch (error) {
      this.#pciSlots.release(place);
      throw error;
    }
  }

  #watchStates(device: PluggedDevice, id: string | number): void {
    if (!(device instanceof VfioPci) || !device.tellsStates || device.moving === undefined) return;
    device.moving.onState = (state) => this.onDeviceState?.(id, state);
  }

  #checkHotPlug(driver: string, { bus, port }: PciPlace, when: When): void {
    if (when === "before the start" || port?.hasHotplug === true) return;
    throw new MachineError("badConfig", `Bus "${bus.name}" does not support hotplugging; a root port's would do`, {
      subject: driver,
    });
  }

  #connect(device: PluggedDevice, { bus, port, at, isMultifunction }: PciPlace, when: When): void {
    if (device instanceof RootPort) {
      bus.plug(at, device.pci, { isMultifunction, bridge: device });
      this.#pciSlots.addPort(device);
      device.onRelease = () => this.#emptySlot(device);
    } else if (port === undefined) bus.plug(at, device.pci, { isMultifunction });
    else if (when === "before the start") port.coldPlug(at, device.pci, { isMultifunction });
    else port.hotPlug(at, device.pci, { isMultifunction });
  }

  /** Function and device are saved apart, and so is what the device has as memory. */
  #adopt(device: PluggedDevice, { bus, at }: PciPlace): () => void {
    const { system } = this.#parts;
    const base = `${bus.name}/${placeName(at)}`;
    const { saveables } = system;
    saveables.set(base, device.pci);
    const release = system.adopt(`${base}/${device.typeName}`, device);
    const { localMemory, backend } = device;
    if (backend !== undefined) saveables.set(`${base}/${backend.typeName}`, backend);
    if (localMemory !== undefined) saveables.set(`${base}/memory`, new LocalMemory(localMemory));
    return () => {
      release();
      saveables.delete(base);
      saveables.delete(`${base}/memory`);
      if (backend !== undefined) saveables.delete(`${base}/${backend.typeName}`);
    };
  }

  #emptySlot(port: RootPort): void {
    for (const plugged of this.#plugged) {
      if (plugged.place.port !== port) continue;
      port.secondary.unplug(plugged.place.at);
      plugged.release();
      this.#pciSlots.release(plugged.place);
      this.#parts.backends.release(plugged.name);
      this.#plugged.delete(plugged);
      if (plugged.id === undefined) continue;
      this.#ids.delete(plugged.id);
      this.onRemoved?.(plugged.id);
    }
  }
}

function unknownDevice(driver: string, known: readonly DeviceTypeInfo[]): MachineError {
  const names = known.map(({ typeName }) => typeName).join(", ");
  return new MachineError("unknownDevice", `There is no device "${driver}" for this board; known are ${names}`, {
    subject: driver,
  });
}

/** The bus, what every PCI device has, and what is this device's own. */
function splitProperties(properties: DeviceConfig["properties"]) {
  const { bus, ...rest } = properties;
  const entries = Object.entries(rest);
  const isCommon = ([name]: [string, unknown]): boolean => Object.hasOwn(pciProperties, name);
  return {
    bus: bus === undefined ? undefined : String(bus),
    common: Object.fromEntries(entries.filter(isCommon)),
    own: Object.fromEntries(entries.filter((entry) => !isCommon(entry))),
  };
}
