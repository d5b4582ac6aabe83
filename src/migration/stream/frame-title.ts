// What a frame is about, for messages.
import { viewOf } from "../../base/index.ts";
import { FrameHeader, FrameKind, MAGIC } from "./spec.ts";

const NAMES = new Map<number, string>(Object.entries(FrameKind).map(([name, kind]) => [kind, name]));
const NAMED: ReadonlySet<number> = new Set([FrameKind.part, FrameKind.data, FrameKind.dataEnd, FrameKind.initialSent]);

/** `frame "pages"`, or `frame of kind 77`. */
export function frameTitle(kind: number): string {
  const name = NAMES.get(kind);
  return name === undefined ? `frame of kind ${kind}` : `frame "${name}"`;
}

/** Of a whole frame, with whose it is: `frame "part" of "hart0"`; or of the preamble. */
export function titleOf(bytes: Uint8Array): string {
  if (bytes.length === 0 || bytes[0] === MAGIC.charCodeAt(0)) return "the stream's first bytes";
  const kind = bytes[0]!;
  const at = FrameHeader.lengthBytes + 2;
  if (!NAMED.has(kind) || bytes.length < at) return frameTitle(kind);
  const end = at + viewOf(bytes).getUint16(at - 2, true);
  return `${frameTitle(kind)} of "${new TextDecoder().decode(bytes.subarray(at, end))}"`;
}
