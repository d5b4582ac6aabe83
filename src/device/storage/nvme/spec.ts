// NVM Express 1.4 as a driver sees it. Sections are those of the NVM Express Base Specification, revision 1.4.
import {
  bit,
  bits,
  layout,
  u16le,
  u32le,
  u64le,
  u8,
  type BitField,
  type Codec,
  type Layout,
} from "../../../base/index.ts";

type Fields<N extends string> = Readonly<Record<N, BitField>>;

export const NVME_VERSION = 0x0001_0400;
export const NVME_IDENTITY = { vendorId: 0x1b36, deviceId: 0x0010, revisionId: 0x02, classCode: 0x01_08_02 } as const;

export const MODEL = "Ratite NVMe Ctrl";
/** At most 8 characters. */
export const FIRMWARE_REVISION = "1.0";

export const REGISTER_BAR = 0;
/** Doorbells follow; a page holds those of 512 queue pairs. */
export const DOORBELL_OFFSET = 0x1000;
export const DOORBELL_BYTES = 4;

/** Byte offsets, §3.1. */
export const Register = {
  capabilitiesLow: 0x00,
  capabilitiesHigh: 0x04,
  version: 0x08,
  interruptMaskSet: 0x0c,
  interruptMaskClear: 0x10,
  configuration: 0x14,
  status: 0x1c,
  adminQueueAttributes: 0x24,
  adminSubmissionLow: 0x28,
  adminSubmissionHigh: 0x2c,
  adminCompletionLow: 0x30,
  adminCompletionHigh: 0x34,
} as const;

/** Halves of CAP, §3.1.1. */
export const CapLow = { contiguous: 0x1_0000, timeoutShift: 24 } as const;
export const CapHigh = { nvmCommandSet: 0x20, maxPageShift: 20 } as const;
/** A page has 2^12 bytes at least, and 2^(12 + this) at most. */
export const MAX_PAGE_EXPONENT = 4;
/** CAP.TO in units of 500 ms. */
export const READY_TIMEOUT = 15;

export const Config: Fields<
  "enable" | "commandSet" | "pageExponent" | "arbitration" | "shutdown" | "submissionShift" | "completionShift"
> = {
  enable: bit(0),
  commandSet: bits(6, 4),
  pageExponent: bits(10, 7),
  arbitration: bits(13, 11),
  shutdown: bits(15, 14),
  submissionShift: bits(19, 16),
  completionShift: bits(23, 20),
};
export const CONFIG_WRITABLE = 0x00ff_fff1;
export const Status: Fields<"ready" | "fatal" | "shutdown"> = { ready: bit(0), fatal: bit(1), shutdown: bits(3, 2) };
export const ShutdownStatus = { none: 0, occurring: 1, complete: 2 } as const;

export const SUBMISSION_BYTES = 64;
export const COMPLETION_BYTES = 16;
export const SUBMISSION_SHIFT = 6;
export const COMPLETION_SHIFT = 4;
export const ADMIN_QUEUE_MAX = 4096;

export const AdminOpcode = {
  deleteSubmissionQueue: 0x00,
  createSubmissionQueue: 0x01,
  getLogPage: 0x02,
  deleteCompletionQueue: 0x04,
  createCompletionQueue: 0x05,
  identify: 0x06,
  abort: 0x08,
  setFeatures: 0x09,
  getFeatures: 0x0a,
  asyncEventRequest: 0x0c,
  format: 0x80,
} as const;

export const IoOpcode = {
  flush: 0x00,
  write: 0x01,
  read: 0x02,
  compare: 0x05,
  writeZeroes: 0x08,
  datasetManagement: 0x09,
} as const;

/** Status code types and codes in one number as a completion has them, §4.6.1. */
export const Sc = {
  success: 0x000,
  invalidOpcode: 0x001,
  invalidField: 0x002,
  dataTransferError: 0x004,
  internalError: 0x006,
  abortRequested: 0x007,
  invalidNamespace: 0x00b,
  commandSequence: 0x00c,
  invalidSglSegment: 0x00d,
  invalidSglCount: 0x00e,
  sglLengthInvalid: 0x00f,
  sglTypeInvalid: 0x011,
  invalidPrpOffset: 0x013,
  writeProtected: 0x020,
  lbaOutOfRange: 0x080,
  formatInProgress: 0x084,
  invalidCompletionQueue: 0x100,
  invalidQueueId: 0x101,
  invalidQueueSize: 0x102,
  asyncEventLimit: 0x105,
  invalidInterruptVector: 0x108,
  invalidLogPage: 0x109,
  invalidFormat: 0x10a,
  invalidQueueDeletion: 0x10c,
  notSaveable: 0x10d,
  notChangeable: 0x10e,
  writeFault: 0x280,
  readError: 0x281,
  compareFailure: 0x285,
} as const;
/** In a completion's status: there is more in the error log, and trying again does not help. */
export const StatusFlag = { more: 0x2000, doNotRetry: 0x4000 } as const;

/** Fields of a command that are the same for all, §4.2. */
export const Command: Layout<{
  opcode: Codec<number>;
  flags: Codec<number>;
  id: Codec<number>;
  namespaceId: Codec<number>;
  dword2: Codec<number>;
  dword3: Codec<number>;
  metadata: Codec<bigint>;
  prp1: Codec<bigint>;
  prp2: Codec<bigint>;
  dword10: Codec<number>;
  dword11: Codec<number>;
  dword12: Codec<number>;
  dword13: Codec<number>;
  dword14: Codec<number>;
  dword15: Codec<number>;
}> = layout("nvme command", SUBMISSION_BYTES, {
  opcode: u8,
  flags: u8,
  id: u16le,
  namespaceId: u32le,
  dword2: u32le,
  dword3: u32le,
  metadata: u64le,
  prp1: u64le,
  prp2: u64le,
  dword10: u32le,
  dword11: u32le,
  dword12: u32le,
  dword13: u32le,
  dword14: u32le,
  dword15: u32le,
});
/** `flags`: fused operations, and how data is pointed to. */
export const CommandFlag = { fused: 0x03, pointer: 0xc0, pointerShift: 6 } as const;
export const DataPointerKind = { prp: 0, sgl: 1, sglWithMetadataSegment: 2 } as const;

/** §4.4: 16 bytes; the type stands in the upper half of the last one. */
export const SGL_BYTES = 16;
export const SglType = { dataBlock: 0, bitBucket: 1, segment: 2, lastSegment: 3 } as const;

export const ALL_NAMESPACES = 0xffff_ffff;

/** Of dword 12 of reads and writes, and of write zeroes. */
export const IoFlag = { forceUnitAccess: 0x4000_0000, deallocate: 0x0200_0000, protection: 0x3c00_0000 } as const;
export const DATASET_DEALLOCATE = 4;
export const DATASET_RANGE_BYTES = 16;

export const Cns = {
  namespace: 0x00,
  controller: 0x01,
  activeNamespaces: 0x02,
  namespaceDescriptors: 0x03,
  allocatedNamespaces: 0x10,
  allocatedNamespace: 0x11,
  namespaceControllers: 0x12,
  controllers: 0x13,
} as const;
export const IDENTIFY_BYTES = 4096;

export const LogPage = { error: 0x01, smart: 0x02, firmware: 0x03, effects: 0x05 } as const;

export const Feature = {
  arbitration: 0x01,
  powerManagement: 0x02,
  temperatureThreshold: 0x04,
  errorRecovery: 0x05,
  volatileWriteCache: 0x06,
  queueCount: 0x07,
  interruptCoalescing: 0x08,
  interruptVector: 0x09,
  writeAtomicity: 0x0a,
  asyncEvents: 0x0b,
} as const;
export const FeatureSelect = { current: 0, default: 1, saved: 2, capabilities: 3 } as const;
export const FEATURE_SAVE = 0x8000_0000;

/** §5.2.1: type, information, and the log page that tells more. */
export const AsyncEvent = {
  invalidDoorbell: { type: 0, info: 0x00, page: 0x01 },
  invalidDoorbellValue: { type: 0, info: 0x01, page: 0x01 },
  temperature: { type: 1, info: 0x01, page: 0x02 },
} as const;
/** Bit of SMART's critical warning, and of the feature that lets it raise an event. */
export const SMART_TEMPERATURE = 0x02;
/** Of an imagined sensor: 50 °C, with QEMU's limits. Kelvin. */
export const Temperature = { now: 0x143, warning: 0x157, critical: 0x175 } as const;

/** Logical blocks that a namespace can be formatted to, as powers of two. */
export const BLOCK_SHIFTS: readonly number[] = [9, 12];
