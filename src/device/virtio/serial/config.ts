// Properties of `virtio-serial-device` and of the ports on its bus, with QEMU's names and defaults.
import { bool, property, readProperties, str, uint32, type PropertyTable } from "../../../object/index.ts";
import type { DeviceTypeInfo } from "../../type-info.ts";
import type { RingOptions } from "../device.ts";
import { VirtioError } from "../errors.ts";
import { ringOptions, ringProperties } from "../ring-properties.ts";

const busProperties = {
  ...ringProperties,
  max_ports: property(uint32, { default: 31, description: "1 to 31; 1 means a single console without control queues" }),
  "emergency-write": property(bool, { default: true, description: "on/off" }),
} satisfies PropertyTable;

/** QEMU's mark for "the next free number". */
const ANY_NUMBER = 0xffff_ffff;

const portProperties = {
  chardev: property(str, { description: "ID of a chardev to use as a backend" }),
  name: property(str, { description: "name of the port, /dev/virtio-ports/NAME in the guest" }),
  nr: property(uint32, { default: ANY_NUMBER, description: "number of the port; default: the next free one" }),
} satisfies PropertyTable;

export const virtioSerialInfo: DeviceTypeInfo = {
  typeName: "virtio-serial-device",
  description: "Virtio console device: a bus for ports",
  bus: "virtio-bus",
  properties: busProperties,
};

export const virtconsoleInfo: DeviceTypeInfo = {
  typeName: "virtconsole",
  description: "Console on a virtio-serial bus (hvc0 in the guest)",
  bus: "virtio-serial-bus",
  properties: portProperties,
};

export const virtserialportInfo: DeviceTypeInfo = {
  typeName: "virtserialport",
  description: "Byte stream between programs of host and guest on a virtio-serial bus",
  bus: "virtio-serial-bus",
  properties: portProperties,
};

export interface VirtioSerialConfig {
  readonly ring: RingOptions;
  readonly maxPorts: number;
  readonly offersEmergencyWrite: boolean;
}

export interface SerialPortConfig {
  readonly kind: "virtconsole" | "virtserialport";
  /** Chardev that the board connects. */
  readonly chardev: string | undefined;
  readonly name: string | undefined;
  /** Undefined: the next free number. */
  readonly number: number | undefined;
}

/** Throws OptionError for unknown or ill-typed properties, VirtioError `badConfig`. */
export function readVirtioSerialConfig(
  given: Readonly<Record<string, unknown>> = {},
  subject?: string,
): VirtioSerialConfig {
  const values = readProperties(virtioSerialInfo.typeName, busProperties, given, subject);
  const maxPorts = values.max_ports;
  if (maxPorts < 1 || maxPorts > 31) {
    const message = `Property 'max_ports' is ${maxPorts}; 1 to 31 would do`;
    throw new VirtioError("badConfig", message, subject === undefined ? {} : { subject });
  }
  return { ring: ringOptions(values), maxPorts, offersEmergencyWrite: values["emergency-write"] };
}

/** Throws OptionError for unknown or ill-typed properties. */
export function readSerialPortConfig(
  kind: SerialPortConfig["kind"],
  given: Readonly<Record<string, unknown>> = {},
  subject?: string,
): SerialPortConfig {
  const values = readProperties(kind, portProperties, given, subject);
  const number = values.nr === ANY_NUMBER ? undefined : values.nr;
  return { kind, chardev: values.chardev, name: values.name, number };
}
