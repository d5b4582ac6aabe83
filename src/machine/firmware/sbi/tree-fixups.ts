// What firmware changes in the device tree before supervisor software reads it, as OpenSBI does (lib/utils/fdt). There
// is no reserved memory: this firmware does not live in the guest's.
import type { DeviceTreeNode } from "../../../format/index.ts";
import { HartIrq } from "../../../target/riscv/port.ts";

/** An interrupt that goes nowhere (sifive,plic-1.0.0 binding). */
const NO_INTERRUPT = 0xffff_ffff;

/** Changes `root` in place. */
export function fixUpTree(root: DeviceTreeNode): void {
  for (const { node } of root.walk()) {
    const compatible = node.getStrings("compatible") ?? [];
    if (compatible.includes("riscv,plic0") || compatible.includes("sifive,plic-1.0.0")) hideMachineContexts(node);
  }
  for (const cpu of root.find("/cpus")?.children ?? []) {
    // A hart that cannot translate addresses is of no use to a kernel.
    if (cpu.has("reg") && !cpu.has("mmu-type")) cpu.setString("status", "disabled");
  }
}

/** Contexts keep their places, because drivers count them. */
function hideMachineContexts(plic: DeviceTreeNode): void {
  const cells = plic.getU32s("interrupts-extended");
  if (cells === undefined) return;
  plic.setU32(
    "interrupts-extended",
    ...cells.map((cell, i) => (i % 2 === 1 && cell === HartIrq.meip ? NO_INTERRUPT : cell)),
  );
}
