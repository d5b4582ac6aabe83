// BAR memory shared by descriptor: errno in the order of the kernel's checks, peer-to-peer DMA, and revocation.
import { describe, expect, test } from "vitest";
import {
  Errno,
  VfioDeviceFeature,
  VfioDeviceFeatureDmaBuf,
  VfioDeviceFeatureFlag,
  VfioFeature,
  VfioNr,
  VfioPciRegion,
  VfioRegionDmaRange,
  type VfioDeviceClient,
} from "../iommufd/index.ts";
import { config, MEMORY_BYTES, RAW_AT, registers, vfioBench, type VfioBench } from "./test-bench.ts";

const { GET, SET, PROBE } = VfioDeviceFeatureFlag;
/** Where the peer's memory is mapped. */
const PEER = 0x1000_0000n;

function fill(b: VfioBench, device: VfioDeviceClient, iova: bigint, pattern: number): number {
  const engine = registers(device, VfioPciRegion.BAR0);
  engine.set(0x08, 1);
  engine.set(0x28, Number(iova));
  engine.set(0x30, 16);
  engine.set(0x34, pattern);
  engine.set(0x48, 2);
  b.timers.advanceByNs(1e6);
  return engine.get(0x0c);
}

/** A device that can write into another's memory. */
function peers(b: VfioBench) {
  const [device, peer] = [b.bound(b.add()), b.bound(b.add())];
  const ioasId = b.iommufd.ioasAlloc();
  device.attach(ioasId);
  config(device).set(4, 6, 2);
  const memory = peer.region(VfioPciRegion.BAR2);
  const fd = peer.exportDmaBuf(memory, 0x2000n, 0x2000n);
  const map = (): bigint => b.iommufd.mapFile(fd, 0n, { ioasId, lengthBytes: 0x2000n, iova: PEER });
  return { device, peer, ioasId, fd, map, bar2: registers(peer, VfioPciRegion.BAR2) };
}

describe("DMA_BUF", () => {
  test("method, length, argument, ranges, region, place", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const get = (fields: object, ranges: readonly (readonly [bigint, bigint])[] = [[0x1000n, 0x1000n]]): number => {
      const at = RAW_AT + 24;
      ranges.forEach(([offset, length], i) => VfioRegionDmaRange.encode({ offset, length }, b.bytes, at + 16 * i));
      const request = { region_index: 2, nr_ranges: ranges.length, ...fields };
      const payload = VfioDeviceFeatureDmaBuf.encode(request);
      b.bytes.set(payload, RAW_AT + 8);
      VfioDeviceFeature.encode({ argsz: 24, flags: GET | VfioFeature.DMA_BUF }, b.bytes, RAW_AT);
      return b.ioctl(device.fd, VfioNr.DEVICE_FEATURE);
    };
    expect(device.attemptFeature(VfioFeature.DMA_BUF, SET).errno).toBe(Errno.EINVAL);
    expect(device.attemptFeature(VfioFeature.DMA_BUF, PROBE | GET).errno).toBe(0);
    expect(device.attemptFeature(VfioFeature.DMA_BUF, GET).errno).toBe(Errno.EINVAL);
    const end = MEMORY_BYTES - 16;
    VfioDeviceFeature.encode({ argsz: 24, flags: GET | VfioFeature.DMA_BUF }, b.bytes, end);
    expect(b.ioctl(device.fd, VfioNr.DEVICE_FEATURE, end)).toBe(-Errno.EFAULT);
    expect(get({}, [])).toBe(-Errno.EINVAL);
    expect(get({ flags: 1 })).toBe(-Errno.EINVAL);
    for (const index of [1, 6, 7, 99]) expect(get({ region_index: index })).toBe(-Errno.ENODEV);
    expect(get({ nr_ranges: 0x1_0000 })).toBe(-Errno.EFAULT);
    expect(get({ nr_ranges: 0xffff_ffff })).toBe(-Errno.ENOMEM);
    expect(get({}, [[0x1000n, 0n]])).toBe(-Errno.EINVAL);
    expect(get({}, [[0x1800n, 0x1000n]])).toBe(-Errno.EINVAL);
    expect(get({}, [[0x1000n, 0x1800n]])).toBe(-Errno.EINVAL);
    expect(get({}, [[0xffff_ffff_ffff_f000n, 0x1000n]])).toBe(-Errno.EOVERFLOW);
    expect(get({}, [[0x1_0000n, 0x1000n]])).toBe(-Errno.EINVAL);
    // The doorbell page, and registers.
    expect(get({}, [[0n, 0x1000n]])).toBe(-Errno.EINVAL);
    expect(get({ region_index: 0 }, [[0n, 0x1000n]])).toBe(-Errno.EINVAL);
    b.host.failNext("descriptor", 1);
    expect(get({})).toBe(-Errno.EMFILE);
    expect(get({})).toBeGreaterThan(0);
    b.end();
  });

  test("another device's DMA reaches the memory through an IOAS", () => {
    const b = vfioBench();
    const { device, map, bar2 } = peers(b);
    map();
    expect(fill(b, device, PEER + 0x1000n, 0x55aa_55aa)).toBe(0);
    expect(bar2.get(0x3000)).toBe(0x55aa_55aa);
    expect(b.vfio.faults).toEqual([]);
    b.end();
  });

  test("several ranges make one buffer, which no IOMMU maps", () => {
    const b = vfioBench();
    const { device, ioasId } = peers(b);
    VfioRegionDmaRange.encode({ offset: 0x1000n, length: 0x1000n }, b.bytes, RAW_AT + 24);
    VfioRegionDmaRange.encode({ offset: 0x4000n, length: 0x1000n }, b.bytes, RAW_AT + 40);
    VfioDeviceFeature.encode({ argsz: 24, flags: GET | VfioFeature.DMA_BUF }, b.bytes, RAW_AT);
    b.bytes.set(VfioDeviceFeatureDmaBuf.encode({ region_index: 2, nr_ranges: 2 }), RAW_AT + 8);
    const fd = b.ioctl(device.fd, VfioNr.DEVICE_FEATURE);
    expect(() => b.iommufd.mapFile(fd, 0n, { ioasId, lengthBytes: 0x2000n })).toThrow("EOPNOTSUPP");
    b.end();
  });

  test.for([
    ["memory decoding off", (peer: VfioDeviceClient) => config(peer).set(4, 0, 2)],
    ["D3", (peer: VfioDeviceClient) => config(peer).set(0x44, 3, 2)],
    ["low power", (peer: VfioDeviceClient) => peer.enterLowPower()],
    ["a reset", (peer: VfioDeviceClient) => peer.reset()],
    ["closing", (peer: VfioDeviceClient) => peer.close()],
  ] as const)("%s takes the mapping away; DMA then faults", ([name, stop]) => {
    const b = vfioBench();
    const { device, peer, map, ioasId } = peers(b);
    map();
    stop(peer);
    expect(fill(b, device, PEER, 1) & 2).toBe(2);
    expect(b.vfio.faults).toMatchObject([{ iova: PEER, write: true, reason: "unmapped" }]);
    // The area stays, and is put in place again by unmapping and mapping.
    expect(b.iommufd.unmap(ioasId, PEER, 0x2000n)).toBe(0x2000n);
    if (name === "a reset") map();
    else expect(map).toThrow("ENODEV");
    b.end();
  });

  test("what was taken away can be mapped again once memory is back", () => {
    const b = vfioBench();
    const { device, peer, map, ioasId } = peers(b);
    config(peer).set(4, 0, 2);
    expect(map).toThrow("ENODEV");
    const late = peer.exportDmaBuf(peer.region(VfioPciRegion.BAR2), 0x4000n, 0x1000n);
    const mapLate = (): bigint => b.iommufd.mapFile(late, 0n, { ioasId, lengthBytes: 0x1000n });
    expect(mapLate).toThrow("ENODEV");
    config(peer).set(4, 2, 2);
    mapLate();
    map();
    expect(fill(b, device, PEER, 7)).toBe(0);
    b.end();
  });

  test("a descriptor that is closed while it is mapped keeps the memory shared", () => {
    const b = vfioBench();
    const { device, fd, map, bar2 } = peers(b);
    map();
    b.session.close(fd);
    expect(fill(b, device, PEER, 0x99)).toBe(0);
    expect(bar2.get(0x2000)).toBe(0x99);
    b.end();
  });
});
