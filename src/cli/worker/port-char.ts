// The worker's end of the console: a character back end over messages, with credit in both directions.
import type { CharBackend, CharFront } from "../../chardev/port.ts";
import type { FromWorker } from "./protocol.ts";

/** Output that the caller's thread has not taken yet; beyond it the guest's UART waits. */
const CREDIT_BYTES = 256 * 1024;

export class PortChar implements CharBackend {
  readonly label: string;
  readonly #post: (message: FromWorker) => void;
  #front: CharFront | undefined;
  #input: Uint8Array[] = [];
  #gathered: number[] = [];
  #outstanding = 0;
  #short = false;
  #closed = false;
  #immediate: NodeJS.Immediate | undefined;

  constructor(label: string, post: (message: FromWorker) => void) {
    this.label = label;
    this.#post = post;
  }

  write(bytes: Uint8Array): number {
    if (this.#closed) return bytes.length;
    const taken = Math.min(bytes.length, CREDIT_BYTES - this.#outstanding);
    if (taken < bytes.length) this.#short = true;
    for (let at = 0; at < taken; at++) this.#gathered.push(bytes[at] ?? 0);
    this.#outstanding += taken;
    if (taken > 0) this.#immediate ??= setImmediate(() => this.flush());
    return taken;
  }

  flush(): void {
    clearImmediate(this.#immediate);
    this.#immediate = undefined;
    if (this.#gathered.length === 0) return;
    this.#post({ kind: "output", bytes: Uint8Array.from(this.#gathered) });
    this.#gathered = [];
  }

  attach(front: CharFront | undefined): void {
    this.#front = front;
    front?.event?.("opened");
    this.frontReady();
  }

  frontReady(): void {
    for (;;) {
      // A front may detach itself while it receives.
      const front = this.#front;
      if (front === undefined) return;
      const bytes = this.#input[0];
      const room = front.room();
      if (bytes === undefined || room <= 0) return;
      if (bytes.length > room) this.#input[0] = bytes.subarray(room);
      else this.#input.shift();
      const part = bytes.subarray(0, room);
      this.#post({ kind: "inputTaken", lengthBytes: part.length });
      front.receive(part);
    }
  }

  close(): void {
    this.flush();
    this.#closed = true;
    this.#front = undefined;
  }

  /** From the caller's thread. */
  receive(bytes: Uint8Array): void {
    this.#input.push(bytes);
    this.frontReady();
  }

  /** The caller's thread has taken so many bytes of output. */
  credit(lengthBytes: number): void {
    this.#outstanding -= lengthBytes;
    if (!this.#short) return;
    this.#short = false;
    this.#front?.writable?.();
  }
}
