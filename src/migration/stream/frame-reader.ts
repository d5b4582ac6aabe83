// Bytes to frames: whatever arrives is held against its own length, the limits and the checksum before it is believed.
import { viewOf } from "../../base/index.ts";
import { MigrationError } from "../errors.ts";
import type { MigrationChannel } from "../port.ts";
import { checksum } from "./checksum.ts";
import { frameTitle } from "./frame-title.ts";
import { FrameHeader, MAGIC, MAX_PAYLOAD_BYTES, PREAMBLE_BYTES, STREAM_VERSION } from "./spec.ts";

export interface Frame {
  readonly kind: number;
  readonly flags: number;
  /** Valid until the next frame is read. */
  readonly payload: Uint8Array;
}

const HEADER_BYTES = FrameHeader.lengthBytes;

export class FrameReader {
  readonly #channel: MigrationChannel;
  #buffer: Uint8Array = new Uint8Array(256 * 1024);
  #start = 0;
  #end = 0;
  #taken = 0;

  constructor(channel: MigrationChannel) {
    this.#channel = channel;
  }

  /** Bytes read so far, for messages and progress. */
  get position(): number {
    return this.#taken;
  }

  /** Throws MigrationError when this is no stream, or one of another version. */
  async readPreamble(): Promise<void> {
    const bytes = await this.#take(PREAMBLE_BYTES, "the stream's first bytes");
    const magic = String.fromCharCode(...bytes.subarray(0, MAGIC.length));
    if (magic !== MAGIC) throw new MigrationError("badStream", `${this.#channel.name} has no migration stream`);
    const version = viewOf(bytes).getUint32(MAGIC.length, true);
    if (version === STREAM_VERSION) return;
    throw new MigrationError(
      "unknownPart",
      `The stream has version ${version}; version ${STREAM_VERSION} is understood`,
    );
  }

  /** Throws MigrationError for a stream that ends, or is damaged. */
  async read(): Promise<Frame> {
    const at = this.#taken;
    const header = await this.#peek(HEADER_BYTES, "the next frame");
    const { kind, flags, payloadBytes, checksum: wanted } = FrameHeader.decode(header, 0);
    if (payloadBytes > MAX_PAYLOAD_BYTES) throw this.#damaged(at, `a ${frameTitle(kind)} of ${payloadBytes} bytes`);
    const bytes = await this.#take(HEADER_BYTES + payloadBytes, `the end of a ${frameTitle(kind)}`);
    viewOf(bytes).setUint32(FrameHeader.offsets.checksum, 0, true);
    if (checksum(bytes) !== wanted) throw this.#damaged(at, `a ${frameTitle(kind)} whose checksum does not fit`);
    return { kind, flags, payload: bytes.subarray(HEADER_BYTES) };
  }

  #damaged(at: number, what: string): MigrationError {
    return new MigrationError("badStream", `The stream is damaged: byte ${at} begins ${what}`);
  }

  async #take(count: number, what: string): Promise<Uint8Array> {
    const bytes = await this.#peek(count, what);
    this.#start += count;
    this.#taken += count;
    return bytes;
  }

  /** At least `count` bytes from the current place on, left where they are. */
  async #peek(count: number, what: string): Promise<Uint8Array> {
    while (this.#end - this.#start < count) {
      const more = await this.#channel.read().catch((cause: unknown) => {
        throw this.#lost(what, cause);
      });
      if (more === undefined) throw this.#lost(what);
      this.#append(more, count);
    }
    return this.#buffer.subarray(this.#start, this.#start + count);
  }

  #append(more: Uint8Array, count: number): void {
    const held = this.#end - this.#start;
    const needed = Math.max(held + more.length, count);
    if (this.#start + needed > this.#buffer.length) {
      const into = needed > this.#buffer.length ? new Uint8Array(needed * 2) : this.#buffer;
      into.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = into;
      this.#start = 0;
      this.#end = held;
    }
    this.#buffer.set(more, this.#end);
    this.#end += more.length;
  }

  #lost(what: string, cause?: unknown): MigrationError {
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    const message = `${this.#channel.name} ended after ${this.#taken} bytes, before ${what}${why}`;
    return new MigrationError("channelLost", message, { cause });
  }
}
