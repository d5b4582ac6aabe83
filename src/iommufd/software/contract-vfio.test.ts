// The VFIO type 1 calls on /dev/iommu, and access objects: their errno in the kernel's order.
import { describe, expect, test } from "vitest";
import {
  Errno,
  ioctlCommand,
  VfioExtension,
  VfioIommuType1DmaMap,
  VfioIommuType1DmaUnmap,
  VfioIommuType1Info,
  VfioIovaRange,
  VfioNr,
} from "../uapi/index.ts";
import { Access } from "./access.ts";
import { testBench, type TestBench } from "./test-bench.ts";

const AT = 0x1000;
const TOP = 0xffff_ffff_ffff_ffffn;

function vfio(b: TestBench, nr: number, argument: bigint = BigInt(AT)): number {
  return b.session.ioctl(b.client.fd, ioctlCommand(nr), argument);
}

function mapDma(b: TestBench, fields: object): number {
  VfioIommuType1DmaMap.encode({ argsz: 32, flags: 3, size: 0x4000n, ...fields }, b.bytes, AT);
  return vfio(b, VfioNr.IOMMU_MAP_DMA);
}

function unmapDma(b: TestBench, fields: object): { readonly result: number; readonly size: bigint } {
  VfioIommuType1DmaUnmap.encode({ argsz: 24, ...fields }, b.bytes, AT);
  const result = vfio(b, VfioNr.IOMMU_UNMAP_DMA);
  return { result, size: VfioIommuType1DmaUnmap.decode(b.bytes, AT).size };
}

function withCompatIoas(): { readonly b: TestBench; readonly ioasId: number } {
  const b = testBench();
  const ioasId = b.client.ioasAlloc();
  b.client.setVfioIoas(ioasId);
  return { b, ioasId };
}

describe("type 1 calls", () => {
  test("without a compatibility IOAS: extensions answer, the rest is ENODEV after its own checks", () => {
    const b = testBench();
    expect(vfio(b, VfioNr.GET_API_VERSION, 0n)).toBe(0);
    const extension = (n: number): number => vfio(b, VfioNr.CHECK_EXTENSION, BigInt(n));
    expect(extension(VfioExtension.TYPE1_IOMMU)).toBe(1);
    expect(extension(VfioExtension.TYPE1v2_IOMMU)).toBe(1);
    expect(extension(VfioExtension.UNMAP_ALL)).toBe(1);
    expect(extension(VfioExtension.UPDATE_VADDR)).toBe(0);
    expect(extension(VfioExtension.DMA_CC_IOMMU)).toBe(-Errno.ENODEV);
    expect(vfio(b, VfioNr.SET_IOMMU, 2n)).toBe(-Errno.EINVAL);
    expect(vfio(b, VfioNr.SET_IOMMU, 1n)).toBe(-Errno.ENODEV);
    expect(mapDma(b, { argsz: 31 })).toBe(-Errno.EINVAL);
    expect(mapDma(b, { flags: 4 })).toBe(-Errno.EINVAL);
    expect(mapDma(b, {})).toBe(-Errno.ENODEV);
    expect(unmapDma(b, { flags: 1 }).result).toBe(-Errno.EINVAL);
    expect(unmapDma(b, { size: 1n }).result).toBe(-Errno.ENODEV);
    expect(vfio(b, VfioNr.IOMMU_DIRTY_PAGES)).toBe(-Errno.ENOTTY);
  });

  test("unmapping nothing is success of size 0; ALL wants an empty range", () => {
    const { b } = withCompatIoas();
    expect(unmapDma(b, { iova: 0x1000n, size: 0x1000n })).toEqual({ result: 0, size: 0n });
    expect(unmapDma(b, { flags: 2, size: 1n }).result).toBe(-Errno.EINVAL);
    mapDma(b, { iova: 0x1_0000n });
    expect(unmapDma(b, { flags: 2 })).toEqual({ result: 0, size: 0x4000n });
  });

  test("version 2 refuses to unmap the middle of a mapping, version 1 cuts it out", () => {
    const { b, ioasId } = withCompatIoas();
    expect(vfio(b, VfioNr.SET_IOMMU, 3n)).toBe(0);
    mapDma(b, { iova: 0x1_0000n });
    expect(unmapDma(b, { iova: 0x1_1000n, size: 0x1000n }).result).toBe(-Errno.ENOENT);
    b.client.unmapAll(ioasId);
    expect(vfio(b, VfioNr.SET_IOMMU, 1n)).toBe(0);
    b.mockDevice(ioasId);
    mapDma(b, { iova: 0x100_0000n });
    expect(b.host.audit().pinnedPages).toBe(4);
    expect(unmapDma(b, { iova: 0x100_1000n, size: 0x1000n })).toEqual({ result: 0, size: 0x1000n });
    expect(b.host.audit().pinnedPages).toBe(3);
    expect(b.client.unmapAll(ioasId)).toBe(0x3000n);
    expect(b.host.audit().pinnedPages).toBe(0);
  });

  test("GET_INFO grows by argsz and writes no byte past it", () => {
    const { b } = withCompatIoas();
    const info = (argsz: number): ReturnType<typeof VfioIommuType1Info.decode> & { result: number } => {
      b.bytes.fill(0xaa, AT, AT + 256);
      VfioIommuType1Info.encode({ argsz }, b.bytes, AT);
      b.bytes.fill(0xaa, AT + argsz, AT + 256);
      const result = vfio(b, VfioNr.IOMMU_GET_INFO);
      return { result, ...VfioIommuType1Info.decode(b.bytes, AT) };
    };
    expect(info(15).result).toBe(-Errno.EINVAL);
    const small = info(24);
    expect([small.result, small.argsz, small.cap_offset, small.flags]).toEqual([0, 72, 0, 3]);
    expect(b.bytes[AT + 24]).toBe(0xaa);
    const full = info(72);
    expect([full.argsz, full.cap_offset]).toEqual([72, 24]);
    expect(VfioIovaRange.decode(b.bytes, AT + 56)).toEqual({ start: 0n, end: TOP });
    expect(b.bytes[AT + 72]).toBe(0xaa);
  });
});

describe("access objects", () => {
  const pinning = { pinsPages: true, onUnmap: (): void => {} };

  test("pin: length, wrap, not attached, hole, alignment, rights, memory, in this order", () => {
    const b = testBench();
    const ioasId = b.client.ioasAlloc();
    const access = Access.create(b.context, pinning) as Access;
    expect(access.pin(0n, 0n, false)).toBe(-Errno.EINVAL);
    expect(access.pin(TOP, 2n, false)).toBe(-Errno.EOVERFLOW);
    expect(access.pin(0x1000n, 0x1000n, false)).toBe(-Errno.ENOENT);
    expect(access.attach(99)).toBe(-Errno.ENOENT);
    expect(access.attach(ioasId)).toBe(0);
    expect(access.pin(0x1000n, 0x1000n, false)).toBe(-Errno.ENOENT);
    b.client.map(0x2000n, { ioasId, lengthBytes: 0x2000n, iova: 0x1000n, writable: false });
    b.client.map(0x4000_0000n, { ioasId, lengthBytes: 0x1000n, iova: 0x8000n });
    expect(access.pin(0x1800n, 0x1000n, false)).toBe(-Errno.EINVAL);
    expect(access.pin(0x1000n, 0x1000n, true)).toBe(-Errno.EPERM);
    expect(access.pin(0x8000n, 0x1000n, true)).toBe(-Errno.EFAULT);
    expect(access.pin(0x2000n, 0x2000n, false)).toBe(-Errno.ENOENT);
    expect(b.host.audit().pinnedPages).toBe(0);
    expect(access.pin(0x1000n, 0x2000n, false)).toHaveLength(2);
    access.unpin(0x1000n, 0x2000n);
    access.close();
  });

  test("copy reaches any byte and honours the mapping's rights", () => {
    const b = testBench();
    const ioasId = b.client.ioasAlloc();
    const access = Access.create(b.context, { ...pinning, pinsPages: false }) as Access;
    access.attach(ioasId);
    b.client.map(0x2ffdn, { ioasId, lengthBytes: 8n, iova: 0x1ffdn, writable: false });
    b.bytes.set([1, 2, 3, 4, 5, 6, 7, 8], 0x2ffd);
    const data = new Uint8Array(6);
    expect(access.copy(undefined, 0x1ffen, data, false, true)).toBe(0);
    expect([...data]).toEqual([2, 3, 4, 5, 6, 7]);
    expect(access.copy(b.caller, 0x1ffen, data, true, false)).toBe(-Errno.EPERM);
    expect(access.copy(b.caller, 0x2000n, data, false, false)).toBe(-Errno.ENOENT);
    access.close();
  });
});
