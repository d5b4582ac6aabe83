// The data stream of a device: records, each with its type and length. Their contents are described state, so that a device
// of another build is told apart by names and versions.
import { layout, u32le, u64le, type Codec, type Layout } from "../../base/index.ts";
import { describeState, field, text, u64, type DescriptionOf } from "../../state/index.ts";

export const RecordHead: Layout<{ type: Codec<number>; lengthBytes: Codec<number>; at: Codec<bigint> }> = layout(
  "device data record",
  16,
  { type: u32le, lengthBytes: u32le, at: u64le },
);

export const RecordType = {
  /** First: whose data this is. */ header: 1,
  /** Bytes of local memory, from `at` on. */ memory: 2,
  /** All the rest. */ state: 3,
  /** Nothing follows. */ end: 4,
} as const;

/** The most that a record's contents can be. */
export const MOST_BYTES: Readonly<Record<number, number>> = {
  [RecordType.header]: 0x1_0000,
  [RecordType.memory]: 0x1_0000,
  [RecordType.state]: 0x400_0000,
  [RecordType.end]: 0,
};

export const PAGE_BYTES = 4096;

export type StreamHeader = {
  kind: string;
  memoryBytes: bigint;
};

export const streamHeader: DescriptionOf<StreamHeader> = describeState("vfio-device-data", 1, [
  field("kind", text),
  field("memoryBytes", u64),
]);

export function record(type: number, at: number, contents: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(RecordHead.lengthBytes + contents.length);
  RecordHead.encode({ type, lengthBytes: contents.length, at: BigInt(at) }, bytes);
  bytes.set(contents, RecordHead.lengthBytes);
  return bytes;
}
