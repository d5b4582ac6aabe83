// The reading half of a character back end: reads only while the front has room, so that nothing is lost or piles up.
import type { Readable } from "node:stream";
import type { CharFront } from "../../chardev/port.ts";

/** Holds at most the one chunk that the stream gave when the front became full. */
export class StreamInput {
  readonly #stream: Readable;
  readonly #filter: ((bytes: Uint8Array) => Uint8Array) | undefined;
  #front: CharFront | undefined;
  #held: Uint8Array | undefined;
  #listening = false;
  #ended = false;

  /** `onEnd` is called after the last byte was delivered. `filter` sees bytes as they arrive and may keep some. */
  readonly #onEnd: () => void;

  constructor(stream: Readable, onEnd: () => void, filter?: (bytes: Uint8Array) => Uint8Array) {
    this.#stream = stream;
    this.#onEnd = onEnd;
    this.#filter = filter;
  }

  attach(front: CharFront | undefined): void {
    this.#front = front;
    if (front === undefined) {
      this.#stream.pause();
      return;
    }
    if (!this.#listening) {
      this.#listening = true;
      this.#stream.on("data", this.#data);
      this.#stream.on("end", this.#end);
      this.#stream.on("error", this.#end);
      this.#stream.on("close", this.#end);
    }
    this.deliver();
  }

  /** Offers what is held back to the front, then reads on. */
  deliver(): void {
    while (this.#held !== undefined) {
      // A front may detach itself while it receives.
      const front = this.#front;
      if (front === undefined) return;
      const room = front.room();
      if (room <= 0) {
        this.#stream.pause();
        return;
      }
      const bytes = this.#held;
      const part = bytes.subarray(0, room);
      this.#held = bytes.length > room ? bytes.subarray(room) : undefined;
      front.receive(part);
    }
    if (this.#front === undefined) return;
    if (this.#ended) this.#finish();
    else if (this.#listening) this.#stream.resume();
  }

  detach(): void {
    this.#front = undefined;
    this.#stream.off("data", this.#data);
    this.#stream.off("end", this.#end);
    this.#stream.off("close", this.#end);
    this.#stream.pause();
  }

  readonly #data = (chunk: Uint8Array): void => {
    const bytes = this.#filter === undefined ? chunk : this.#filter(chunk);
    if (bytes.length === 0) return;
    this.#held = this.#held === undefined ? bytes : Buffer.concat([this.#held, bytes]);
    this.deliver();
  };

  readonly #end = (): void => {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#held === undefined) this.#finish();
  };

  #finish(): void {
    if (this.#front === undefined) return;
    this.#front = undefined;
    this.#onEnd();
  }
}
