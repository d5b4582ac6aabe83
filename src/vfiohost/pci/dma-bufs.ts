// BAR memory shared by descriptor, so that another device's DMA can reach it (drivers/vfio/pci/vfio_pci_dmabuf.c of
// Linux 7.2). While it cannot be reached, it is revoked.
import {
  DmaBuf,
  Errno,
  VfioDeviceFeatureDmaBuf,
  VfioDeviceFeatureFlag,
  VfioPciRegion,
  VfioRegionDmaRange,
} from "../../iommufd/index.ts";
import { checkFeature, type FeatureRequest } from "../check-feature.ts";
import type { DeviceCall } from "../device-call.ts";
import type { PciDriver } from "./pci-driver.ts";
import { mappableAreas } from "./regions.ts";

const PAGE = 4096n;
const TOP = 1n << 64n;
/** More than a kernel would copy at once. */
const MOST_RANGES = 0x1_0000;

interface Range {
  readonly offset: bigint;
  readonly length: bigint;
}

export class DmaBufs {
  readonly #driver: PciDriver;
  readonly #live = new Set<DmaBuf>();

  constructor(driver: PciDriver) {
    this.#driver = driver;
  }

  /** The feature: a descriptor, or a negative errno. */
  get(call: DeviceCall, request: FeatureRequest): number {
    const layout = VfioDeviceFeatureDmaBuf;
    const answer = checkFeature(request, VfioDeviceFeatureFlag.GET, layout.lengthBytes);
    if (answer !== undefined) return answer;
    const wanted = call.values(layout);
    if (typeof wanted === "number") return wanted;
    const { region_index: index, nr_ranges: count } = wanted;
    if (count === 0 || wanted.flags !== 0) return -Errno.EINVAL;
    const bar = index < VfioPciRegion.ROM ? this.#driver.pci.bar(index) : undefined;
    if (bar === undefined) return -Errno.ENODEV;
    const ranges = readRanges(call.inside(layout.lengthBytes), count);
    if (typeof ranges === "number") return ranges;
    const { memory } = this.#driver;
    if (memory.failAt("alloc")) return -Errno.ENOMEM;
    const parts: Uint8Array[] = [];
    for (const { offset, length } of ranges) {
      if (offset + length >= TOP) return -Errno.EOVERFLOW;
      const area = mappableAreas(bar).find(
        (a) => offset >= BigInt(a.at) && offset + length <= BigInt(a.at + a.bytes.length),
      );
      // Registers cannot be reached by DMA: they would not notice.
      if (area === undefined) return -Errno.EINVAL;
      const from = Number(offset) - area.at;
      parts.push(area.bytes.subarray(from, from + Number(length)));
    }
    return this.#install(call, parts);
  }

  #install(call: DeviceCall, parts: readonly Uint8Array[]): number {
    const { memory, memoryReachable } = this.#driver;
    if (memory.failAt("descriptor")) return -Errno.EMFILE;
    // Only one run of physical memory can be mapped by an IOMMU; several are refused there, and so nobody reads them.
    const single = parts.length === 1;
    const lengthBytes = parts.reduce((sum, part) => sum + part.length, 0);
    const buffer = new DmaBuf(memory, single ? parts[0]! : new Uint8Array(lengthBytes), single);
    buffer.revoked = !memoryReachable;
    const fd = call.caller.files.install(buffer);
    if (fd < 0) {
      buffer.release();
      return fd;
    }
    this.#live.add(buffer);
    buffer.onGone = () => this.#live.delete(buffer);
    return fd;
  }

  setRevoked(revoked: boolean): void {
    for (const buffer of this.#live) if (buffer.revoked !== revoked) buffer.setRevoked(revoked);
  }

  /** The device is closed: what was shared stays revoked for ever. */
  close(): void {
    this.setRevoked(true);
    this.#live.clear();
  }
}

function readRanges(call: DeviceCall, count: number): Range[] | number {
  const step = VfioRegionDmaRange.lengthBytes;
  if (count > MOST_RANGES) return -Errno.ENOMEM;
  const bytes = call.bytes(0, count * step);
  if (bytes === undefined) return -Errno.EFAULT;
  const ranges = Array.from({ length: count }, (_, i) => VfioRegionDmaRange.decode(bytes, i * step));
  const isWhole = ({ offset, length }: Range): boolean => length > 0n && offset % PAGE === 0n && length % PAGE === 0n;
  return ranges.every(isWhole) ? ranges : -Errno.EINVAL;
}
