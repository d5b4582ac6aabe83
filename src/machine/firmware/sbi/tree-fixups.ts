// What firmware changes in the device tree before supervisor software reads it, as OpenSBI does (lib/utils/fdt). There
// is no reserved memory: this firmware does not live in the guest's.
import type { DeviceTreeNode } from "../../../format/index.ts";
import { HartIrq } from "../../../target/riscv/port.ts";

/** An interrupt that goes nowhere (sifive,plic-1.0.0 binding). */
const NO_INTERRUPT = 0xffff_ffff;

/** Changes `root` in place. */
export function fixUpTree(root: DeviceTreeNode): void {
  const nodes = [...root.walk()].map(({ node }) => node);
  const those = (...names: string[]): DeviceTreeNode[] =>
    nodes.filter((node) => node.getStrings("compatible")?.some((name) => names.includes(name)) === true);
  those("riscv,plic0", "sifive,plic-1.0.0").forEach(hideMachineContexts);
  // Interrupt files and interrupt domains of machine mode are firmware's own.
  const files = those("riscv,imsics").filter(interruptsMachine);
  const hidden = new Set(files.map(({ phandle }) => phandle));
  const domains = those("riscv,aplic").filter(
    (node) => interruptsMachine(node) || (node.has("msi-parent") && hidden.has(node.getU32("msi-parent"))),
  );
  for (const node of [...files, ...domains]) node.setString("status", "disabled");
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

function interruptsMachine(node: DeviceTreeNode): boolean {
  const inputs = node.getU32s("interrupts-extended")?.filter((_cell, i) => i % 2 === 1) ?? [];
  return inputs.includes(HartIrq.meip);
}
