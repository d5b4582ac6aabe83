// Frames to bytes.
import { viewOf } from "../../base/index.ts";
import { checksum } from "./checksum.ts";
import { FrameHeader, MAGIC, PREAMBLE_BYTES, STREAM_VERSION } from "./spec.ts";

const HEADER_BYTES = FrameHeader.lengthBytes;

/** What a stream begins with. */
export function preamble(): Uint8Array {
  const bytes = new Uint8Array(PREAMBLE_BYTES);
  bytes.set(new TextEncoder().encode(MAGIC));
  viewOf(bytes).setUint32(8, STREAM_VERSION, true);
  return bytes;
}

/** One frame whose payload is the parts, one after the other. */
export function frame(kind: number, parts: readonly Uint8Array[] = [], flags = 0): Uint8Array {
  const payloadBytes = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(HEADER_BYTES + payloadBytes);
  let at = HEADER_BYTES;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  FrameHeader.encode({ kind, flags, reserved: 0, payloadBytes, checksum: 0 }, bytes, 0);
  viewOf(bytes).setUint32(FrameHeader.offsets.checksum, checksum(bytes), true);
  return bytes;
}

export function jsonFrame(kind: number, value: object): Uint8Array {
  return frame(kind, [new TextEncoder().encode(JSON.stringify(value))]);
}

/** A frame about the part of that name. */
export function namedFrame(kind: number, name: string, contents: Uint8Array = new Uint8Array(0)): Uint8Array {
  const text = new TextEncoder().encode(name);
  return frame(kind, [Uint8Array.of(text.length & 0xff, text.length >> 8), text, contents]);
}
