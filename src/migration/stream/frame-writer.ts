// Frames to bytes, one at a time; pages.ts makes those of memory.
import { viewOf } from "../../base/index.ts";
import { FrameNumbers } from "./frame-numbers.ts";
import { FrameHeader, MAGIC, PREAMBLE_BYTES, STREAM_VERSION } from "./spec.ts";
import { StreamMemory } from "./stream-memory.ts";

const HEADER_BYTES = FrameHeader.lengthBytes;
const FIRST_BYTES = 65536;

/** What a stream begins with. */
export function preamble(): Uint8Array {
  const bytes = new Uint8Array(PREAMBLE_BYTES);
  bytes.set(new TextEncoder().encode(MAGIC));
  viewOf(bytes).setUint32(8, STREAM_VERSION, true);
  return bytes;
}

/** Writes a header before the payload that lies behind it, and seals both. Returns the length of the frame. */
export function sealFrame(
  memory: StreamMemory,
  at: number,
  header: { readonly kind: number; readonly flags: number; readonly number: number; readonly payloadBytes: number },
): number {
  const { offsets } = FrameHeader;
  const { view } = memory;
  view.setUint8(at + offsets.kind, header.kind);
  view.setUint8(at + offsets.flags, header.flags);
  view.setUint16(at + offsets.number, header.number, true);
  view.setUint32(at + offsets.payloadBytes, header.payloadBytes, true);
  const lengthBytes = HEADER_BYTES + header.payloadBytes;
  memory.seal(at, lengthBytes, at + FrameHeader.offsets.checksum);
  return lengthBytes;
}

/** Frames are sent in the order in which they are made. */
export class FrameWriter {
  readonly #memory = new StreamMemory(FIRST_BYTES);
  readonly #numbers: FrameNumbers;

  /** @param numbers who else makes frames of the stream has the same */
  constructor(numbers: FrameNumbers = new FrameNumbers()) {
    this.#numbers = numbers;
  }

  /** One frame whose payload is the parts, one after the other. */
  frame(kind: number, parts: readonly Uint8Array[] = [], flags = 0): Uint8Array {
    const payloadBytes = parts.reduce((sum, part) => sum + part.length, 0);
    this.#memory.grow(HEADER_BYTES + payloadBytes);
    let at = HEADER_BYTES;
    for (const part of parts) {
      this.#memory.bytes.set(part, at);
      at += part.length;
    }
    const lengthBytes = sealFrame(this.#memory, 0, { kind, flags, number: this.#numbers.next(), payloadBytes });
    return this.#memory.bytes.slice(0, lengthBytes);
  }

  json(kind: number, value: object): Uint8Array {
    return this.frame(kind, [new TextEncoder().encode(JSON.stringify(value))]);
  }

  /** A frame about the part of that name. */
  named(kind: number, name: string, contents: Uint8Array = new Uint8Array(0)): Uint8Array {
    const text = new TextEncoder().encode(name);
    return this.frame(kind, [Uint8Array.of(text.length & 0xff, text.length >> 8), text, contents]);
  }
}
