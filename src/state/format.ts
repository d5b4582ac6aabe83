// The bytes of a section. All integers are little-endian.
//
//   header   StateHeader
//   name     UTF-8, nameLengthBytes
//   schema   u16 count, then per field: flags u8, name (u8 length, UTF-8), type
//   values   one after the other, in the schema's order
//
//   type     u8 kind; list and optional: the element's type; struct: a schema
//   value    u8 to u64, f64: themselves; bool: u8 0 or 1; text, blob: u32 length and bytes;
//            list: u32 count and elements; optional: u8 0 or 1 and the element; struct: its values
import { layout, openEnum, u16le, u32le, type Layout, type Codec, type OpenEnum } from "../base/index.ts";

/** `RSTS` */
export const STATE_MAGIC = 0x5354_5352;
export const STATE_FORMAT_VERSION = 1;

export const StateHeader: Layout<{
  magic: Codec<number>;
  formatVersion: Codec<number>;
  nameLengthBytes: Codec<number>;
  /** The description's version when it was written. */
  version: Codec<number>;
  /** Of schema and values. */
  bodyLengthBytes: Codec<number>;
}> = layout("StateHeader", 16, {
  magic: u32le,
  formatVersion: u16le,
  nameLengthBytes: u16le,
  version: u32le,
  bodyLengthBytes: u32le,
});

/** A reader that does not know the field may leave it out: it has the value that older builds assume. */
export const FIELD_MAY_BE_SKIPPED = 1;

export const Kind: OpenEnum<Record<KindName, number>> = openEnum("Kind", {
  u8: 1,
  u16: 2,
  u32: 3,
  u64: 4,
  f64: 5,
  bool: 6,
  text: 7,
  blob: 8,
  list: 9,
  optional: 10,
  struct: 11,
});
export type KindName = "u8" | "u16" | "u32" | "u64" | "f64" | "bool" | "text" | "blob" | "list" | "optional" | "struct";

/** Types nest no deeper; it bounds recursion on hostile bytes. */
export const DEPTH_LIMIT = 16;
