// hot: bench/migrate.ts
// Bytes to frames: whatever arrives is held against its own length, the limits and the checksum before it is believed. Pages
// go where they belong while they come, and are believed when their frame is whole: until then the machine has not run.
import { MigrationError } from "../errors.ts";
import type { ByteSink, MigrationChannel, PackingPort } from "../port.ts";
import { checksum } from "./checksum.ts";
import { FrameNumbers } from "./frame-numbers.ts";
import { frameTitle } from "./frame-title.ts";
import type { Kernels } from "./kernels.ts";
import { PAGES_ROOM_BYTES } from "./pages.ts";
import {
  FrameHeader,
  FrameHeaderOfVersion1,
  FrameKind,
  MAGIC,
  MAX_PAYLOAD_BYTES,
  PagesHeader,
  PREAMBLE_BYTES,
  STREAM_VERSION,
} from "./spec.ts";
import { StreamMemory } from "./stream-memory.ts";

export interface Frame {
  readonly kind: number;
  readonly flags: number;
  /** Valid until the next frame is read. */
  readonly payload: Uint8Array;
}

/** Takes frames with pages. */
export interface PageTaker {
  /** Over the memory in which `place` is. */
  readonly kernels: Kernels;
  /**
   * Where the bytes go that come behind the payload's header, which is at `at`; undefined when the frame is to be looked at
   * whole.
   */
  place(view: DataView, at: number, payloadBytes: number): Uint8Array | undefined;
  /** They are there, and are what was sent. */
  placed(): void;
  /** Of frames that were packed; absent where that cannot be undone. */
  readonly unpack: PackingPort["unpack"] | undefined;
  /** The payload of any other frame of pages. Throws MigrationError. */
  take(payload: Uint8Array, stream: { readonly position: number; readonly version: number }): void;
}

/** Pages that are on their way to their place. */
interface PlacedPages {
  readonly place: Uint8Array;
  done: number;
  /** Headers as integers, without the checksum. */
  readonly words: readonly [bigint, bigint, bigint];
  readonly checksum: bigint;
  readonly number: number;
}

const HEADERS_BYTES = FrameHeader.lengthBytes + PagesHeader.lengthBytes;

export class FrameReader implements ByteSink {
  readonly #channel: MigrationChannel;
  readonly #memory: StreamMemory;
  readonly #usualBytes: number;
  readonly #numbers = new FrameNumbers();
  #version = STREAM_VERSION;
  /** What came and was not taken yet lies between. */
  #start = 0;
  #end = 0;
  /** From `start` on, before anything can be done with them. */
  #wantedBytes = 0;
  /** Before `start`. */
  #position = 0;
  /** Of the frame that was read last. */
  #lengthBytes = 0;
  #frame: Frame | undefined;
  #taker: PageTaker | undefined;
  #placed: PlacedPages | undefined;
  #isThere: () => boolean = () => true;
  #error: Error | undefined;

  /** At most `usualBytes` are read ahead; frames past that can be read, too. */
  constructor(channel: MigrationChannel, usualBytes: number) {
    this.#channel = channel;
    this.#usualBytes = usualBytes;
    this.#memory = new StreamMemory(usualBytes);
  }

  /** Of the stream, once its preamble was read. */
  get version(): number {
    return this.#version;
  }

  /** Bytes read so far, for messages and progress. */
  get position(): number {
    return this.#position + this.#lengthBytes;
  }

  /** From the next frame on, pages go there and are no frames of `read`; until undefined is said. */
  takePagesBy(taker: PageTaker | undefined): void {
    this.#taker = taker;
  }

  /** Throws MigrationError when this is no stream, or one of another version. */
  async readPreamble(): Promise<void> {
    await this.#until(() => this.#has(PREAMBLE_BYTES), "the stream's first bytes");
    const { bytes, view } = this.#memory;
    const at = this.#start;
    this.#pass(PREAMBLE_BYTES);
    const magic = String.fromCharCode(...bytes.subarray(at, at + MAGIC.length));
    if (magic !== MAGIC) throw new MigrationError("badStream", `${this.#channel.name} has no migration stream`);
    this.#version = view.getUint32(at + MAGIC.length, true);
    // Files stay; who sent version 1 from process to process would not understand the answers.
    if (this.#version === STREAM_VERSION || (this.#version === 1 && !this.#channel.isDuplex)) return;
    throw new MigrationError(
      "unknownPart",
      `The stream has version ${this.#version}; version ${STREAM_VERSION} is understood, and version 1 of files`,
    );
  }

  /** Throws MigrationError for a stream that ends, or is damaged. */
  async read(): Promise<Frame> {
    this.#pass(this.#lengthBytes);
    this.#lengthBytes = 0;
    await this.#until(() => this.#findFrame());
    return this.#frame!;
  }

  place(): Uint8Array {
    if (this.#placed !== undefined) return this.#placed.place.subarray(this.#placed.done);
    const most = Math.max(this.#wantedBytes, this.#usualBytes);
    return this.#memory.bytes.subarray(this.#end, this.#start + most);
  }

  took(count: number): boolean {
    if (this.#placed === undefined) this.#end += count;
    else this.#placed.done += count;
    try {
      return !this.#isThere();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#error = error;
      return false;
    }
  }

  /** Reads on until it is so. */
  async #until(isThere: () => boolean, what?: string): Promise<void> {
    this.#isThere = isThere;
    if (isThere()) return;
    const isOpen = await this.#channel.read(this).catch((cause: unknown) => {
      throw this.#lost(what, cause);
    });
    if (this.#error !== undefined) throw this.#error;
    if (!isOpen) throw this.#lost(what);
  }

  /** Pages that come before it are taken. */
  #findFrame(): boolean {
    for (;;) {
      if (this.#placed !== undefined && !this.#endPlaced(this.#placed)) return false;
      const layout = this.#version === 1 ? FrameHeaderOfVersion1 : FrameHeader;
      if (!this.#has(layout.lengthBytes)) return false;
      const { view } = this.#memory;
      const kind = view.getUint8(this.#start + layout.offsets.kind);
      const payloadBytes = view.getUint32(this.#start + layout.offsets.payloadBytes, true);
      if (payloadBytes > MAX_PAYLOAD_BYTES) throw this.#damaged(`a ${frameTitle(kind)} of ${payloadBytes} bytes`);
      const taker = this.#takerOf(kind);
      if (
        kind === FrameKind.pages &&
        taker !== undefined &&
        this.#version !== 1 &&
        payloadBytes > PagesHeader.lengthBytes
      ) {
        if (!this.#has(HEADERS_BYTES)) return false;
        if (this.#beginPlaced(taker, payloadBytes)) continue;
      }
      const lengthBytes = layout.lengthBytes + payloadBytes;
      if (!this.#has(lengthBytes)) return false;
      const [begin, end] = [this.#start + layout.lengthBytes, this.#start + lengthBytes];
      if (!this.#isIntact(lengthBytes)) throw this.#damaged(`a ${frameTitle(kind)} whose checksum does not fit`);
      const payload = this.#memory.bytes.subarray(begin, end);
      if (kind === FrameKind.packed && taker !== undefined) this.#takePacked(payload, taker);
      if (this.#version !== 1) {
        this.#checkNumber(kind, view.getUint16(this.#start + FrameHeader.offsets.number, true));
      }
      if (taker === undefined) {
        const flags = view.getUint8(this.#start + layout.offsets.flags);
        this.#frame = { kind, flags, payload };
        this.#lengthBytes = lengthBytes;
        return true;
      }
      if (kind === FrameKind.pages) taker.take(payload, this);
      this.#pass(lengthBytes);
    }
  }

  /** Version 1 had no packed frames. */
  #takerOf(kind: number): PageTaker | undefined {
    const hasPages = kind === FrameKind.pages || (kind === FrameKind.packed && this.#version !== 1);
    return hasPages ? this.#taker : undefined;
  }

  /** Frames that lie in another one. */
  #takePacked(payload: Uint8Array, taker: PageTaker): void {
    if (taker.unpack === undefined) {
      throw new MigrationError("unknownPart", "The stream is compressed, which cannot be undone here");
    }
    const frames = taker.unpack(payload, PAGES_ROOM_BYTES);
    if (frames === undefined) throw this.#damaged(`a ${frameTitle(FrameKind.packed)} that cannot be unpacked`);
    for (let at = 0; at < frames.length;) {
      const rest = frames.length - at - FrameHeader.lengthBytes;
      const header = rest < 0 ? undefined : FrameHeader.decode(frames, at);
      if (header?.kind !== FrameKind.pages || header.payloadBytes > rest) {
        throw this.#damaged(`a ${frameTitle(FrameKind.packed)} in which not all are whole frames of pages`);
      }
      this.#checkNumber(FrameKind.pages, header.number);
      const begin = at + FrameHeader.lengthBytes;
      at = begin + header.payloadBytes;
      taker.take(frames.subarray(begin, at), this);
    }
  }

  /** Whether the pages have a place; what came of them is there then. */
  #beginPlaced(taker: PageTaker, payloadBytes: number): boolean {
    const { bytes, view } = this.#memory;
    const start = this.#start;
    const place = taker.place(view, start + FrameHeader.lengthBytes, payloadBytes);
    if (place === undefined) return false;
    const from = start + HEADERS_BYTES;
    const done = Math.min(this.#end - from, place.length);
    if (done > 0) place.set(bytes.subarray(from, from + done));
    this.#placed = {
      place,
      done,
      words: [view.getBigUint64(start, true), view.getBigUint64(start + 16, true), view.getBigUint64(start + 24, true)],
      checksum: view.getBigUint64(start + FrameHeader.offsets.checksum, true),
      number: view.getUint16(start + FrameHeader.offsets.number, true),
    };
    this.#start = from + done;
    return true;
  }

  /** Whether all of them are there. */
  #endPlaced({ place, done, words: [a, c, d], checksum: wanted, number }: PlacedPages): boolean {
    if (done < place.length) return false;
    const hash = this.#taker!.kernels.hashBehind(a, 0n, c, d, place.byteOffset, place.length);
    if (BigInt.asUintN(64, hash) !== wanted) {
      throw this.#damaged(`a ${frameTitle(FrameKind.pages)} whose checksum does not fit`);
    }
    this.#checkNumber(FrameKind.pages, number);
    this.#placed = undefined;
    this.#position += HEADERS_BYTES + place.length;
    this.#taker!.placed();
    return true;
  }

  #isIntact(lengthBytes: number): boolean {
    const at = this.#start;
    if (this.#version !== 1) return this.#memory.isSealed(at, lengthBytes, at + FrameHeader.offsets.checksum);
    const { bytes, view } = this.#memory;
    const field = at + FrameHeaderOfVersion1.offsets.checksum;
    const wanted = view.getUint32(field, true);
    view.setUint32(field, 0, true);
    return checksum(bytes.subarray(at, at + lengthBytes)) === wanted;
  }

  /** Whole frames can be missing, doubled, or in another's place. */
  #checkNumber(kind: number, number: number): void {
    const due = this.#numbers.check(number);
    if (due !== undefined) throw this.#damaged(`a ${frameTitle(kind)} with number ${number}, where ${due} is due`);
  }

  #damaged(what: string): MigrationError {
    return new MigrationError("badStream", `The stream is damaged: byte ${this.#position} begins ${what}`);
  }

  /** Whether so many bytes are there; makes room for them otherwise. */
  #has(count: number): boolean {
    if (this.#end - this.#start >= count) return true;
    this.#wantedBytes = count;
    const most = Math.max(count, this.#usualBytes);
    if (this.#start + most <= this.#memory.bytes.length) return false;
    this.#memory.bytes.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    this.#memory.grow(most);
    return false;
  }

  #pass(count: number): void {
    this.#start += count;
    this.#position += count;
    if (this.#start === this.#end) this.#start = this.#end = 0;
  }

  #lost(what = this.#awaited, cause?: unknown): MigrationError {
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    const message = `${this.#channel.name} ended after ${this.#position} bytes, before ${what}${why}`;
    return new MigrationError("channelLost", message, { cause });
  }

  get #awaited(): string {
    if (this.#placed !== undefined) return `the end of a ${frameTitle(FrameKind.pages)}`;
    const layout = this.#version === 1 ? FrameHeaderOfVersion1 : FrameHeader;
    if (this.#end - this.#start < layout.lengthBytes) return "the next frame";
    return `the end of a ${frameTitle(layout.decode(this.#memory.bytes, this.#start).kind)}`;
  }
}
