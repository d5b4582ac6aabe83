// Properties that every PCI device of a board has, with QEMU's names: where it is plugged in.
import {
  bool,
  OptionError,
  property,
  readProperties,
  Refusal,
  str,
  uint32,
  type PropertySpec,
  type PropertyType,
} from "../../object/index.ts";
import { devfn } from "./bus.ts";
import { FUNCTIONS_PER_SLOT, SLOT_COUNT } from "./spec.ts";

/** A slot, or a slot and a function: `3`, `1f.7`, `0x3`; hexadecimal, as one number of 8 bits. */
const place: PropertyType<number> = {
  name: "int32",
  parse(text) {
    const [, slot = "", fn = "0"] = /^(?:0x)?([0-9a-f]{1,2})(?:\.(?:0x)?([0-7]))?$/i.exec(text) ?? [];
    const number = Number.parseInt(slot, 16);
    return number < SLOT_COUNT ? devfn(number, Number(fn)) : new Refusal("expects SLOT or SLOT.FUNCTION, 0 to 1f.7");
  },
  accept(value) {
    if (typeof value === "string") return place.parse(value);
    const isPlace = typeof value === "number" && Number.isInteger(value) && value >= 0;
    return isPlace && value < SLOT_COUNT * FUNCTIONS_PER_SLOT ? value : new Refusal("expects an integer from 0 to 255");
  },
  format: (value) => placeName(value),
};

export const pciProperties: {
  readonly addr: PropertySpec<number, undefined>;
  readonly multifunction: PropertySpec<boolean, boolean>;
  readonly rombar: PropertySpec<number, number>;
  readonly romfile: PropertySpec<string, undefined>;
} = {
  addr: property(place, { description: "Slot and optional function number, example: 06.0 or 06" }),
  multifunction: property(bool, { default: false, description: "on/off" }),
  rombar: property(uint32, { default: 1 }),
  romfile: property(str, { description: "empty: no device here has an option ROM" }),
};

export interface PciPlacement {
  /** Undefined: the first free slot. */
  readonly at: number | undefined;
  readonly isMultifunction: boolean;
}

/** Takes what is in `pciProperties`. Throws OptionError. */
export function readPciPlacement(
  typeName: string,
  given: Readonly<Record<string, unknown>>,
  subject?: string,
): PciPlacement {
  const { addr, multifunction, romfile } = readProperties(typeName, pciProperties, given, subject);
  if (romfile !== undefined && romfile !== "") {
    const message = "'romfile' is not supported: nobody runs option ROMs on this board; romfile= would do";
    throw new OptionError("unsupported", message, subject === undefined ? {} : { subject });
  }
  return { at: addr, isMultifunction: multifunction };
}

/** `03.0` */
export function placeName(at: number): string {
  const slot = Math.floor(at / FUNCTIONS_PER_SLOT).toString(16);
  return `${slot.padStart(2, "0")}.${at % FUNCTIONS_PER_SLOT}`;
}
