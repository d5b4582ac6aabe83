// The board's fw_cfg: the files that QEMU's board without ACPI and SMBIOS has, and the operator's.
import type { TracePort } from "../../base/index.ts";
import { FW_CFG_FILE_LIMIT, FW_CFG_FILE_NAME_BYTES, FwCfg, type FwCfgFile } from "../../device/index.ts";
import { dmaPort } from "../../memory/index.ts";
import { MachineError } from "../errors.ts";
import type { MachineConfig } from "../port.ts";
import type { System } from "../system.ts";
import { virtMap } from "./memory-map.ts";

/** Nothing is said of an order or geometry of disks; a failed boot is not tried again (hw/nvram/fw_cfg.c). */
const OWN_FILES: readonly FwCfgFile[] = [
  { name: "bios-geometry", bytes: new Uint8Array(0) },
  { name: "bootorder", bytes: new Uint8Array(0) },
  { name: "etc/boot-fail-wait", bytes: new Uint8Array(4).fill(0xff) },
];
/** The last byte of a name is zero. */
const MAX_NAME = FW_CFG_FILE_NAME_BYTES - 1;

/** Throws `MachineError` whose subject is the name of the file at fault. */
export function placeFwCfg(
  system: System,
  { smp, uuid, fwCfg = [] }: Pick<MachineConfig, "smp" | "uuid" | "fwCfg">,
  trace: TracePort,
): void {
  checkFiles(fwCfg);
  const content = { cpuCount: smp, uuid: uuidBytes(uuid), files: [...OWN_FILES, ...fwCfg] };
  system.place("fw-cfg", virtMap.fwCfg.base, new FwCfg({ content, dma: dmaPort(system.space, "fw-cfg"), trace }));
}

function checkFiles(given: readonly FwCfgFile[]): void {
  const names = new Set(OWN_FILES.map(({ name }) => name));
  for (const { name } of given) {
    const refuse = (message: string): MachineError => new MachineError("badConfig", message, { subject: name });
    if (!isFileName(name))
      throw refuse(`"${name}" cannot name a fw_cfg file; 1 to ${MAX_NAME} ASCII characters would do`);
    if (names.has(name)) throw refuse(`duplicate fw_cfg file name: ${name}`);
    if (names.size === FW_CFG_FILE_LIMIT) throw refuse(`fw_cfg has room for ${FW_CFG_FILE_LIMIT} files`);
    names.add(name);
  }
}

function isFileName(name: string): boolean {
  return /^[\x20-\x7e]+$/.test(name) && name.length <= MAX_NAME;
}

/** In the order of its digits; zeros without one. */
function uuidBytes(uuid = "00000000-0000-0000-0000-000000000000"): Uint8Array {
  const digits = uuid.replaceAll("-", "");
  return Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}
