// Properties of `nvme` and `nvme-ns`, with QEMU's names and defaults.
import {
  intRange,
  property,
  readProperties,
  size,
  str,
  uint64,
  uint8,
  type PropertyTable,
} from "../../../object/index.ts";
import type { DeviceTypeInfo } from "../../type-info.ts";
import { NvmeError } from "./errors.ts";
import { BLOCK_SHIFTS } from "./spec.ts";

export interface NvmeConfig {
  /** At most 20 characters of ASCII. */
  readonly serial: string;
  /** I/O queue pairs that software can have. */
  readonly queuePairs: number;
  readonly interruptVectors: number;
  /** Entries that a queue can have. */
  readonly queueEntries: number;
  /** The most that a command moves: 2^this pages of 4 KiB; 0 is no limit. */
  readonly transferExponent: number;
  /** Async event requests, one less. */
  readonly asyncEventLimit: number;
  /** Events that are kept while nobody asks for them. */
  readonly asyncEventQueue: number;
  /** Node for namespace 1. */
  readonly drive: string | undefined;
  readonly blockShift: number;
}

export interface NvmeNamespaceConfig {
  readonly drive: string | undefined;
  /** Undefined: the lowest free one. */
  readonly namespaceId: number | undefined;
  /** 16 bytes; undefined: the namespace has none. */
  readonly uuid: Uint8Array | undefined;
  /** Undefined: QEMU's, which is made of the namespace's number. */
  readonly eui64: bigint | undefined;
  readonly blockShift: number;
}

export const MAX_NAMESPACES = 256;
/** As many as have doorbells of 32 bits and a vector each. */
const MAX_PAIRS = 2047;

const diskProperties = {
  drive: property(str, { description: "Node name or ID of a block device to use as a backend" }),
  logical_block_size: property(size, { default: 512, description: "512 or 4096" }),
} satisfies PropertyTable;

const nvmeProperties = {
  ...diskProperties,
  serial: property(str, { description: "serial number, up to 20 characters" }),
  max_ioqpairs: property(intRange("uint32", 1, MAX_PAIRS), { default: 64, description: "I/O queue pairs" }),
  msix_qsize: property(intRange("uint16", 1, MAX_PAIRS + 1), { default: 65, description: "MSI-X vectors" }),
  mqes: property(intRange("uint16", 1, 0xffff), { default: 0x7ff, description: "entries of a queue, one less" }),
  mdts: property(intRange("uint8", 0, 16), {
    default: 7,
    description: "a command moves at most 2^N pages; 0: no limit",
  }),
  aerl: property(uint8, { default: 3, description: "async event requests at a time, one less" }),
  aer_max_queued: property(intRange("uint32", 0, 0xffff), { default: 64, description: "events kept for later" }),
} satisfies PropertyTable;

const namespaceProperties = {
  ...diskProperties,
  nsid: property(intRange("uint32", 0, MAX_NAMESPACES), { default: 0, description: "0: the lowest free one" }),
  uuid: property(str, { description: "UUID of the namespace; default: none" }),
  eui64: property(uint64, { default: 0n, description: "0: made of the namespace's number" }),
} satisfies PropertyTable;

export const nvmeInfo: DeviceTypeInfo = {
  typeName: "nvme",
  description: "Non-Volatile Memory Express",
  bus: "PCI",
  properties: nvmeProperties,
};

export const nvmeNamespaceInfo: DeviceTypeInfo = {
  typeName: "nvme-ns",
  description: "Virtual NVMe namespace",
  bus: "nvme-bus",
  properties: namespaceProperties,
};

/** Throws OptionError, or NvmeError `badConfig`. */
export function readNvmeConfig(given: Readonly<Record<string, unknown>>, subject?: string): NvmeConfig {
  const values = readProperties(nvmeInfo.typeName, nvmeProperties, given, subject);
  const { serial } = values;
  if (serial === undefined || serial === "") throw wrong("serial property not set", subject);
  if (!/^[ -~]{1,20}$/.test(serial)) throw wrong(`serial '${serial}' is not of 1 to 20 ASCII characters`, subject);
  return {
    serial,
    queuePairs: values.max_ioqpairs,
    interruptVectors: values.msix_qsize,
    queueEntries: values.mqes + 1,
    transferExponent: values.mdts,
    asyncEventLimit: values.aerl,
    asyncEventQueue: values.aer_max_queued,
    drive: values.drive,
    blockShift: blockShift(values.logical_block_size, subject),
  };
}

/** Throws OptionError, or NvmeError `badConfig`. */
export function readNvmeNamespaceConfig(
  given: Readonly<Record<string, unknown>>,
  subject?: string,
): NvmeNamespaceConfig {
  const values = readProperties(nvmeNamespaceInfo.typeName, namespaceProperties, given, subject);
  const { uuid } = values;
  return {
    drive: values.drive,
    namespaceId: values.nsid === 0 ? undefined : values.nsid,
    uuid: uuid === undefined ? undefined : uuidBytes(uuid, subject),
    eui64: values.eui64 === 0n ? undefined : values.eui64,
    blockShift: blockShift(values.logical_block_size, subject),
  };
}

function blockShift(blockBytes: number, subject: string | undefined): number {
  const shift = BLOCK_SHIFTS.find((each) => 2 ** each === blockBytes);
  if (shift === undefined) throw wrong(`logical_block_size is ${blockBytes}; 512 or 4096 would do`, subject);
  return shift;
}

function uuidBytes(uuid: string, subject: string | undefined): Uint8Array {
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(uuid)) throw wrong(`'${uuid}' is not a UUID`, subject);
  const digits = uuid.replaceAll("-", "");
  return Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

function wrong(message: string, subject: string | undefined): NvmeError {
  return new NvmeError("badConfig", message, subject === undefined ? {} : { subject });
}
