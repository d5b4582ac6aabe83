// What one front of a mux sees as its back: its own input queue, and its share of the output.
import { ByteQueue } from "./byte-queue.ts";
import type { CharBackend, CharEvent, CharFront } from "./port.ts";

const INPUT_BYTES = 65_536;

/** What a channel asks of its mux. */
export interface MuxSide {
  write(bytes: Uint8Array): number;
  hasFocus(): boolean;
  hasRoomAgain(): void;
  remove(): void;
}

export class MuxChannel implements CharBackend {
  readonly label: string;
  readonly #mux: MuxSide;
  readonly #input = new ByteQueue(INPUT_BYTES);
  /** Breaks, each by the count of input bytes that go before it since the channel was made. */
  readonly #breaks: number[] = [];
  #deliveredBytes = 0;
  #front: CharFront | undefined;
  #isOpen = false;
  #isClosed = false;

  constructor(label: string, mux: MuxSide) {
    this.label = label;
    this.#mux = mux;
  }

  get freeBytes(): number {
    return this.#input.freeBytes;
  }

  write(bytes: Uint8Array): number {
    return this.#isClosed ? bytes.length : this.#mux.write(bytes);
  }

  attach(front: CharFront | undefined): void {
    this.#front = front;
    if (this.#isOpen) front?.event?.("opened");
    if (this.#mux.hasFocus()) front?.event?.("focusIn");
    this.deliver();
  }

  frontReady(): void {
    this.deliver();
  }

  /** Leaves the mux; the shared back stays open for the others. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#front = undefined;
    this.#mux.remove();
  }

  /** The mux has made sure that there is room. */
  queueByte(byte: number): void {
    this.#input.pushByte(byte);
  }

  queueBreak(): void {
    this.#breaks.push(this.#deliveredBytes + this.#input.lengthBytes);
    this.deliver();
  }

  writable(): void {
    this.#front?.writable?.();
  }

  hear(event: CharEvent): void {
    if (event === "opened" || event === "closed") this.#isOpen = event === "opened";
    this.#front?.event?.(event);
  }

  /** Gives the front what it has room for, breaks in their places. */
  deliver(): void {
    const wasFull = this.#input.freeBytes === 0;
    while (this.#front !== undefined) {
      const untilBreak = (this.#breaks[0] ?? Infinity) - this.#deliveredBytes;
      if (untilBreak === 0) {
        this.#breaks.shift();
        this.#front.event?.("break");
        continue;
      }
      const room = Math.min(this.#front.room(), untilBreak);
      if (room <= 0 || this.#input.lengthBytes === 0) break;
      const bytes = this.#input.take(room);
      this.#deliveredBytes += bytes.length;
      this.#front.receive(bytes);
    }
    if (wasFull && this.#input.freeBytes > 0) this.#mux.hasRoomAgain();
  }
}
