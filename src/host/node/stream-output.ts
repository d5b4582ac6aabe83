// The writing half of a character back end: takes what fits, says when there is room again, loses nothing.
import type { Writable } from "node:stream";

const BUFFER_BYTES = 64 * 1024;

export interface StreamOutputOptions {
  /** There may be room again after a short write. */
  readonly onRoom: () => void;
  /** Told once; from then on everything written is thrown away, so that the guest does not hang on a dead reader. */
  readonly onError: (error: unknown) => void;
}

/** Gathers the single bytes of a UART into one write per turn of the event loop; holds at most 64 KiB. */
export class StreamOutput {
  readonly #stream: Writable;
  readonly #options: StreamOutputOptions;
  readonly #gathered = new Uint8Array(BUFFER_BYTES);
  #gatheredLength = 0;
  #inFlight = 0;
  #short = false;
  #dead = false;
  #immediate: NodeJS.Immediate | undefined;
  readonly #drainWaiters: (() => void)[] = [];

  constructor(stream: Writable, options: StreamOutputOptions) {
    this.#stream = stream;
    this.#options = options;
    stream.on("error", this.#fail);
  }

  write(bytes: Uint8Array): number {
    if (this.#dead) return bytes.length;
    const taken = Math.min(bytes.length, BUFFER_BYTES - this.#inFlight - this.#gatheredLength);
    if (taken < bytes.length) this.#short = true;
    if (taken <= 0) return 0;
    this.#gathered.set(bytes.subarray(0, taken), this.#gatheredLength);
    this.#gatheredLength += taken;
    this.#immediate ??= setImmediate(() => this.flush());
    return taken;
  }

  /** Hands what is gathered to the stream now. */
  flush(): void {
    clearImmediate(this.#immediate);
    this.#immediate = undefined;
    const length = this.#gatheredLength;
    if (length === 0 || this.#dead) return;
    this.#gatheredLength = 0;
    this.#inFlight += length;
    this.#stream.write(this.#gathered.slice(0, length), () => {
      this.#inFlight -= length;
      if (this.#short) {
        this.#short = false;
        this.#options.onRoom();
      }
      this.#settle();
    });
  }

  /** Resolves when everything taken has reached the operating system, or never can. */
  drained(): Promise<void> {
    this.flush();
    return new Promise((resolve) => {
      this.#drainWaiters.push(resolve);
      this.#settle();
    });
  }

  /** Stops using the stream without ending it. */
  detach(): void {
    this.flush();
    this.#dead = true;
    this.#settle();
  }

  #settle(): void {
    if (!this.#dead && this.#inFlight + this.#gatheredLength > 0) return;
    for (const resolve of this.#drainWaiters.splice(0)) resolve();
  }

  readonly #fail = (error: unknown): void => {
    if (this.#dead) return;
    this.#dead = true;
    this.#options.onError(error);
    if (this.#short) this.#options.onRoom();
    this.#settle();
  };
}
