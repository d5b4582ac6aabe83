// What can be plugged into the board by `-device`, by QEMU's driver names: virtio devices into slots, ports into the
// bus of a virtio-serial device.
import type { RngPort } from "../../base/index.ts";
import type { DeviceTypeInfo } from "../../device/index.ts";
import {
  VirtioBlk,
  VirtioRng,
  VirtioSerial,
  readSerialPortConfig,
  readVirtioBlkConfig,
  readVirtioRngConfig,
  readVirtioSerialConfig,
  virtconsoleInfo,
  virtioBlkInfo,
  virtioRngInfo,
  virtioSerialInfo,
  virtserialportInfo,
  type SerialPortConfig,
  type VirtioContext,
  type VirtioDevice,
  type VirtioMmio,
} from "../../device/virtio/index.ts";
import { MachineError } from "../errors.ts";
import type { DeviceConfig } from "../port.ts";
import type { Backends } from "./backends.ts";
import { Slots } from "./slots.ts";

export interface PlugParts {
  /** What the device named so is given. */
  readonly context: (name: string) => VirtioContext;
  readonly rng: RngPort;
  readonly backends: Backends;
}

interface SlotDevice {
  readonly info: DeviceTypeInfo;
  make(given: Given, parts: PlugParts, context: VirtioContext): VirtioDevice;
}

/** A device's own properties; `bus` and `id` are the board's. */
interface Given {
  readonly properties: DeviceConfig["properties"];
  /** For errors. */
  readonly subject: string;
}

const slotDevices: readonly SlotDevice[] = [
  {
    info: virtioBlkInfo,
    make({ properties, subject }, { backends }, context) {
      const config = readVirtioBlkConfig(properties, subject);
      return new VirtioBlk(context, backends.blockNode(config.drive, subject), config);
    },
  },
  {
    info: virtioSerialInfo,
    make: ({ properties, subject }, _parts, context) =>
      new VirtioSerial(context, readVirtioSerialConfig(properties, subject)),
  },
  {
    info: virtioRngInfo,
    make({ properties, subject }, { rng }, context) {
      const config = readVirtioRngConfig(properties, subject);
      if (config.rng === undefined) return new VirtioRng(context, rng, config);
      throw new MachineError(
        "unknownBackend",
        `There is no rng object "${config.rng}" for "${subject}"; without rng= it uses the host's random bytes`,
        { subject },
      );
    },
  },
];

const portDevices: readonly DeviceTypeInfo[] = [virtconsoleInfo, virtserialportInfo];

/** For `-device help` and `-device X,help`. */
export const virtDeviceTypes: readonly DeviceTypeInfo[] = [...slotDevices.map(({ info }) => info), ...portDevices];

/** Fills the board's slots, in the order of the configuration. */
export class Plugs {
  readonly #parts: PlugParts;
  readonly #mmio: readonly VirtioMmio[];
  readonly #slots = new Slots();
  readonly #ids = new Set<string>();
  readonly #serialBuses: { readonly bus: string; readonly device: VirtioSerial }[] = [];

  constructor(mmio: readonly VirtioMmio[], parts: PlugParts) {
    this.#mmio = mmio;
    this.#parts = parts;
  }

  /** Throws a typed error that names the device and what would do. */
  plug(config: DeviceConfig): void {
    const { bus, id: _id, ...properties } = config.properties;
    const given = { properties, subject: config.driver };
    if (config.id !== undefined) this.#claim(config.id, config.driver);
    const type = slotDevices.find(({ info }) => info.typeName === config.driver);
    if (type !== undefined) return this.#plugSlot(type, config, given);
    const port = portDevices.find(({ typeName }) => typeName === config.driver);
    if (port !== undefined) return this.#plugPort(given, bus === undefined ? undefined : String(bus));
    const known = virtDeviceTypes.map(({ typeName }) => typeName).join(", ");
    throw new MachineError(
      "unknownDevice",
      `There is no device "${config.driver}" for this board; known are ${known}`,
      {
        subject: config.driver,
      },
    );
  }

  #claim(id: string, driver: string): void {
    if (this.#ids.has(id)) {
      throw new MachineError("badConfig", `Id "${id}" of "${driver}" is used by another device`, { subject: driver });
    }
    this.#ids.add(id);
  }

  #plugSlot(type: SlotDevice, config: DeviceConfig, given: Given): void {
    const slot = this.#slots.take(config);
    const device = type.make(given, this.#parts, this.#parts.context(config.id ?? `${config.driver}.${slot}`));
    this.#mmio[slot]!.plug(device);
    if (device instanceof VirtioSerial) {
      const bus = config.id === undefined ? `virtio-serial-bus.${this.#serialBuses.length}` : `${config.id}.0`;
      this.#serialBuses.push({ bus, device });
    }
  }

  /** Into the bus that is named, or the first one. */
  #plugPort({ properties, subject }: Given, bus: string | undefined): void {
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
  }
}
