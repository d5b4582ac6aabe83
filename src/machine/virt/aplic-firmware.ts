// Firmware's use of the APLIC: everything goes to supervisor mode, as OpenSBI leaves it (lib/utils/irqchip/aplic.c).
import type { MmioHandler } from "../../memory/port.ts";
import { IRQ_SOURCE_COUNT, virtMap } from "./memory-map.ts";

/** Registers of the root domain (RISC-V Advanced Interrupt Architecture 1.0, §4.5). */
const SOURCECFG_1 = 0x4;
const MMSIADDRCFG = 0x1bc0;
const MMSIADDRCFGH = 0x1bc4;
const SMSIADDRCFG = 0x1bc8;
const SMSIADDRCFGH = 0x1bcc;
/** To the first child. */
const DELEGATE = 0x400;
const LOW_HART_WIDTH_SHIFT = 12;
const PAGE_SHIFT = 12;

/** With `hartCount`, where interrupt files of that many harts are is said too. */
export function delegateToSupervisor(root: MmioHandler, hartCount?: number): void {
  for (let i = 0; i < IRQ_SOURCE_COUNT; i++) root.write(SOURCECFG_1 + 4 * i, 4, DELEGATE);
  if (hartCount === undefined) return;
  const indexBits = Math.ceil(Math.log2(hartCount));
  root.write(MMSIADDRCFG, 4, virtMap.imsicM.base >>> PAGE_SHIFT);
  root.write(SMSIADDRCFG, 4, virtMap.imsicS.base >>> PAGE_SHIFT);
  root.write(SMSIADDRCFGH, 4, 0);
  root.write(MMSIADDRCFGH, 4, indexBits << LOW_HART_WIDTH_SHIFT);
}
