// Base address registers as VFIO regions: reads and writes in the widest pieces that fit, and stretches that can be mapped.
// Behaviour: drivers/vfio/pci/vfio_pci_rdwr.c of Linux 7.2.
import { pciSpec, type BarPart, type PciBar, type PciFunction } from "../../device/pci/index.ts";
import { MemTx } from "../../memory/index.ts";
import {
  Errno,
  VfioRegionInfoCap,
  VfioRegionInfoCapSparseMmap,
  VfioRegionSparseMmapArea,
  type Caller,
} from "../../iommufd/index.ts";
import type { InfoCapability } from "../device-call.ts";
import type { MappableArea } from "../driver.ts";

const PAGE = 4096;
const { Command, Header, Msix } = pciSpec;

/** A range that reads ones and ignores writes: the MSI-X table is the host's. */
interface Excluded {
  readonly from: number;
  readonly to: number;
}

function excludedOf(pci: PciFunction, bar: PciBar): Excluded {
  const { msix } = pci;
  if (msix === undefined || msix.bar !== bar.index) return { from: 0, to: 0 };
  return { from: msix.tableOffset, to: msix.tableOffset + msix.vectorCount * Msix.entryBytes };
}

/** Copies between a BAR and the caller's memory; how many bytes, or a negative errno. */
export function accessBar(
  pci: PciFunction,
  bar: PciBar,
  access: {
    readonly caller: Caller;
    readonly at: number;
    readonly va: bigint;
    readonly lengthBytes: number;
    readonly write: boolean;
    /** False while memory decoding is off. */
    readonly memoryEnabled: boolean;
  },
): number {
  const { caller, at, va, write } = access;
  if (at >= bar.lengthBytes) return -Errno.EINVAL;
  const count = Math.min(access.lengthBytes, bar.lengthBytes - at);
  const excluded = excludedOf(pci, bar);
  const reachable = bar.kind === "memory" || (pci.config.read(Header.command, 2) & Command.io) !== 0;
  for (let done = 0; done < count;) {
    const from = at + done;
    const hidden = from >= excluded.from && from < excluded.to;
    // The table begins and ends on quadwords, so that no aligned access crosses them.
    const bytes = new Uint8Array(hidden ? Math.min(count - done, excluded.to - from) : widthFor(from, count - done));
    const target = va + BigInt(done);
    if (hidden) {
      if (!write && !caller.memory.write(target, bytes.fill(0xff))) return -Errno.EFAULT;
    } else {
      if (bar.kind === "memory" && !access.memoryEnabled) return -Errno.EIO;
      if (write && !caller.memory.read(target, bytes)) return -Errno.EFAULT;
      if (!reachable) bytes.fill(0xff);
      else if (write) writeBar(bar, from, bytes);
      else readBar(bar, from, bytes);
      if (!write && !caller.memory.write(target, bytes)) return -Errno.EFAULT;
    }
    done += bytes.length;
  }
  return count;
}

function widthFor(at: number, room: number): number {
  for (const width of [8, 4, 2]) if (room >= width && at % width === 0) return width;
  return 1;
}

/** What nothing answers reads ones. */
function readBar(bar: PciBar, at: number, into: Uint8Array): void {
  if (bar.read(at, into.length) !== MemTx.ok) {
    into.fill(0xff);
    return;
  }
  for (let i = 0; i < into.length; i++) into[i] = (i < 4 ? bar.low >>> (8 * i) : bar.high >>> (8 * (i - 4))) & 0xff;
}

function writeBar(bar: PciBar, at: number, from: Uint8Array): void {
  let low = 0;
  let high = 0;
  for (let i = 0; i < from.length; i++) {
    if (i < 4) low = (low | (from[i]! << (8 * i))) >>> 0;
    else high = (high | (from[i]! << (8 * (i - 4)))) >>> 0;
  }
  bar.write(at, from.length, low, high);
}

/** Whole pages of a part that has bytes. */
function areaOf(part: BarPart): MappableArea | undefined {
  if (part.bytes === undefined || part.at % PAGE !== 0) return undefined;
  const lengthBytes = Math.min(part.lengthBytes, part.bytes.length);
  const whole = lengthBytes - (lengthBytes % PAGE);
  return whole === 0 ? undefined : { at: part.at, bytes: part.bytes.subarray(0, whole) };
}

/** What can be mapped: registers cannot, since a mapping does not tell the device of accesses. */
export function mappableAreas(bar: PciBar): readonly MappableArea[] {
  if (bar.kind === "io" || bar.lengthBytes < PAGE) return [];
  return bar.parts.map(areaOf).filter((area) => area !== undefined);
}

export function sparseMmap(areas: readonly MappableArea[]): InfoCapability {
  const headBytes = VfioRegionInfoCapSparseMmap.lengthBytes;
  const step = VfioRegionSparseMmapArea.lengthBytes;
  const bytes = new Uint8Array(headBytes + areas.length * step);
  VfioRegionInfoCapSparseMmap.encode({ nr_areas: areas.length }, bytes);
  areas.forEach(({ at, bytes: { length } }, i) =>
    VfioRegionSparseMmapArea.encode({ offset: BigInt(at), size: BigInt(length) }, bytes, headBytes + i * step),
  );
  return { id: VfioRegionInfoCap.SPARSE_MMAP, version: 1, body: bytes.subarray(8) };
}

export const msixMappable: InfoCapability = {
  id: VfioRegionInfoCap.MSIX_MAPPABLE,
  version: 1,
  body: new Uint8Array(0),
};
