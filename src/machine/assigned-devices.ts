// The assigned devices of a machine as it stops and goes on. All of them fall silent towards each other before the first
// one stops, and all of them listen before the first one speaks again.
import { VmError } from "../base/index.ts";
import type { MovingDevice } from "../vfio/index.ts";

export class AssignedDevices {
  readonly #devices: () => ReadonlyMap<string, MovingDevice>;
  readonly #notice: (message: string) => void;

  constructor(devices: () => ReadonlyMap<string, MovingDevice>, notice: (message: string) => void) {
    this.#devices = devices;
    this.#notice = notice;
  }

  start(): void {
    for (const device of this.#all()) device.prepareStart();
    for (const device of this.#all()) device.start();
  }

  /** For a pause, in the steps of a move: a device that does not stop is left as it is, and told of. */
  pause(step: "quiesce" | "stop"): void {
    for (const device of this.#all()) {
      try {
        device[step](false);
      } catch (error) {
        if (!(error instanceof VmError)) throw error;
        this.#notice(error.message);
      }
    }
  }

  /** For a move: harts stand still. Throws VfioError. */
  quiesce(): void {
    for (const device of this.#all()) device.quiesce();
  }

  /** For a move, when no request of a device is at the host any more: their data goes to its end. Throws VfioError. */
  stop(): void {
    for (const device of this.#all()) device.stop(true);
  }

  #all(): readonly MovingDevice[] {
    const devices = [...this.#devices().values()];
    for (const device of devices) device.onFailure = this.#notice;
    return devices;
  }
}
