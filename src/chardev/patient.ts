// A back end that takes everything at once, for a front whose behaviour must not depend on how fast the host is.
import type { CharBackend, CharFront } from "./port.ts";

export class PatientChar implements CharBackend {
  readonly label: string;
  readonly #back: CharBackend;
  readonly #onBacklog: (taken: Promise<void>) => void;
  #backlog: Uint8Array[] = [];
  #taken: () => void = () => undefined;

  /** `onBacklog` is told when `back` did not take all, with the promise that it has; nothing more should be written till then. */
  constructor(back: CharBackend, onBacklog: (taken: Promise<void>) => void) {
    this.label = back.label;
    this.#back = back;
    this.#onBacklog = onBacklog;
  }

  write(bytes: Uint8Array): number {
    if (this.#backlog.length > 0) {
      this.#backlog.push(bytes.slice());
      return bytes.length;
    }
    const taken = this.#back.write(bytes);
    if (taken < bytes.length) {
      this.#backlog.push(bytes.slice(taken));
      this.#onBacklog(
        new Promise((resolve) => {
          this.#taken = resolve;
        }),
      );
    }
    return bytes.length;
  }

  attach(front: CharFront | undefined): void {
    if (front === undefined) return this.#back.attach(undefined);
    this.#back.attach({
      room: () => front.room(),
      receive: (bytes) => front.receive(bytes),
      writable: () => this.#flush(),
      event: (event) => front.event?.(event),
    });
  }

  frontReady(): void {
    this.#back.frontReady();
  }

  /** What the back end has not taken is lost. */
  close(): void {
    this.#backlog = [];
    this.#taken();
    this.#back.close();
  }

  #flush(): void {
    for (let first = this.#backlog[0]; first !== undefined; first = this.#backlog[0]) {
      const taken = this.#back.write(first);
      if (taken < first.length) {
        this.#backlog[0] = first.subarray(taken);
        return;
      }
      this.#backlog.shift();
    }
    this.#taken();
  }
}
