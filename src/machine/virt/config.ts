// What `virt` takes from the configuration, checked. What is known but not here yet is refused with its reason.
import { MachineError } from "../errors.ts";
import type { MachineConfig } from "../port.ts";
import { MAX_HARTS } from "./memory-map.ts";

export const boardNames: readonly string[] = ["virt", "virt-1.0"];

/** `-machine` properties of QEMU's board, the value that this one has, and why no other. */
const fixedOptions: Readonly<Record<string, { readonly value: string; readonly reason: string }>> = {
  aclint: { value: "off", reason: "the board has a CLINT; the ACLINT's devices are not there yet" },
  aia: { value: "none", reason: "the board has a PLIC; APLIC and IMSIC are not there yet" },
  "aia-guests": { value: "0", reason: "there is no IMSIC yet" },
  acpi: { value: "off", reason: "the board describes itself by its device tree only" },
  "iommu-sys": { value: "off", reason: "there is no riscv-iommu yet" },
  usb: { value: "off", reason: "there is no USB host controller" },
};
/** Spellings that mean the same here. */
const sameValue: Readonly<Record<string, readonly string[]>> = { acpi: ["off", "auto"] };

export type VirtConfig = Pick<MachineConfig, "board" | "boardOptions" | "smp" | "memoryBytes" | "serials">;

/** Throws `MachineError` naming the option, what was given and what would do. */
export function checkVirtConfig(config: VirtConfig): void {
  if (!boardNames.includes(config.board)) {
    throw new MachineError("unknownBoard", `There is no board "${config.board}"; known are ${boardNames.join(", ")}`, {
      subject: config.board,
    });
  }
  for (const [name, value] of Object.entries(config.boardOptions)) checkOption(name, value);
  if (!Number.isInteger(config.smp) || config.smp < 1 || config.smp > MAX_HARTS) {
    throw new MachineError("badConfig", `The board cannot have ${config.smp} harts; 1 to ${MAX_HARTS} would do`);
  }
  if (!Number.isSafeInteger(config.memoryBytes) || config.memoryBytes < 1) {
    throw new MachineError("badConfig", `The board cannot have ${config.memoryBytes} bytes of memory`);
  }
  if (config.serials.length > 1) {
    throw new MachineError("badConfig", `The board has one serial port, and ${config.serials.length} are configured`);
  }
}

function checkOption(name: string, value: string): void {
  const fixed = fixedOptions[name];
  const subject = `${name}=${value}`;
  if (fixed === undefined) {
    throw new MachineError(
      "unknownProperty",
      `Board "virt" has no property "${name}"; known are ${Object.keys(fixedOptions).join(", ")}`,
      { subject },
    );
  }
  if (value === fixed.value || sameValue[name]?.includes(value) === true) return;
  throw new MachineError("badConfig", `"${name}" must be "${fixed.value}": ${fixed.reason}`, { subject });
}
