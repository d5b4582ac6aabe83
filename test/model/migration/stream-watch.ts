// Where in a migration stream a byte is: frames are followed as they pass, however they are cut into pieces.
import { FrameHeader, FrameKind, PREAMBLE_BYTES } from "../../../src/migration/stream/spec.ts";

export type FrameName = keyof typeof FrameKind | "preamble";

/** A byte of a stream: of its nth frame of a kind, as a share of the frame's length (0 is its first byte); or simply the nth. */
export type Place =
  | { readonly frame: FrameName; readonly nth: number; readonly share: number }
  | { readonly byte: number };

const NAMES = new Map<number, FrameName>(Object.entries(FrameKind).map(([name, kind]) => [kind, name as FrameName]));
const HEADER_BYTES = FrameHeader.lengthBytes;

export interface WatchedFrame {
  readonly name: FrameName;
  readonly start: number;
  readonly lengthBytes: number;
}

export class StreamWatch {
  /** Frames that have begun, by kind. */
  readonly counts: Map<FrameName, number> = new Map();
  readonly #place: Place | undefined;
  #position = 0;
  #isOver = false;
  #frame: WatchedFrame | undefined;
  /** Where the next frame begins. */
  #next = 0;
  #header = new Uint8Array(0);
  /** The position of the place, once it is known. */
  #target: number | undefined;

  /** @param hasPreamble whether the stream begins with one; answers do not */
  constructor(place: Place | undefined, hasPreamble: boolean) {
    this.#place = place;
    if (hasPreamble) this.#begin({ name: "preamble", start: 0, lengthBytes: PREAMBLE_BYTES });
    if (place !== undefined && "byte" in place) this.#target = place.byte;
  }

  /** The frame that the place is in, or the last one that began. */
  get frame(): WatchedFrame | undefined {
    return this.#frame;
  }

  get position(): number {
    return this.#position;
  }

  /** Follows bytes; where in them the place is, once in a stream, and nothing is followed after it. */
  pass(bytes: Uint8Array): number | undefined {
    const from = this.#position;
    this.#position += bytes.length;
    if (this.#isOver) return undefined;
    let struck = this.#struckAt(from);
    while (struck === undefined && this.#next < this.#position) {
      const at = this.#next + this.#header.length - from;
      this.#header = Uint8Array.of(...this.#header, ...bytes.subarray(at, at + HEADER_BYTES - this.#header.length));
      if (this.#header.length < HEADER_BYTES) break;
      const { kind, payloadBytes } = FrameHeader.decode(this.#header, 0);
      this.#header = new Uint8Array(0);
      const name = NAMES.get(kind);
      if (name === undefined) throw new Error(`A frame of kind ${kind} is sent, at byte ${this.#next}`);
      this.#begin({ name, start: this.#next, lengthBytes: HEADER_BYTES + payloadBytes });
      struck = this.#struckAt(from);
    }
    this.#isOver = struck !== undefined;
    return struck;
  }

  #begin(frame: WatchedFrame): void {
    const place = this.#place;
    this.#frame = frame;
    this.#next = frame.start + frame.lengthBytes;
    const count = (this.counts.get(frame.name) ?? 0) + 1;
    this.counts.set(frame.name, count);
    if (place === undefined || "byte" in place || place.frame !== frame.name || place.nth !== count) return;
    this.#target = frame.start + Math.min(Math.floor(place.share * frame.lengthBytes), frame.lengthBytes - 1);
  }

  /** Of a header that came in pieces, the part that has passed cannot be struck any more. */
  #struckAt(from: number): number | undefined {
    if (this.#target === undefined || this.#target >= Math.min(this.#position, this.#next)) return undefined;
    return Math.max(this.#target - from, 0);
  }
}
