// What a device on PCI is to its owner.
import type { Device } from "../port.ts";
import type { PciFunction } from "./function.ts";

/** What a device does of its own accord: everything; nothing on the bus; nothing at all. */
export type Activity = "running" | "quiet" | "stopped";

/** A function with the device behind it: the form in which a board, an assigning host or a server takes it. */
export interface PciDevice extends Device {
  readonly pci: PciFunction;
  /** Memory of the device that belongs to its state besides `saveState`; it may be copied while the device runs. */
  readonly localMemory?: Uint8Array;
  /** `quiet`: begins no DMA and sends no interrupts of its own accord, but answers accesses. `stopped`: stands still. */
  setActivity(activity: Activity): void;
  /** Resolves when no request is in flight at the host; no new one may begin meanwhile. */
  drain?(): Promise<void>;
}
