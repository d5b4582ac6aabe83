// The receiver of a 16550A: characters with their error bits, at most 16, or one when the FIFOs are off.
import { FIFO_BYTES } from "./spec.ts";

export class ReceiveFifo {
  readonly #data = new Uint8Array(FIFO_BYTES);
  readonly #errors = new Uint8Array(FIFO_BYTES);
  #head = 0;
  count = 0;
  capacity = 1;

  clear(): void {
    this.count = 0;
  }

  /** Returns false on an overrun: the character is lost, or takes the place of the one that is there without FIFOs. */
  push(byte: number, errors: number): boolean {
    const fits = this.count < this.capacity;
    if (!fits && this.capacity > 1) return false;
    const at = fits ? (this.#head + this.count++) % FIFO_BYTES : this.#head;
    this.#data[at] = byte;
    this.#errors[at] = errors;
    return fits;
  }

  /** The oldest character; without FIFOs, or when there is none, the one that was last there. */
  pop(): number {
    const byte = this.#data[this.#head]!;
    if (this.count === 0) return this.capacity > 1 ? 0 : byte;
    this.count--;
    if (this.capacity > 1) this.#head = (this.#head + 1) % FIFO_BYTES;
    return byte;
  }

  /** Error bits of the oldest character. */
  get topErrors(): number {
    return this.count === 0 ? 0 : this.#errors[this.#head]!;
  }

  clearTopErrors(): void {
    this.#errors[this.#head] = 0;
  }

  hasErrors(): boolean {
    for (let i = 0; i < this.count; i++) if (this.#errors[(this.#head + i) % FIFO_BYTES] !== 0) return true;
    return false;
  }

  /** Characters and their errors, alternating, oldest first. */
  save(): Uint8Array {
    const saved = new Uint8Array(2 * this.count);
    for (let i = 0; i < this.count; i++) {
      saved[2 * i] = this.#data[(this.#head + i) % FIFO_BYTES]!;
      saved[2 * i + 1] = this.#errors[(this.#head + i) % FIFO_BYTES]!;
    }
    return saved;
  }

  load(saved: Uint8Array): void {
    this.#head = 0;
    this.count = 0;
    for (let i = 0; i + 1 < saved.length; i += 2) this.push(saved[i]!, saved[i + 1]!);
  }
}
