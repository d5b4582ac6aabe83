// Bytes to frames: whatever arrives is held against its own length, the limits and the checksum before it is believed.
import { viewOf } from "../../base/index.ts";
import { MigrationError } from "../errors.ts";
import type { MigrationChannel } from "../port.ts";
import {
  FrameHeader,
  FrameHeaderOfVersion1,
  MAGIC,
  MAX_PAYLOAD_BYTES,
  PREAMBLE_BYTES,
  STREAM_VERSION,
} from "./spec.ts";
import { StreamMemory } from "./stream-memory.ts";
import { checksum } from "./checksum.ts";
import { frameTitle } from "./frame-title.ts";

export interface Frame {
  readonly kind: number;
  readonly flags: number;
  /** Valid until the next frame is read. */
  readonly payload: Uint8Array;
}

export class FrameReader {
  readonly #channel: MigrationChannel;
  readonly #memory: StreamMemory;
  #version = STREAM_VERSION;
  #start = 0;
  #end = 0;
  #taken = 0;

  /** Frames past `usualBytes` can be read, too. */
  constructor(channel: MigrationChannel, usualBytes: number) {
    this.#channel = channel;
    this.#memory = new StreamMemory(usualBytes);
  }

  /** Of the stream, once its preamble was read. */
  get version(): number {
    return this.#version;
  }

  /** Bytes read so far, for messages and progress. */
  get position(): number {
    return this.#taken;
  }

  /** Throws MigrationError when this is no stream, or one of another version. */
  async readPreamble(): Promise<void> {
    const at = await this.#take(PREAMBLE_BYTES, "the stream's first bytes");
    const bytes = this.#memory.bytes.subarray(at, at + PREAMBLE_BYTES);
    const magic = String.fromCharCode(...bytes.subarray(0, MAGIC.length));
    if (magic !== MAGIC) throw new MigrationError("badStream", `${this.#channel.name} has no migration stream`);
    this.#version = viewOf(bytes).getUint32(MAGIC.length, true);
    // Files stay; who sent version 1 from process to process would not understand the answers.
    if (this.#version === STREAM_VERSION || (this.#version === 1 && !this.#channel.isDuplex)) return;
    throw new MigrationError(
      "unknownPart",
      `The stream has version ${this.#version}; version ${STREAM_VERSION} is understood, and version 1 of files`,
    );
  }

  /** Throws MigrationError for a stream that ends, or is damaged. */
  async read(): Promise<Frame> {
    const position = this.#taken;
    const layout = this.#version === 1 ? FrameHeaderOfVersion1 : FrameHeader;
    const headerBytes = layout.lengthBytes;
    const start = await this.#peek(headerBytes, "the next frame");
    const { kind, flags, payloadBytes } = layout.decode(this.#memory.bytes, start);
    if (payloadBytes > MAX_PAYLOAD_BYTES)
      throw this.#damaged(position, `a ${frameTitle(kind)} of ${payloadBytes} bytes`);
    const lengthBytes = headerBytes + payloadBytes;
    const at = await this.#take(lengthBytes, `the end of a ${frameTitle(kind)}`);
    if (!this.#isIntact(at, lengthBytes))
      throw this.#damaged(position, `a ${frameTitle(kind)} whose checksum does not fit`);
    return { kind, flags, payload: this.#memory.bytes.subarray(at + headerBytes, at + lengthBytes) };
  }

  #isIntact(at: number, lengthBytes: number): boolean {
    if (this.#version !== 1) return this.#memory.isSealed(at, lengthBytes, at + FrameHeader.offsets.checksum);
    const view = viewOf(this.#memory.bytes);
    const field = at + FrameHeaderOfVersion1.offsets.checksum;
    const wanted = view.getUint32(field, true);
    view.setUint32(field, 0, true);
    return checksum(this.#memory.bytes.subarray(at, at + lengthBytes)) === wanted;
  }

  #damaged(position: number, what: string): MigrationError {
    return new MigrationError("badStream", `The stream is damaged: byte ${position} begins ${what}`);
  }

  async #take(count: number, what: string): Promise<number> {
    const at = this.#end - this.#start >= count ? this.#start : await this.#peek(count, what);
    this.#start += count;
    this.#taken += count;
    return at;
  }

  /** Where the next `count` bytes lie; they are still to be taken. */
  async #peek(count: number, what: string): Promise<number> {
    while (this.#end - this.#start < count) {
      const more = await this.#channel.read().catch((cause: unknown) => {
        throw this.#lost(what, cause);
      });
      if (more === undefined) throw this.#lost(what);
      this.#append(more, count);
    }
    return this.#start;
  }

  #append(more: Uint8Array, count: number): void {
    const held = this.#end - this.#start;
    const neededBytes = Math.max(held + more.length, count);
    if (this.#start + neededBytes > this.#memory.bytes.length) {
      this.#memory.bytes.copyWithin(0, this.#start, this.#end);
      this.#start = 0;
      this.#end = held;
      this.#memory.grow(neededBytes);
    }
    this.#memory.bytes.set(more, this.#end);
    this.#end += more.length;
  }

  #lost(what: string, cause?: unknown): MigrationError {
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    const message = `${this.#channel.name} ended after ${this.#taken} bytes, before ${what}${why}`;
    return new MigrationError("channelLost", message, { cause });
  }
}
