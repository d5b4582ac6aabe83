// What every device type and transport shares, from "Virtual I/O Device (VIRTIO) Version 1.2".
import { openEnum, type OpenEnum } from "../../base/index.ts";

/** Device status field, §2.1. */
export const Status = {
  acknowledge: 0x01,
  driver: 0x02,
  driverOk: 0x04,
  featuresOk: 0x08,
  deviceNeedsReset: 0x40,
  failed: 0x80,
} as const;

/** Numbers of the feature bits that belong to no device type, §6. */
export const Feature = {
  indirectDesc: 28,
  eventIdx: 29,
  version1: 32,
} as const;

/** A set with the feature bits of the given numbers. */
export function featureBits(...numbers: readonly number[]): bigint {
  return numbers.reduce((set, n) => set | (1n << BigInt(n)), 0n);
}

/** Virtio device IDs, §5. */
export const DeviceId: OpenEnum<{ none: 0; network: 1; block: 2; console: 3; entropy: 4 }> = openEnum("DeviceId", {
  none: 0,
  network: 1,
  block: 2,
  console: 3,
  entropy: 4,
});

/** Descriptors, §2.7.5: le64 addr, le32 len, le16 flags, le16 next. */
export const Descriptor = {
  lengthBytes: 16,
  addr: 0,
  len: 8,
  flags: 12,
  next: 14,
  flagNext: 1,
  flagWrite: 2,
  flagIndirect: 4,
} as const;

/** Available ring (driver area), §2.7.6: le16 flags, le16 idx, le16 ring[size], le16 used_event. */
export const AvailRing = {
  flags: 0,
  idx: 2,
  ring: 4,
  entryBytes: 2,
  flagNoInterrupt: 1,
} as const;

/** Used ring (device area), §2.7.8: le16 flags, le16 idx, { le32 id, le32 len } ring[size], le16 avail_event. */
export const UsedRing = {
  flags: 0,
  idx: 2,
  ring: 4,
  entryBytes: 8,
} as const;

/** Alignment of the areas in bytes, §2.7. */
export const AreaAlignment = { descriptor: 16n, driver: 2n, device: 4n } as const;

/** §2.7: queue sizes are powers of two up to this. */
export const MAX_QUEUE_SIZE = 32768;

/** §2.7.5: a chain describes at most 2^32 bytes. */
export const MAX_CHAIN_BYTES: number = 2 ** 32;

/**
 * Descriptors of one chain that we follow; §2.7.4.1 lets a device have a reasonable limit. QEMU's is the same
 * (VIRTQUEUE_MAX_SIZE), and Linux makes indirect tables that are longer than the queue.
 */
export const MAX_CHAIN_DESCRIPTORS = 1024;
