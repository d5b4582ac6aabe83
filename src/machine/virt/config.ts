// What `virt` takes from the configuration, checked. What is known but not here yet is refused with its reason.
import { bool, oneOf, Refusal, type PropertyType } from "../../object/index.ts";
import { MachineError } from "../errors.ts";
import type { MachineConfig } from "../port.ts";
import { MAX_HARTS } from "./memory-map.ts";
import type { VirtOptions } from "./options.ts";

/** The newest version. */
export const VIRT_VERSION = "virt-1.0";
export const boardNames: readonly string[] = ["virt", VIRT_VERSION];

const aiaKinds: PropertyType<VirtOptions["aia"]> = oneOf("aia", ["none", "aplic", "aplic-imsic"]);
const CHOSEN = ["aclint", "aia"];

/** Those that have one value here, and why no other. */
const fixedOptions: Readonly<Record<string, { readonly value: string; readonly reason: string }>> = {
  "aia-guests": {
    value: "0",
    reason: "guest interrupt files are for the hypervisor extension, which harts do not have",
  },
  acpi: { value: "off", reason: "the board describes itself by its device tree only" },
  "iommu-sys": { value: "off", reason: "there is no riscv-iommu yet" },
  usb: { value: "off", reason: "there is no USB host controller" },
};
/** Spellings that mean the same here. */
const sameValue: Readonly<Record<string, readonly string[]>> = { acpi: ["off", "auto"] };

export type VirtConfig = Pick<MachineConfig, "board" | "boardOptions" | "smp" | "memoryBytes" | "serials">;

/** Throws `MachineError` naming the option, what was given and what would do. */
export function readVirtConfig(config: VirtConfig): VirtOptions {
  if (!boardNames.includes(config.board)) {
    throw new MachineError("unknownBoard", `There is no board "${config.board}"; known are ${boardNames.join(", ")}`, {
      subject: config.board,
    });
  }
  const { aclint = "off", aia = "none", ...fixed } = config.boardOptions;
  const options = { aclint: readOption("aclint", bool, aclint), aia: readOption("aia", aiaKinds, aia) };
  for (const [name, value] of Object.entries(fixed)) checkFixed(name, value);
  if (!Number.isInteger(config.smp) || config.smp < 1 || config.smp > MAX_HARTS) {
    throw new MachineError("badConfig", `The board cannot have ${config.smp} harts; 1 to ${MAX_HARTS} would do`);
  }
  if (!Number.isSafeInteger(config.memoryBytes) || config.memoryBytes < 1) {
    throw new MachineError("badConfig", `The board cannot have ${config.memoryBytes} bytes of memory`);
  }
  if (config.serials.length > 1) {
    throw new MachineError("badConfig", `The board has one serial port, and ${config.serials.length} are configured`);
  }
  return options;
}

function readOption<T>(name: string, type: PropertyType<T>, value: string): T {
  const read = type.parse(value);
  if (!(read instanceof Refusal)) return read;
  throw new MachineError("badConfig", `"${name}" ${read.phrase}`, { subject: `${name}=${value}` });
}

function checkFixed(name: string, value: string): void {
  const fixed = fixedOptions[name];
  const subject = `${name}=${value}`;
  if (fixed === undefined) {
    throw new MachineError(
      "unknownProperty",
      `Board "virt" has no property "${name}"; known are ${[...CHOSEN, ...Object.keys(fixedOptions)].join(", ")}`,
      { subject },
    );
  }
  if (value === fixed.value || sameValue[name]?.includes(value) === true) return;
  throw new MachineError("badConfig", `"${name}" must be "${fixed.value}": ${fixed.reason}`, { subject });
}
