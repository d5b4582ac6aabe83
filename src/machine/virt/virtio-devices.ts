// The virtio devices that can be plugged into the board's slots, by QEMU's driver names.
import type { RngPort } from "../../base/index.ts";
import type { DeviceTypeInfo } from "../../device/index.ts";
import {
  VirtioBlk,
  VirtioRng,
  VirtioSerial,
  readVirtioBlkConfig,
  readVirtioRngConfig,
  readVirtioSerialConfig,
  virtioBlkInfo,
  virtioRngInfo,
  virtioSerialInfo,
  type VirtioContext,
  type VirtioDevice,
} from "../../device/virtio/index.ts";
import { MachineError } from "../errors.ts";
import type { Backends } from "./backends.ts";
import type { Given } from "./given.ts";

export interface VirtioParts {
  readonly rng: RngPort;
  readonly backends: Backends;
}

export interface SlotDevice {
  readonly info: DeviceTypeInfo;
  make(given: Given, parts: VirtioParts, context: VirtioContext): VirtioDevice;
}

export const slotDevices: readonly SlotDevice[] = [
  {
    info: virtioBlkInfo,
    make({ properties, subject, name }, { backends }, context) {
      const config = readVirtioBlkConfig(properties, subject);
      return new VirtioBlk(context, backends.blockNode(config.drive, name), config);
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
