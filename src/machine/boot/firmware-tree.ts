// What the board's own device tree says besides to firmware from a file (`-bios FILE`), which may be older than it.
import type { DeviceTreeNode } from "../../format/index.ts";

/**
 * Tells each APLIC's delegation under the name, too, that it had before the binding was settled: OpenSBI 1.1, Debian 12's,
 * knows no other, and supervisor mode would get no interrupts. Newer firmware takes the settled one (OpenSBI,
 * lib/utils/fdt/fdt_helper.c). Changes `root` in place.
 */
export function tellOlderFirmware(root: DeviceTreeNode): void {
  for (const { node } of root.walk()) {
    const delegation = node.getU32s("riscv,delegation");
    if (delegation !== undefined) node.setU32("riscv,delegate", ...delegation);
  }
}
