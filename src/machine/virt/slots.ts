// Which virtio-mmio slot a device goes into. As on QEMU's board the first device takes the highest slot, and bus N is
// slot N.
import { MachineError } from "../errors.ts";
import type { DeviceConfig } from "../port.ts";
import { VIRTIO_SLOT_COUNT } from "./memory-map.ts";

export class Slots {
  readonly #taken = new Set<number>();

  /** The slot for a device, by its `bus` property or the highest free one. Throws `MachineError`. */
  take(device: Pick<DeviceConfig, "driver" | "properties">): number {
    const bus = device.properties["bus"];
    const slot = bus === undefined ? this.#highestFree(device.driver) : this.#named(device.driver, String(bus));
    this.#taken.add(slot);
    return slot;
  }

  #highestFree(driver: string): number {
    for (let slot = VIRTIO_SLOT_COUNT - 1; slot >= 0; slot--) if (!this.#taken.has(slot)) return slot;
    throw new MachineError(
      "tooManyDevices",
      `No virtio-mmio slot is left for "${driver}"; the board has ${VIRTIO_SLOT_COUNT}`,
      { subject: driver },
    );
  }

  #named(driver: string, bus: string): number {
    const slot = Number(/^virtio-mmio-bus\.([0-7])$/.exec(bus)?.[1] ?? -1);
    if (slot < 0) {
      throw new MachineError(
        "badConfig",
        `There is no bus "${bus}" for "${driver}"; virtio-mmio-bus.0 to virtio-mmio-bus.${VIRTIO_SLOT_COUNT - 1} would do`,
        { subject: driver },
      );
    }
    if (this.#taken.has(slot)) {
      throw new MachineError("badConfig", `Bus "${bus}" for "${driver}" has a device already`, { subject: driver });
    }
    return slot;
  }
}
