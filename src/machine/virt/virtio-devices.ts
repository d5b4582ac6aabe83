// What can be plugged into the board's virtio-mmio slots, by QEMU's driver names.
import type { RngPort, TimerPort, TracePort } from "../../base/index.ts";
import type { BlockNode } from "../../block/port.ts";
import type { CharBackend } from "../../chardev/port.ts";
import type { DeviceTypeInfo, DmaPort } from "../../device/index.ts";
import { readVirtioBlkConfig, virtioBlkInfo } from "../../device/virtio/blk/config.ts";
import { VirtioBlk } from "../../device/virtio/blk/device.ts";
import type { VirtioDevice } from "../../device/virtio/device.ts";
import { MachineError } from "../errors.ts";
import type { DeviceConfig } from "../port.ts";

/** What a device is made from. */
export interface DeviceParts {
  readonly dma: DmaPort;
  readonly trace: TracePort;
  /** On guest time. */
  readonly timers: TimerPort;
  readonly rng: RngPort;
  readonly backends: Backends;
}

interface DeviceType {
  readonly info: DeviceTypeInfo;
  make(properties: DeviceConfig["properties"], parts: DeviceParts, subject: string): VirtioDevice;
}

const deviceTypes: readonly DeviceType[] = [
  {
    info: virtioBlkInfo,
    make(properties, parts, subject) {
      const config = readVirtioBlkConfig(properties, subject);
      return new VirtioBlk(parts, parts.backends.blockNode(config.drive, subject), config);
    },
  },
];

/** For `-device help` and `-device X,help`. */
export const virtDeviceTypes: readonly DeviceTypeInfo[] = deviceTypes.map(({ info }) => info);

/** Makes the device that `config` names. `bus` and `id` are the board's; the other properties the device's. */
export function makeDevice(config: DeviceConfig, parts: DeviceParts): VirtioDevice {
  const type = deviceTypes.find(({ info }) => info.typeName === config.driver);
  if (type === undefined) {
    const known = virtDeviceTypes.map(({ typeName }) => typeName).join(", ");
    throw new MachineError(
      "unknownDevice",
      `There is no device "${config.driver}" for this board; known are ${known}`,
      {
        subject: config.driver,
      },
    );
  }
  const { bus: _bus, id: _id, ...properties } = config.properties;
  return type.make(properties, parts, config.driver);
}

/** The host's back ends, each given to one device only. */
export class Backends {
  readonly #chardevs: ReadonlyMap<string, CharBackend>;
  readonly #blockNodes: ReadonlyMap<string, BlockNode>;
  readonly #users = new Map<CharBackend | BlockNode, string>();

  constructor(host: {
    readonly chardevs: ReadonlyMap<string, CharBackend>;
    readonly blockNodes: ReadonlyMap<string, BlockNode>;
  }) {
    this.#chardevs = host.chardevs;
    this.#blockNodes = host.blockNodes;
  }

  chardev(id: string, user: string): CharBackend {
    return this.#take(this.#chardevs, "chardev", id, user);
  }

  blockNode(name: string | undefined, user: string): BlockNode {
    if (name === undefined) {
      throw new MachineError("badConfig", `"${user}" has no drive; drive=NODE would do`, { subject: user });
    }
    return this.#take(this.#blockNodes, "block node", name, user);
  }

  #take<T extends CharBackend | BlockNode>(from: ReadonlyMap<string, T>, kind: string, id: string, user: string): T {
    const backend = from.get(id);
    if (backend === undefined) {
      const known = from.size === 0 ? "there is none" : `known are ${[...from.keys()].join(", ")}`;
      throw new MachineError("unknownBackend", `There is no ${kind} "${id}" for "${user}"; ${known}`, {
        subject: user,
      });
    }
    const other = this.#users.get(backend);
    if (other !== undefined) {
      throw new MachineError("badConfig", `${kind} "${id}" for "${user}" is in use by "${other}"`, { subject: user });
    }
    this.#users.set(backend, user);
    return backend;
  }
}
