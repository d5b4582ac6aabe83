// Writing and reading one thing after the other, with every length checked before it is used.
import { assert, viewOf, type Codec } from "../base/index.ts";
import { StateError } from "./errors.ts";

export class StateWriter {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(256);
  #view: DataView = viewOf(this.#bytes);
  #length = 0;

  put<T>(codec: Codec<T>, value: T): void {
    const at = this.#reserve(codec.lengthBytes);
    codec.write(this.#view, at, value);
  }

  putBytes(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(lengthBytes: number): number {
    const at = this.#length;
    this.#length += lengthBytes;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = viewOf(larger);
    }
    return at;
  }
}

export class StateReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Named in errors: the section's name, once it is known. */
  subject = "saved state";
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }

  get remainingBytes(): number {
    return this.#bytes.length - this.#at;
  }

  take<T>(codec: Codec<T>, what: string): T {
    const at = this.#advance(codec.lengthBytes, what);
    return codec.read(this.#view, at);
  }

  /** A copy. */
  takeBytes(lengthBytes: number, what: string): Uint8Array<ArrayBuffer> {
    const at = this.#advance(lengthBytes, what);
    return new Uint8Array(this.#bytes.subarray(at, at + lengthBytes));
  }

  takeText(lengthBytes: number, what: string): string {
    const bytes = this.takeBytes(lengthBytes, what);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (cause) {
      throw this.malformed(`${what} is not UTF-8`, cause);
    }
  }

  malformed(message: string, cause?: unknown): StateError {
    return new StateError("malformed", `Saved state of ${this.subject}: ${message}`, { subject: this.subject, cause });
  }

  #advance(lengthBytes: number, what: string): number {
    assert(lengthBytes >= 0, "a length is not negative", lengthBytes);
    if (lengthBytes > this.remainingBytes) {
      throw this.malformed(`${what} needs ${lengthBytes} bytes; ${this.remainingBytes} are left`);
    }
    const at = this.#at;
    this.#at += lengthBytes;
    return at;
  }
}
