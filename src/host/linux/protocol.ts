// What the preload library and the server say to each other; preload/iommufd.c has the same structures.
import { i32le, layout, u32le, u64le, i64le, type Codec, type Layout } from "../../base/index.ts";

type U32 = Codec<number>;
type U64 = Codec<bigint>;

export const HELLO_MAGIC = 0x31544152;
export const HelloKind = { CHANNEL: 1, FILE: 2 } as const;

/**
 * The first words on a connection. `inode` is the client's end of it and `fd` its descriptor there; the nonce stands in the
 * client's memory too, and is the same on all connections of a process.
 */
export const Hello: Layout<{
  magic: U32;
  kind: U32;
  pid: U32;
  fd: Codec<number>;
  inode: U64;
  nonceVa: U64;
  nonceLow: U64;
  nonceHigh: U64;
}> = layout("hello", 48, {
  magic: u32le,
  kind: u32le,
  pid: u32le,
  fd: i32le,
  inode: u64le,
  nonceVa: u64le,
  nonceLow: u64le,
  nonceHigh: u64le,
});

export const Operation = { OPEN: 1, IOCTL: 2, READ: 3, WRITE: 4, MMAP: 5, STATUS: 6, SYNC: 7 } as const;

/** `fd` and `inode` name the descriptor; a to d depend on the operation. */
export const Request: Layout<{ op: U32; fd: Codec<number>; inode: U64; a: U64; b: U64; c: U64; d: U64 }> = layout(
  "request",
  48,
  { op: u32le, fd: i32le, inode: u64le, a: u64le, b: u64le, c: u64le, d: u64le },
);

export const ReplyFlag = {
  /** The descriptor that was brought along now belongs to a file. */ SPARE_USED: 1,
  /** Take the readiness byte off the descriptor. */ DRAIN: 2,
  /** The descriptor is none of the host's. */ NOT_OURS: 4,
} as const;

export const Reply: Layout<{ result: Codec<bigint>; flags: U32; pad: U32; x: U64; y: U64 }> = layout("reply", 32, {
  result: i64le,
  flags: u32le,
  pad: u32le,
  x: u64le,
  y: u64le,
});
