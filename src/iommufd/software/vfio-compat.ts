// VFIO's type 1 container calls on the same descriptor; they work on the context's compatibility IOAS.
import type { Caller } from "../port.ts";
import {
  Errno,
  ioctlCommand,
  VFIO_API_VERSION,
  VfioDmaMapFlag,
  VfioDmaUnmapFlag,
  VfioExtension,
  VfioIommuCap,
  VfioIommuInfoFlag,
  VfioIommuType1DmaMap,
  VfioIommuType1DmaUnmap,
  VfioIommuType1Info,
  VfioIommuType1InfoCapIovaRange,
  VfioIommuType1InfoDmaAvail,
  VfioIovaRange,
  VfioNr,
} from "../uapi/index.ts";
import type { IommufdContext } from "./context.ts";
import { mapUserMemory } from "./ioas-calls.ts";
import type { Ioas } from "./ioas.ts";
import { holes, TOP } from "./iova-allocator.ts";

const PAGE = 4096n;

export function vfioCompatIoctl(context: IommufdContext, caller: Caller, command: number, argument: bigint): number {
  switch (command) {
    case ioctlCommand(VfioNr.GET_API_VERSION):
      return VFIO_API_VERSION;
    case ioctlCommand(VfioNr.CHECK_EXTENSION):
      return checkExtension(context, argument);
    case ioctlCommand(VfioNr.SET_IOMMU):
      return setIommu(context, argument);
    case ioctlCommand(VfioNr.IOMMU_GET_INFO):
      return getInfo(context, caller, argument);
    case ioctlCommand(VfioNr.IOMMU_MAP_DMA):
      return mapDma(context, caller, argument);
    case ioctlCommand(VfioNr.IOMMU_UNMAP_DMA):
      return unmapDma(context, caller, argument);
    default:
      return -Errno.ENOTTY;
  }
}

function checkExtension(context: IommufdContext, extension: bigint): number {
  // All 64 bits count; what is past the small numbers is no extension.
  switch (Number(extension)) {
    case VfioExtension.TYPE1_IOMMU:
    case VfioExtension.TYPE1v2_IOMMU:
    case VfioExtension.UNMAP_ALL:
      return 1;
    case VfioExtension.DMA_CC_IOMMU:
      if (context.vfioIoas === undefined) return -Errno.ENODEV;
      return context.vfioIoas.hwpts.every((h) => h.domain!.enforcesCoherency) ? 1 : 0;
    default:
      return 0;
  }
}

function setIommu(context: IommufdContext, type: bigint): number {
  const isType1 = type === BigInt(VfioExtension.TYPE1_IOMMU);
  if (!isType1 && type !== BigInt(VfioExtension.TYPE1v2_IOMMU)) return -Errno.EINVAL;
  if (context.vfioIoas === undefined) return -Errno.ENODEV;
  // Version 1 may unmap the middle of a mapping, which large pages would forbid.
  return isType1 ? context.vfioIoas.space.setLargePages(false) : 0;
}

function pageSizes(ioas: Ioas): bigint {
  let sizes = TOP;
  for (const domain of ioas.space.domains) sizes &= domain.pageSizes;
  if ((sizes & (PAGE - 1n)) !== 0n) sizes = (sizes & ~(PAGE - 1n)) | PAGE;
  return sizes > ioas.space.iovaAlignment ? sizes : ioas.space.iovaAlignment;
}

/** The structure, then its capabilities one after the other, as far as the caller has room for whole ones. */
function getInfo(context: IommufdContext, caller: Caller, argument: bigint): number {
  const minBytes = 16;
  const info = new Uint8Array(VfioIommuType1Info.lengthBytes);
  if (!caller.memory.read(argument, info.subarray(0, minBytes))) return -Errno.EFAULT;
  const { argsz } = VfioIommuType1Info.decode(info);
  if (argsz < minBytes) return -Errno.EINVAL;
  const ioas = context.vfioIoas;
  if (ioas === undefined) return -Errno.ENODEV;

  const capabilities: Uint8Array[] = [dmaAvail(), iovaRanges(ioas)];
  let total = info.length;
  let previous = -1;
  for (const capability of capabilities) {
    if (argsz > total && argsz - total >= capability.length) {
      if (!caller.memory.write(argument + BigInt(total), capability)) return -Errno.EFAULT;
    }
    if (previous >= 0 && argsz >= total) {
      const next = new Uint8Array(4);
      new DataView(next.buffer).setUint32(0, total, true);
      if (!caller.memory.write(argument + BigInt(previous + 4), next)) return -Errno.EFAULT;
    }
    previous = total;
    total += (capability.length + 7) & ~7;
  }
  VfioIommuType1Info.encode(
    {
      argsz: total,
      flags: VfioIommuInfoFlag.PGSIZES | VfioIommuInfoFlag.CAPS,
      iova_pgsizes: pageSizes(ioas),
      cap_offset: argsz >= total ? info.length : 0,
    },
    info,
  );
  return caller.memory.write(argument, info.subarray(0, Math.min(argsz, info.length))) ? 0 : -Errno.EFAULT;
}

function dmaAvail(): Uint8Array {
  return VfioIommuType1InfoDmaAvail.encode({ id: VfioIommuCap.DMA_AVAIL, version: 1, avail: 0xffff_ffff });
}

function iovaRanges(ioas: Ioas): Uint8Array {
  const found = [...holes(ioas.space.reserved, 0n, TOP)];
  const headBytes = VfioIommuType1InfoCapIovaRange.lengthBytes;
  const bytes = new Uint8Array(headBytes + found.length * VfioIovaRange.lengthBytes);
  VfioIommuType1InfoCapIovaRange.encode({ id: VfioIommuCap.IOVA_RANGE, version: 1, nr_iovas: found.length }, bytes);
  found.forEach((hole, i) =>
    VfioIovaRange.encode({ start: hole.first, end: hole.last }, bytes, headBytes + i * VfioIovaRange.lengthBytes),
  );
  return bytes;
}

function mapDma(context: IommufdContext, caller: Caller, argument: bigint): number {
  const bytes = new Uint8Array(VfioIommuType1DmaMap.lengthBytes);
  if (!caller.memory.read(argument, bytes)) return -Errno.EFAULT;
  const map = VfioIommuType1DmaMap.decode(bytes);
  const known = VfioDmaMapFlag.READ | VfioDmaMapFlag.WRITE;
  if (map.argsz < bytes.length || (map.flags & ~known) !== 0) return -Errno.EINVAL;
  const ioas = context.vfioIoas;
  if (ioas === undefined) return -Errno.ENODEV;
  const readable = (map.flags & VfioDmaMapFlag.READ) !== 0;
  const writable = (map.flags & VfioDmaMapFlag.WRITE) !== 0;
  const iova = mapUserMemory(context, caller, ioas, map.vaddr, map.size, map.iova, readable, writable);
  return typeof iova === "number" ? iova : 0;
}

function unmapDma(context: IommufdContext, caller: Caller, argument: bigint): number {
  const bytes = new Uint8Array(VfioIommuType1DmaUnmap.lengthBytes);
  if (!caller.memory.read(argument, bytes)) return -Errno.EFAULT;
  const unmap = VfioIommuType1DmaUnmap.decode(bytes);
  if (unmap.argsz < bytes.length || (unmap.flags & ~VfioDmaUnmapFlag.ALL) !== 0) return -Errno.EINVAL;
  const ioas = context.vfioIoas;
  if (ioas === undefined) return -Errno.ENODEV;
  let result: { readonly unmapped: bigint; readonly rc: number };
  if ((unmap.flags & VfioDmaUnmapFlag.ALL) !== 0) {
    if (unmap.iova !== 0n || unmap.size !== 0n) return -Errno.EINVAL;
    result = ioas.space.unmap(0n, TOP);
  } else {
    const last = BigInt.asUintN(64, unmap.iova + unmap.size - 1n);
    if (ioas.space.largePagesOff) {
      const rc = ioas.space.cut(unmap.iova === 0n ? [last] : [last, unmap.iova - 1n]);
      if (rc < 0) return rc;
    }
    if (unmap.size === 0n) result = { unmapped: 0n, rc: -Errno.EINVAL };
    else if (unmap.iova + unmap.size - 1n > TOP) result = { unmapped: 0n, rc: -Errno.EOVERFLOW };
    else result = ioas.space.unmap(unmap.iova, last);
  }
  unmap.size = result.unmapped;
  return caller.memory.write(argument, VfioIommuType1DmaUnmap.encode(unmap)) ? result.rc : -Errno.EFAULT;
}
