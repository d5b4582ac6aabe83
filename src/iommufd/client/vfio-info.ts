// What a device says of itself, taken out of the structures and the chains of capabilities behind them.
import { viewOf } from "../../base/index.ts";
import {
  VfioDeviceInfoCap,
  VfioInfoCapHeader,
  VfioRegionInfoCap,
  VfioRegionInfoCapSparseMmap,
  VfioRegionInfoFlag,
  VfioRegionSparseMmapArea,
  type VfioRegionInfo,
} from "../uapi/index.ts";

export interface VfioDeviceFacts {
  /** Bits of `VfioDeviceFlag`. */
  readonly flags: number;
  readonly regionCount: number;
  readonly irqCount: number;
  /** Bits of `VfioPciAtomicComp`: widths of atomic operations that the device completes. */
  readonly atomicCompletion: number;
}

export interface VfioRegionArea {
  /** Byte offset in the region. */
  readonly offset: bigint;
  readonly lengthBytes: bigint;
}

export interface VfioRegion {
  readonly index: number;
  readonly lengthBytes: bigint;
  /** Where the region begins in the device's file. */
  readonly offset: bigint;
  readonly readable: boolean;
  readonly writable: boolean;
  /** What can be mapped; empty when nothing can. */
  readonly mappable: readonly VfioRegionArea[];
  /** The MSI-X table lies in what can be mapped. */
  readonly msixMappable: boolean;
}

export interface VfioIrq {
  readonly index: number;
  readonly count: number;
  /** Bits of `VfioIrqInfoFlag`. */
  readonly flags: number;
}

/** Visits a chain that begins `at` bytes into `answer`; ends at its end or where it leaves the answer. */
export function eachCapability(answer: Uint8Array, at: number, visit: (id: number, at: number) => void): void {
  const seen = new Set<number>();
  for (let next = at; next !== 0 && next + VfioInfoCapHeader.lengthBytes <= answer.length && !seen.has(next);) {
    seen.add(next);
    const header = VfioInfoCapHeader.decode(answer, next);
    visit(header.id, next);
    next = header.next;
  }
}

export function atomicCompletionOf(answer: Uint8Array, at: number): number {
  let flags = 0;
  eachCapability(answer, at, (id, from) => {
    if (id === VfioDeviceInfoCap.PCI_ATOMIC_COMP) flags = viewOf(answer).getUint32(from + 8, true);
  });
  return flags;
}

export function regionOf(info: ReturnType<typeof VfioRegionInfo.decode>, answer: Uint8Array): VfioRegion {
  const { index, flags, size, offset, cap_offset: capabilities } = info;
  let areas: VfioRegionArea[] | undefined;
  let msixMappable = false;
  const hasChain = (flags & VfioRegionInfoFlag.CAPS) !== 0;
  eachCapability(answer, hasChain ? capabilities : 0, (id, at) => {
    if (id === VfioRegionInfoCap.MSIX_MAPPABLE) msixMappable = true;
    if (id === VfioRegionInfoCap.SPARSE_MMAP) areas = sparseAreas(answer, at);
  });
  const canMap = (flags & VfioRegionInfoFlag.MMAP) !== 0;
  return {
    index,
    lengthBytes: size,
    offset,
    readable: (flags & VfioRegionInfoFlag.READ) !== 0,
    writable: (flags & VfioRegionInfoFlag.WRITE) !== 0,
    mappable: canMap ? (areas ?? [{ offset: 0n, lengthBytes: size }]) : [],
    msixMappable,
  };
}

function sparseAreas(answer: Uint8Array, at: number): VfioRegionArea[] {
  const { nr_areas: count } = VfioRegionInfoCapSparseMmap.decode(answer, at);
  return Array.from({ length: count }, (_, i) => {
    const from = at + VfioRegionInfoCapSparseMmap.lengthBytes + i * VfioRegionSparseMmapArea.lengthBytes;
    const { offset, size } = VfioRegionSparseMmapArea.decode(answer, from);
    return { offset, lengthBytes: size };
  });
}
