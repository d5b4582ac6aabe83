// The board's PCI host bridge: configuration space, windows for BARs, interrupt lines, messages. As QEMU wires its gpex.
import type { TracePort } from "../../base/index.ts";
import { PciHostBridge, type PciBus } from "../../device/pci/index.ts";
import { aliasRegion, dmaPort, mmioRegion, type MemoryRegion, type MmioHandler } from "../../memory/index.ts";
import { messagePort } from "../message-port.ts";
import type { System } from "../system.ts";
import type { IrqChip } from "./irq-chip.ts";
import { pciMmio64, virtIrq, virtMap, type MapEntry } from "./memory-map.ts";

export const ROOT_BUS_NAME = "pcie.0";

/** Where no BAR is, reads give ones and writes go nowhere. */
const unclaimed: MmioHandler = { read: () => 0xffff_ffff, write: () => undefined };

/** Makes and places the bridge; the root bus. */
export function placePciHost(system: System, irqChip: IrqChip, memoryBytes: number, trace: TracePort): PciBus {
  const { space } = system;
  const bridge = new PciHostBridge({
    busName: ROOT_BUS_NAME,
    upstream: {
      dma: (name) => dmaPort(space, name),
      msi: (name) => messagePort(space, name, trace),
      trace,
    },
    lines: [0, 1, 2, 3].map((pin) => irqChip.source(virtIrq.pci + pin)),
  });
  system.place("pcie", virtMap.pciEcam.base, bridge);
  const { bus } = bridge;
  const high = pciMmio64(memoryBytes);
  showWindow(system, "pci.io", bus.io, virtMap.pciPio, 0);
  showWindow(system, "pci.mmio32", bus.memory, virtMap.pciMmio32, virtMap.pciMmio32.base);
  showWindow(system, "pci.mmio64", bus.memory, high, high.base);
  return bus;
}

/** Shows `place.lengthBytes` of `target` from `from` on. */
function showWindow(system: System, name: string, target: MemoryRegion, place: MapEntry, from: number): void {
  const { base, lengthBytes } = place;
  system.show(aliasRegion(name, target, { offsetBytes: from, lengthBytes }), base);
  system.show(mmioRegion(`${name}.unclaimed`, lengthBytes, unclaimed), base, -1);
}
