// Frames with pages made smaller, where that is possible.
import type { PackingPort } from "./port.ts";
import type { FrameWriter } from "./stream/frame-writer.ts";
import { FrameKind } from "./stream/spec.ts";

/** What does not become smaller than this is sent as it is. */
const WORTHWHILE = 0.9;
/** Neighbours are alike: after something that was not worth it so many are not tried. */
const SKIPPED = 15;

export class Packer {
  readonly #port: PackingPort;
  readonly #frames: FrameWriter;
  #skips = 0;

  constructor(port: PackingPort, frames: FrameWriter) {
    this.#port = port;
    this.#frames = frames;
  }

  /** One frame with all of these, which were made just now; or they as they are. */
  async pack(frames: Uint8Array): Promise<Uint8Array> {
    if (this.#skips > 0) {
      this.#skips--;
      return frames;
    }
    const packed = await this.#port.pack(frames);
    if (packed.length < frames.length * WORTHWHILE) return this.#frames.frame(FrameKind.packed, [packed]);
    this.#skips = SKIPPED;
    return frames;
  }
}
