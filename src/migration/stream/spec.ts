// The bytes of a migration stream; docs/migration-stream.md is its manual.
import { layout, u16le, u32le, u64le, u8, type Codec, type Layout } from "../../base/index.ts";

type N = Codec<number>;

export const MAGIC = "RATITEMG";
export const STREAM_VERSION = 2;
export const PREAMBLE_BYTES = 12;

/**
 * Before each frame's payload. Frames are numbered as `FrameNumbers` does it, or all have 0. The checksum is XXH64 (seed 0) of
 * the header (with a checksum of 0) and the payload.
 */
export const FrameHeader: Layout<{ kind: N; flags: N; number: N; payloadBytes: N; checksum: Codec<bigint> }> = layout(
  "FrameHeader",
  16,
  { kind: u8, flags: u8, number: u16le, payloadBytes: u32le, checksum: u64le },
);

/** In streams of version 1; the checksum was `checksum`. */
export const FrameHeaderOfVersion1: Layout<{ kind: N; flags: N; reserved: N; payloadBytes: N; checksum: N }> = layout(
  "FrameHeaderOfVersion1",
  12,
  { kind: u8, flags: u8, reserved: u16le, payloadBytes: u32le, checksum: u32le },
);

/** A frame that a reader may skip when it does not know it. */
export const OPTIONAL = 1;

export const FrameKind = {
  /** JSON: what machine this is. The first frame. */
  machine: 1,
  /** Pages of one block: `PagesHeader`, then their bytes. */
  pages: 2,
  /** Length of a name (16 bits), the name, the part's section (docs/saved-state.md). */
  part: 3,
  /** The source has stopped: what follows is final. No payload. */
  stopped: 4,
  /** Everything has been sent. JSON: how much. The last frame. */
  complete: 5,
  /** Length of a name (16 bits), the name, data of that streamed part. */
  data: 6,
  /** So named: all data of that part has been sent. */
  dataEnd: 7,
  /** So named: its initial data has been sent. */
  initialSent: 8,
  /** A round is over; the target says when it has taken it. No payload; only where it can answer. */
  roundEnd: 9,
  /** Whole frames with pages, compressed (raw DEFLATE, RFC 1951); its number follows theirs, whose checksums are its own. */
  packed: 10,
  /** Answers of the target: everything is loaded; it runs; a text why not; initial data of all parts is there. */
  ready: 16,
  running: 17,
  failed: 18,
  switchoverAck: 20,
  roundTaken: 21,
  /** The source gives the machine over: from here on it does not run it. */
  handover: 19,
} as const;

/** With the frame's header 32 bytes: where a frame is aligned, its pages are, and bytes that are not take longer to copy. */
export const PagesHeader: Layout<{ block: N; encoding: N; pad: N; firstPage: N; pageCount: N; reserved: N }> = layout(
  "PagesHeader",
  16,
  { block: u16le, encoding: u8, pad: u8, firstPage: u32le, pageCount: u32le, reserved: u32le },
);

export const PagesHeaderOfVersion1: Layout<{ block: N; encoding: N; pad: N; firstPage: N; pageCount: N }> = layout(
  "PagesHeaderOfVersion1",
  12,
  { block: u16le, encoding: u8, pad: u8, firstPage: u32le, pageCount: u32le },
);

export const PageEncoding = { bytes: 0, zero: 1 } as const;

/** More is refused, so that a stream cannot fill memory. */
export const MAX_PAYLOAD_BYTES: number = 64 * 2 ** 20;
/**
 * Pages of one frame that have bytes, and that are zero. Each frame costs a target two reads, whose way through the host takes as
 * long as a dozen pages.
 */
export const MAX_PAGES_PER_FRAME = 256;
export const MAX_ZERO_PAGES_PER_FRAME = 4096;
