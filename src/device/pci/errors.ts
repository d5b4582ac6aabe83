import { VmError } from "../../base/index.ts";

/** Saved state of a PCI function cannot be taken over. */
export class PciStateError extends VmError<"otherFunction"> {
  override readonly room = "device/pci";
}
