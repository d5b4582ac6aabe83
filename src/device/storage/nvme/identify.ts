// What Identify tells of the controller and its namespaces, §5.15.2.
import { bytes, layout, u16le, u32le, u64be, u64le, u8 } from "../../../base/index.ts";
import { QEMU_SUBSYSTEM } from "../../pci/spec.ts";
import type { NvmeConfig } from "./config.ts";
import { MAX_NAMESPACES } from "./config.ts";
import { ERROR_LOG_ENTRIES } from "./log-pages.ts";
import type { NvmeNamespace } from "./namespace.ts";
import {
  BLOCK_SHIFTS,
  COMPLETION_SHIFT,
  FIRMWARE_REVISION,
  IDENTIFY_BYTES,
  MODEL,
  NVME_IDENTITY,
  NVME_VERSION,
  SUBMISSION_SHIFT,
  Temperature,
} from "./spec.ts";

/** This controller's number in a subsystem that has no other. */
const CONTROLLER_ID = 0;
/** Abort commands at a time, one less. */
const ABORT_LIMIT = 3;

/** Figure 247. */
const Controller = layout("identify controller", IDENTIFY_BYTES, {
  vendorId: u16le,
  subsystemVendorId: u16le,
  serial: bytes(20),
  model: bytes(40),
  firmware: bytes(8),
  arbitrationBurst: u8,
  ieee: bytes(3),
  multiPath: u8,
  transferExponent: u8,
  controllerId: u16le,
  version: u32le,
  resumeLatency: u32le,
  entryLatency: u32le,
  asyncEvents: u32le,
  attributes: u32le,
  _100: bytes(11),
  controllerType: u8,
  _112: bytes(144),
  adminCommands: u16le,
  abortLimit: u8,
  asyncEventLimit: u8,
  firmwareUpdates: u8,
  logPages: u8,
  errorLogEntries: u8,
  powerStates: u8,
  _264: bytes(2),
  warningTemperature: u16le,
  criticalTemperature: u16le,
  _270: bytes(242),
  submissionShifts: u8,
  completionShifts: u8,
  maxCommands: u16le,
  namespaceCount: u32le,
  nvmCommands: u16le,
  fused: u16le,
  formatAttributes: u8,
  volatileWriteCache: u8,
  atomicWrite: u16le,
  atomicWritePowerFail: u16le,
  _530: bytes(6),
  sgl: u32le,
  _540: bytes(228),
  subsystemName: bytes(256),
  _1024: bytes(1024),
  maxPower: u16le,
  _2050: bytes(2),
  entryLatencyUs: u32le,
  exitLatencyUs: u32le,
  _2060: bytes(IDENTIFY_BYTES - 2060),
});

/** Figure 245. */
const Namespace = layout("identify namespace", IDENTIFY_BYTES, {
  size: u64le,
  capacity: u64le,
  utilization: u64le,
  features: u8,
  formatCount: u8,
  format: u8,
  _27: bytes(6),
  deallocation: u8,
  _34: bytes(65),
  attributes: u8,
  _100: bytes(20),
  eui64: u64be,
  formats: bytes(64),
  _192: bytes(IDENTIFY_BYTES - 192),
});

/** OACS: format. */
const ADMIN_FORMAT = 0x0002;
/** ONCS: compare, dataset management, write zeroes, the select field of features. */
const NVM_COMMANDS = 0x0001 | 0x0004 | 0x0008 | 0x0010;
/** LPA: effects log, and offsets into log pages. */
const LOG_PAGES = 0x02 | 0x04;
/** SGLs in the NVM command set, without alignment; bit buckets. */
const SGL_SUPPORT = 0x0000_0001 | 0x0001_0000;
/** One slot for firmware, which is read-only. */
const FIRMWARE_SLOTS = 0x03;
/** VWC: there is a cache, and a flush of all namespaces is understood. */
const WRITE_CACHE = 0x01 | 0x06;

export function identifyController(config: NvmeConfig): Uint8Array {
  return Controller.encode({
    vendorId: NVME_IDENTITY.vendorId,
    subsystemVendorId: QEMU_SUBSYSTEM.subsystemVendorId,
    serial: padded(config.serial, 20),
    model: padded(MODEL, 40),
    firmware: padded(FIRMWARE_REVISION, 8),
    arbitrationBurst: 6,
    // Of QEMU, least significant byte first.
    ieee: Uint8Array.of(0x00, 0x54, 0x52),
    transferExponent: config.transferExponent,
    controllerId: CONTROLLER_ID,
    version: NVME_VERSION,
    controllerType: 1,
    adminCommands: ADMIN_FORMAT,
    abortLimit: ABORT_LIMIT,
    asyncEventLimit: config.asyncEventLimit,
    firmwareUpdates: FIRMWARE_SLOTS,
    logPages: LOG_PAGES,
    errorLogEntries: ERROR_LOG_ENTRIES - 1,
    warningTemperature: Temperature.warning,
    criticalTemperature: Temperature.critical,
    submissionShifts: (SUBMISSION_SHIFT << 4) | SUBMISSION_SHIFT,
    completionShifts: (COMPLETION_SHIFT << 4) | COMPLETION_SHIFT,
    namespaceCount: MAX_NAMESPACES,
    nvmCommands: NVM_COMMANDS,
    volatileWriteCache: WRITE_CACHE,
    sgl: SGL_SUPPORT,
    subsystemName: padded(subsystemName(config.serial), 256, "\0"),
    maxPower: 2500,
    entryLatencyUs: 16,
    exitLatencyUs: 4,
  });
}

/** §7.9: the form for those that nobody named: vendor, subsystem vendor, serial number, model. */
function subsystemName(serial: string): string {
  const vendor = NVME_IDENTITY.vendorId.toString(16) + QEMU_SUBSYSTEM.subsystemVendorId.toString(16);
  return `nqn.2014.08.org.nvmexpress:${vendor}${serial.padEnd(20)}${MODEL.padEnd(40)}`;
}

export function identifyNamespace(namespace: NvmeNamespace): Uint8Array {
  const size = BigInt(namespace.blockCount);
  const formats = new Uint8Array(64);
  // The third byte of each has the block's length; none has metadata.
  BLOCK_SHIFTS.forEach((shift, i) => (formats[4 * i + 2] = shift));
  return Namespace.encode({
    size,
    capacity: size,
    utilization: size,
    formatCount: BLOCK_SHIFTS.length - 1,
    format: BLOCK_SHIFTS.indexOf(namespace.blockShift),
    attributes: namespace.node.readOnly ? 1 : 0,
    eui64: namespace.eui64,
    formats,
  });
}

/** Numbers of 32 bits from the lowest on that lies above `after`. */
export function namespaceList(ids: readonly number[], after: number): Uint8Array {
  const list = new Uint8Array(IDENTIFY_BYTES);
  const view = new DataView(list.buffer);
  const shown = ids.filter((id) => id > after).slice(0, IDENTIFY_BYTES / 4);
  shown.forEach((id, i) => view.setUint32(4 * i, id, true));
  return list;
}

/** Types of identifiers, Figure 249. */
const IdentifierType = { eui64: 1, uuid: 3 } as const;

export function namespaceDescriptors({ eui64, uuid }: NvmeNamespace): Uint8Array {
  const list = new Uint8Array(IDENTIFY_BYTES);
  const name = new Uint8Array(8);
  new DataView(name.buffer).setBigUint64(0, eui64, false);
  let at = 0;
  const add = (type: number, identifier: Uint8Array): void => {
    list.set([type, identifier.length], at);
    list.set(identifier, at + 4);
    at += 4 + identifier.length;
  };
  add(IdentifierType.eui64, name);
  if (uuid !== undefined) add(IdentifierType.uuid, uuid);
  return list;
}

/** A count, and the controllers from `from` on, of which there is one. */
export function controllerList(from: number): Uint8Array {
  const list = new Uint8Array(IDENTIFY_BYTES);
  if (from <= CONTROLLER_ID) new DataView(list.buffer).setUint16(0, 1, true);
  return list;
}

function padded(text: string, lengthBytes: number, filler = " "): Uint8Array {
  return new TextEncoder().encode(text.padEnd(lengthBytes, filler));
}
