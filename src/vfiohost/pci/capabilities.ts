// Capabilities of a function, found as the host's kernel finds them.
import { pciSpec, type PciFunction } from "../../device/pci/index.ts";
import { VfioDeviceInfoCapPciAtomicComp, VfioDeviceInfoCap, VfioPciAtomicComp } from "../../iommufd/index.ts";
import type { InfoCapability } from "../device-call.ts";

const { CapabilityId, Exp, Header } = pciSpec;

/** PCI Express 5.0 §7.5.3.15: which atomic operations the function completes. */
const AtomicCompletion = { bits32: 0x80, bits64: 0x100, bits128: 0x200 } as const;

/** Byte offset of a capability, if the function has it. */
export function findCapability(pci: PciFunction, id: number): number | undefined {
  const { config } = pci;
  for (let at = config.read(Header.capabilities, 1); at !== 0; at = config.read(at + 1, 1)) {
    if (config.read(at, 1) === id) return at;
  }
  return undefined;
}

/** What GET_INFO says of atomic operations; absent when there are none. The host's root ports forward them all. */
export function atomicCompletion(pci: PciFunction): InfoCapability | undefined {
  const at = findCapability(pci, CapabilityId.pciExpress);
  if (at === undefined) return undefined;
  const bits = pci.config.read(at + Exp.deviceCapabilities2, 4);
  let flags = 0;
  if ((bits & AtomicCompletion.bits32) !== 0) flags |= VfioPciAtomicComp.BITS32;
  if ((bits & AtomicCompletion.bits64) !== 0) flags |= VfioPciAtomicComp.BITS64;
  if ((bits & AtomicCompletion.bits128) !== 0) flags |= VfioPciAtomicComp.BITS128;
  if (flags === 0) return undefined;
  const body = VfioDeviceInfoCapPciAtomicComp.encode({ flags }).subarray(8);
  return { id: VfioDeviceInfoCap.PCI_ATOMIC_COMP, version: 1, body };
}
