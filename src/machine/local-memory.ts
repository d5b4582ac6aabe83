// Memory that a device has on its board or chip, as a part of the machine's state.
import { blob, describeState, field, type DescriptionOf, type Saveable } from "../state/index.ts";
import { MachineError } from "./errors.ts";

export type LocalMemoryState = { bytes: Uint8Array };

export class LocalMemory implements Saveable<DescriptionOf<LocalMemoryState>> {
  readonly stateDescription: DescriptionOf<LocalMemoryState> = describeState("local-memory", 1, [field("bytes", blob)]);
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  saveState(): LocalMemoryState {
    return { bytes: this.#bytes.slice() };
  }

  loadState({ bytes }: LocalMemoryState): void {
    if (bytes.length !== this.#bytes.length) {
      const message = `Saved device memory has ${bytes.length} bytes; the device has ${this.#bytes.length}`;
      throw new MachineError("badState", message);
    }
    this.#bytes.set(bytes);
  }
}
