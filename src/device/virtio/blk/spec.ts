// The block device of VIRTIO 1.2 §5.2.
import {
  layout,
  openEnum,
  u16le,
  u32le,
  u64le,
  u8,
  type Codec,
  type Layout,
  type OpenEnum,
} from "../../../base/index.ts";

/** Requests, offsets and the capacity count in these, whatever the block size is (§5.2.4). */
export const SECTOR_BYTES = 512;

/** Numbers of the feature bits, §5.2.3. */
export const BlkFeature = {
  segMax: 2,
  ro: 5,
  blkSize: 6,
  flush: 9,
  topology: 10,
  configWce: 11,
  mq: 12,
  discard: 13,
  writeZeroes: 14,
} as const;

/** Configuration space, §5.2.4, as far as our features show it. */
export const BlkConfig: Layout<{
  capacity: Codec<bigint>;
  sizeMax: Codec<number>;
  segMax: Codec<number>;
  geometry: Codec<number>;
  blkSize: Codec<number>;
  physicalBlockExp: Codec<number>;
  alignmentOffset: Codec<number>;
  minIoSize: Codec<number>;
  optIoSize: Codec<number>;
  writeback: Codec<number>;
  unused0: Codec<number>;
  numQueues: Codec<number>;
  maxDiscardSectors: Codec<number>;
  maxDiscardSeg: Codec<number>;
  discardSectorAlignment: Codec<number>;
  maxWriteZeroesSectors: Codec<number>;
  maxWriteZeroesSeg: Codec<number>;
  writeZeroesMayUnmap: Codec<number>;
  unused1a: Codec<number>;
  unused1b: Codec<number>;
}> = layout("virtio_blk_config", 60, {
  capacity: u64le,
  sizeMax: u32le,
  segMax: u32le,
  geometry: u32le,
  blkSize: u32le,
  physicalBlockExp: u8,
  alignmentOffset: u8,
  minIoSize: u16le,
  optIoSize: u32le,
  writeback: u8,
  unused0: u8,
  numQueues: u16le,
  maxDiscardSectors: u32le,
  maxDiscardSeg: u32le,
  discardSectorAlignment: u32le,
  maxWriteZeroesSectors: u32le,
  maxWriteZeroesSeg: u32le,
  writeZeroesMayUnmap: u8,
  unused1a: u8,
  unused1b: u16le,
});

/** Head of a request, §5.2.6; data follow, and one byte of status ends the writable part. */
export const BlkRequestHeader: Layout<{ type: Codec<number>; reserved: Codec<number>; sector: Codec<bigint> }> = layout(
  "virtio_blk_req",
  16,
  { type: u32le, reserved: u32le, sector: u64le },
);

export const BlkRequest: OpenEnum<{
  in: 0;
  out: 1;
  flush: 4;
  getId: 8;
  discard: 11;
  writeZeroes: 13;
}> = openEnum("BlkRequest", { in: 0, out: 1, flush: 4, getId: 8, discard: 11, writeZeroes: 13 });

/** Data of discard and write zeroes. */
export const BlkSegment: Layout<{ sector: Codec<bigint>; sectorCount: Codec<number>; flags: Codec<number> }> = layout(
  "virtio_blk_discard_write_zeroes",
  16,
  { sector: u64le, sectorCount: u32le, flags: u32le },
);

export const SEGMENT_FLAG_UNMAP = 1;

/** Segments per discard or write-zeroes request that we take; QEMU's number. */
export const MAX_SEGMENTS = 1;

export const BlkStatus = { ok: 0, ioError: 1, unsupported: 2 } as const;
export type BlkStatus = (typeof BlkStatus)[keyof typeof BlkStatus];

/** Length of the answer to GET_ID; shorter names are padded with NUL. */
export const ID_BYTES = 20;
