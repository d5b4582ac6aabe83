// The DMA engine as software sees it. A device of our own: docs/dma-engine.md is its manual.
import { bit, bits, layout, u32le, u64le, type BitField, type Codec, type Layout } from "../../base/index.ts";

type Fields<N extends string> = Readonly<Record<N, BitField>>;

/** Vendor of virtual devices that nobody has registered; the device id is ours among them. */
export const DMA_ENGINE_ID = { vendorId: 0x1234, deviceId: 0x7261, classCode: 0x08_01_00 } as const;
/** What register `id` reads: "RA" and the version of the interface. */
export const INTERFACE_ID = 0x5241_0001;

export const REGISTER_BAR = 0;
export const REGISTER_BAR_BYTES = 0x1000;
/** Doorbell page, local memory, MSI-X page. */
export const MEMORY_BAR = 2;
export const PAGE_BYTES = 0x1000;

/** Byte offsets in the register BAR; every register has 32 bits. */
export const Register = {
  id: 0x00,
  /** Bytes of local memory. */
  localBytes: 0x04,
  control: 0x08,
  status: 0x0c,
  interruptStatus: 0x10,
  interruptEnable: 0x14,
  vectors: 0x18,
  /** Bytes a microsecond; 0 is as fast as it goes. */
  rate: 0x1c,
  sourceLow: 0x20,
  sourceHigh: 0x24,
  destinationLow: 0x28,
  destinationHigh: 0x2c,
  length: 0x30,
  pattern: 0x34,
  /** How often the work is done again; `ENDLESS` does not end. */
  repeat: 0x38,
  listLow: 0x3c,
  listHigh: 0x40,
  listCount: 0x44,
  /** Starts: an `Opcode`. */
  command: 0x48,
  /** Commands and descriptors completed since the last start. */
  completed: 0x4c,
  movedLow: 0x50,
  movedHigh: 0x54,
  faultCause: 0x58,
  faultLow: 0x5c,
  faultHigh: 0x60,
  /** CRC-32 that `check` made. */
  checksum: 0x64,
  /** Writes to the doorbell since reset, and the last value. */
  doorbellCount: 0x68,
  doorbellValue: 0x6c,
} as const;

export const Control: Fields<"enable" | "reset" | "stop"> = { enable: bit(0), reset: bit(1), stop: bit(2) };
export const Status: Fields<"busy" | "fault" | "paused"> = { busy: bit(0), fault: bit(1), paused: bit(2) };
/** Causes of interrupts, as bits of `interruptStatus` and `interruptEnable`. */
export const Cause = { done: 1, fault: 2, doorbell: 4 } as const;
/** Which vector each cause signals. */
export const Vectors: Fields<"done" | "fault" | "doorbell"> = {
  done: bits(7, 0),
  fault: bits(15, 8),
  doorbell: bits(23, 16),
};

export const Opcode = {
  /** From bus to bus. */ copy: 1,
  /** The pattern, over and over, to the bus. */ fill: 2,
  /** From the bus to local memory. */ load: 3,
  /** From local memory to the bus. */ store: 4,
  /** A checksum of memory on the bus. */ check: 5,
  /** Words that count up from the pattern, to the bus. */ count: 6,
  /** The list of descriptors. */ list: 16,
} as const;

export const ENDLESS = 0xffff_ffff;
export const MAX_DESCRIPTORS = 1024;

/** What went wrong; the bit `write` is set when it was a write to the bus. */
export const FaultCause = { none: 0, unmapped: 1, forbidden: 2, badOpcode: 3, localRange: 4, write: 0x100 } as const;

/** An entry of a list. The engine writes `status` when it is done: 1, or the fault's cause shifted left by 8. */
export const Descriptor: Layout<{
  opcode: Codec<number>;
  length: Codec<number>;
  source: Codec<bigint>;
  destination: Codec<bigint>;
  pattern: Codec<number>;
  status: Codec<number>;
}> = layout("dma-engine descriptor", 32, {
  opcode: u32le,
  length: u32le,
  source: u64le,
  destination: u64le,
  pattern: u32le,
  status: u32le,
});
export const DESCRIPTOR_DONE = 1;
