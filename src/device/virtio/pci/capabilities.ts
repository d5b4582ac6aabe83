// The capabilities of a virtio function: where its structures are, and a window on them in configuration space.
import type { PciFunction } from "../../pci/index.ts";
import { CapabilityId } from "../../pci/spec.ts";
import {
  Capability,
  CAPABILITY_BYTES,
  LONG_CAPABILITY_BYTES,
  MODERN_BAR,
  MODERN_BAR_BYTES,
  NOTIFY_MULTIPLIER,
  Structure,
  STRUCTURE_BYTES,
  StructureType,
} from "./spec.ts";

/** Says where the structures of the modern interface are, §4.1.4. */
export function addCapabilities(pci: PciFunction): void {
  const add = (type: keyof typeof StructureType, at: number, extra?: number): void => {
    const lengthBytes = extra === undefined ? CAPABILITY_BYTES : LONG_CAPABILITY_BYTES;
    const place = pci.addCapability(`virtio.${type}`, CapabilityId.vendor, lengthBytes);
    pci.config.define(`virtio.${type}`, place, {
      length: { at: Capability.length, widthBytes: 1, reset: lengthBytes },
      type: { at: Capability.type, widthBytes: 1, reset: StructureType[type] },
      bar: { at: Capability.bar, widthBytes: 1, reset: MODERN_BAR },
      offset: { at: Capability.offset, widthBytes: 4, reset: at },
      size: { at: Capability.size, widthBytes: 4, reset: STRUCTURE_BYTES },
    });
    if (extra === undefined) return;
    const registers = { multiplier: { at: Capability.extra, widthBytes: 4, reset: extra } } as const;
    pci.config.define(`virtio.${type}`, place, registers);
  };
  add("common", Structure.common);
  add("interrupt", Structure.interrupt);
  add("device", Structure.device);
  add("notify", Structure.notify, NOTIFY_MULTIPLIER);
  addPciAccess(pci);
}

/** §4.1.4.9: a window through which the BAR is reached from configuration space. */
function addPciAccess(pci: PciFunction): void {
  const at = pci.addCapability("virtio.pciAccess", CapabilityId.vendor, LONG_CAPABILITY_BYTES);
  const window = pci.config.define("virtio.pciAccess", at, {
    length: { at: Capability.length, widthBytes: 1, reset: LONG_CAPABILITY_BYTES },
    type: { at: Capability.type, widthBytes: 1, reset: StructureType.pciAccess },
    bar: { at: Capability.bar, widthBytes: 1, writable: 0xff },
    offset: { at: Capability.offset, widthBytes: 4, writable: 0xffff_ffff },
    size: { at: Capability.size, widthBytes: 4, writable: 0xffff_ffff },
    data: { at: Capability.extra, widthBytes: 4, writable: 0xffff_ffff },
  });
  const access = (act: (offset: number, width: 1 | 2 | 4) => void): void => {
    const offset = window.offset.value;
    const width = window.size.value;
    const isPossible = (width === 1 || width === 2 || width === 4) && offset % width === 0;
    if (isPossible && window.bar.value === MODERN_BAR && offset + width <= MODERN_BAR_BYTES) act(offset, width);
  };
  const bar = pci.bar(MODERN_BAR)!;
  const { data } = window;
  data.onWrite = (value) => access((offset, width) => void bar.write(offset, width, value, 0));
  data.onRead = () =>
    access((offset, width) => {
      bar.read(offset, width);
      data.value = bar.low;
    });
}
