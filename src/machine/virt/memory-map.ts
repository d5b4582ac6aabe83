// QEMU's `virt` board as a table: where everything is and which interrupt it has (hw/riscv/virt.c; measured with
// `dumpdtb` and `info mtree` of QEMU 11.1.3). Nothing else in this room writes an address down.
import { alignUp } from "../../base/index.ts";
import type { VirtOptions } from "./options.ts";

export interface MapEntry {
  readonly base: number;
  readonly lengthBytes: number;
}

/** Guest-physical ranges. RAM's length is the machine's; a per-hart entry's length is for all 512 harts. */
export const virtMap = {
  maskRom: { base: 0x1000, lengthBytes: 0xf000 },
  testFinisher: { base: 0x10_0000, lengthBytes: 0x1000 },
  rtc: { base: 0x10_1000, lengthBytes: 0x1000 },
  clint: { base: 0x200_0000, lengthBytes: 0x1_0000 },
  aclintSswi: { base: 0x2f0_0000, lengthBytes: 0x4000 },
  pciPio: { base: 0x300_0000, lengthBytes: 0x1_0000 },
  iommu: { base: 0x301_0000, lengthBytes: 0x1000 },
  platformBus: { base: 0x400_0000, lengthBytes: 0x200_0000 },
  plic: { base: 0xc00_0000, lengthBytes: 0x60_0000 },
  aplicM: { base: 0xc00_0000, lengthBytes: 0x8000 },
  aplicS: { base: 0xd00_0000, lengthBytes: 0x8000 },
  uart: { base: 0x1000_0000, lengthBytes: 0x100 },
  /** The first of `VIRTIO_SLOT_COUNT` slots; they follow each other. */
  virtioMmio: { base: 0x1000_1000, lengthBytes: 0x1000 },
  fwCfg: { base: 0x1010_0000, lengthBytes: 0x18 },
  flash0: { base: 0x2000_0000, lengthBytes: 0x200_0000 },
  flash1: { base: 0x2200_0000, lengthBytes: 0x200_0000 },
  imsicM: { base: 0x2400_0000, lengthBytes: 0x400_0000 },
  imsicS: { base: 0x2800_0000, lengthBytes: 0x400_0000 },
  pciEcam: { base: 0x3000_0000, lengthBytes: 0x1000_0000 },
  pciMmio32: { base: 0x4000_0000, lengthBytes: 0x4000_0000 },
  ram: { base: 0x8000_0000, lengthBytes: 0 },
} as const;

/** PCI's window for 64-bit BARs: at the next multiple of its length above RAM. */
export function pciMmio64(memoryBytes: number): MapEntry {
  return { base: alignUp(virtMap.ram.base + memoryBytes, PCI_MMIO64_BYTES), lengthBytes: PCI_MMIO64_BYTES };
}

const PCI_MMIO64_BYTES = 16 * 2 ** 30;

/** Inputs of the platform interrupt controller. */
export const virtIrq = {
  /** Slot n has `virtioMmio + n`. */
  virtioMmio: 1,
  uart: 10,
  rtc: 11,
  /** INTx A to D, swizzled by slot. */
  pci: 32,
  iommu: 36,
  platformBus: 64,
} as const;

export const VIRTIO_SLOT_COUNT = 8;
/** Platform interrupt sources, of which 0 means none: `riscv,ndev` of the PLIC is one less. */
export const IRQ_SOURCE_COUNT = 96;
export const MAX_HARTS = 512;
export const TIMEBASE_HZ = 10_000_000;
export const UART_CLOCK_HZ = 3_686_400;

/** Identities of an IMSIC's interrupt file, of which 0 means none: `riscv,num-ids` is one less. */
export const IMSIC_IDENTITY_COUNT = 255;
/** One interrupt file. */
export const IMSIC_FILE_BYTES = 0x1000;

/** What gives harts their software and timer interrupts, where it is; a CLINT is an MSWI and an MTIMER. */
export interface TimerPlaces {
  readonly mswi?: MapEntry;
  readonly mtimer: MapEntry;
  readonly sswi?: MapEntry;
}

const MSWI_BYTES = 0x4000;
/** Of MTIMER: comparators from its base on, and the counter behind them. */
export const MTIME_OFFSET = 0x7ff8;
const MTIMER_BYTES = 0x8000;

/** With IMSICs, harts interrupt each other by messages, and an ACLINT has no more than the timer (hw/riscv/virt.c). */
export function timerPlaces({ aclint, aia }: Pick<VirtOptions, "aclint" | "aia">): TimerPlaces {
  const { base, lengthBytes } = virtMap.clint;
  if (aclint && aia === "aplic-imsic") return { mtimer: { base, lengthBytes: MTIMER_BYTES } };
  return {
    mswi: { base, lengthBytes: MSWI_BYTES },
    mtimer: { base: base + MSWI_BYTES, lengthBytes: lengthBytes - MSWI_BYTES },
    ...(aclint ? { sswi: virtMap.aclintSswi } : {}),
  };
}

/** Where virtio-mmio slot `slot` is. */
export function virtioSlot(slot: number): MapEntry & { readonly irq: number } {
  const { base, lengthBytes } = virtMap.virtioMmio;
  return { base: base + slot * lengthBytes, lengthBytes, irq: virtIrq.virtioMmio + slot };
}
