// What goes to a peer that may read slowly, or not at all.
import type { CharBackend } from "../chardev/port.ts";

/** What a peer that does not read may have outstanding before it is told no more: that is then its loss. */
const MAX_OUTSTANDING_BYTES = 16 * 2 ** 20;

export class BoundedOutput {
  readonly #back: CharBackend;
  #outstanding: Uint8Array[] = [];
  #bytes = 0;

  constructor(back: CharBackend) {
    this.#back = back;
  }

  get isFull(): boolean {
    return this.#bytes >= MAX_OUTSTANDING_BYTES;
  }

  send(bytes: Uint8Array): void {
    if (this.#bytes > MAX_OUTSTANDING_BYTES) return;
    this.#outstanding.push(bytes);
    this.#bytes += bytes.length;
    this.flush();
  }

  flush(): void {
    for (let first = this.#outstanding[0]; first !== undefined; first = this.#outstanding[0]) {
      const taken = this.#back.write(first);
      this.#bytes -= taken;
      if (taken < first.length) {
        this.#outstanding[0] = first.subarray(taken);
        return;
      }
      this.#outstanding.shift();
    }
  }

  clear(): void {
    this.#outstanding = [];
    this.#bytes = 0;
  }
}
