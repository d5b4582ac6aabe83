// The log of what a device writes: errno in the order of the kernel's checks, granules, ranges, reports that clear.
import { describe, expect, test } from "vitest";
import {
  Errno,
  VfioDeviceFeature,
  VfioDeviceFeatureDmaLoggingControl,
  VfioDeviceFeatureDmaLoggingRange,
  VfioDeviceFeatureDmaLoggingReport,
  VfioDeviceFeatureFlag,
  VfioFeature,
  VfioNr,
  VfioPciRegion,
  type VfioDeviceClient,
} from "../iommufd/index.ts";
import { config, MEMORY_BYTES, registers, vfioBench, type VfioBench } from "./test-bench.ts";

const { GET, SET, PROBE } = VfioDeviceFeatureFlag;
const { DMA_LOGGING_START, DMA_LOGGING_STOP, DMA_LOGGING_REPORT } = VfioFeature;
const RANGES_AT = 0x100;
const MEMORY = { start: 0n, last: 0x1f_ffffn };

/** A device with the first 2 MiB of memory mapped one to one, and a way to let it write. */
function logging(b: VfioBench) {
  const device = b.bound(b.add({ dmaLog: true }));
  const ioasId = b.iommufd.ioasAlloc();
  device.attach(ioasId);
  b.iommufd.map(0n, { ioasId, lengthBytes: 0x20_0000n, iova: 0n });
  config(device).set(4, 6, 2);
  const engine = registers(device, VfioPciRegion.BAR0);
  engine.set(0x08, 1);
  const write = (iova: number, lengthBytes: number): void => {
    engine.set(0x28, iova);
    engine.set(0x30, lengthBytes);
    engine.set(0x48, 2);
    b.timers.advanceByNs(1e6);
  };
  return { device, write };
}

/** Numbers of the pages that a report names. */
function pages(bitmap: Uint8Array): number[] {
  return [...bitmap].flatMap((byte, i) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((k) => (byte >> k) & 1).map((k) => 8 * i + k),
  );
}

function start(b: VfioBench, device: VfioDeviceClient, fields: object, ranges: readonly (readonly [bigint, bigint])[]) {
  ranges.forEach(([iova, length], i) =>
    VfioDeviceFeatureDmaLoggingRange.encode({ iova, length }, b.bytes, RANGES_AT + 16 * i),
  );
  const values = { page_size: 4096n, num_ranges: ranges.length, ranges: BigInt(RANGES_AT), ...fields };
  return device.attemptFeature(DMA_LOGGING_START, SET, VfioDeviceFeatureDmaLoggingControl, values);
}

describe("DMA_LOGGING_START", () => {
  test("a device without a log: ENOTTY for all three", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    for (const index of [DMA_LOGGING_START, DMA_LOGGING_STOP, DMA_LOGGING_REPORT]) {
      expect(device.attemptFeature(index, PROBE | SET).errno).toBe(Errno.ENOTTY);
      expect(device.hasFeature(index, "set")).toBe(false);
    }
    b.end();
  });

  test("method, length, argument, number of ranges, each range, then whether it runs", () => {
    const b = vfioBench();
    const { device } = logging(b);
    const page = [0x1000n, 0x1000n] as const;
    const errno = (fields: object, ranges: readonly (readonly [bigint, bigint])[]) =>
      start(b, device, fields, ranges).errno;
    expect(device.attemptFeature(DMA_LOGGING_START, GET).errno).toBe(Errno.EINVAL);
    expect(device.attemptFeature(DMA_LOGGING_START, SET, VfioDeviceFeature).errno).toBe(Errno.EINVAL);
    const at = MEMORY_BYTES - 16;
    VfioDeviceFeature.encode({ argsz: 32, flags: SET | DMA_LOGGING_START }, b.bytes, at);
    expect(b.ioctl(device.fd, VfioNr.DEVICE_FEATURE, at)).toBe(-Errno.EFAULT);
    expect(errno({}, [])).toBe(Errno.EINVAL);
    expect(errno({ num_ranges: 257, ranges: BigInt(MEMORY_BYTES) }, [])).toBe(Errno.E2BIG);
    expect(errno({ num_ranges: 1, ranges: BigInt(MEMORY_BYTES - 8) }, [])).toBe(Errno.EFAULT);
    expect(errno({}, [page, [0x2800n, 0x1000n]])).toBe(Errno.EINVAL);
    expect(errno({}, [page, [0x3000n, 0x800n]])).toBe(Errno.EINVAL);
    expect(errno({}, [[0xffff_ffff_ffff_f000n, 0x1000n]])).toBe(Errno.EOVERFLOW);
    expect(errno({}, [page, page])).toBe(Errno.EINVAL);
    b.host.failNext("log", 1);
    expect(errno({}, [page])).toBe(Errno.ENOMEM);
    expect(errno({}, [page])).toBe(0);
    expect(errno({}, [page])).toBe(Errno.EINVAL);
    expect(errno({}, [[0x2800n, 0x1000n]])).toBe(Errno.EINVAL);
    b.end();
  });

  test("the device says which page size it took", () => {
    const b = vfioBench();
    const { device } = logging(b);
    const took = (wanted: bigint): bigint => {
      const size = device.startDmaLog([{ start: 0n, last: 2n ** 40n - 1n }], wanted);
      device.stopDmaLog();
      return size;
    };
    expect([4096n, 65536n, 2n ** 30n].map(took)).toEqual([4096n, 65536n, 2n ** 21n]);
    // Ranges must fit what was asked for.
    expect(() => device.startDmaLog([{ start: 0n, last: 0xfffn }], 65536n)).toThrow("EINVAL: ranges overlap or miss");
    b.end();
  });

  test("a reply that cannot be written leaves the log off", () => {
    const b = vfioBench();
    const { device } = logging(b);
    b.host.failNext("reply", 1);
    expect(() => device.startDmaLog([MEMORY], 4096n)).toThrow("EFAULT");
    expect(() => device.reportDmaLog(0n, 0x1000n, 4096n)).toThrow("EINVAL: the log does not run");
    b.end();
  });
});

describe("reports", () => {
  test("name what was written since the last one, in the ranges alone", () => {
    const b = vfioBench();
    const { device, write } = logging(b);
    write(0x5000, 0x1000);
    device.startDmaLog(
      [
        { start: 0x1000n, last: 0x8fffn },
        { start: 0x10000n, last: 0x1ffffn },
      ],
      4096n,
    );
    write(0x2ffc, 8);
    write(0x0f00, 0x200);
    write(0x9000, 0x1000);
    write(0x11000, 0x3000);
    expect(pages(device.reportDmaLog(0n, 0x10000n, 4096n))).toEqual([1, 2, 3]);
    expect(pages(device.reportDmaLog(0n, 0x20000n, 4096n))).toEqual([0x11, 0x12, 0x13]);
    expect(pages(device.reportDmaLog(0n, 0x20000n, 4096n))).toEqual([]);
    b.end();
  });

  test("take any page size from 4 KiB: coarser ones join pages, finer ones than the log's are all set", () => {
    const b = vfioBench();
    const { device, write } = logging(b);
    device.startDmaLog([MEMORY], 4096n);
    write(0x21000, 4);
    expect(pages(device.reportDmaLog(0n, 0x40000n, 0x10000n))).toEqual([2]);
    device.stopDmaLog();
    device.startDmaLog([MEMORY], 0x4000n);
    write(0x21000, 4);
    expect(pages(device.reportDmaLog(0x20000n, 0x3000n, 4096n))).toEqual([0, 1, 2]);
    // A report clears what it touched, also the part of a page that it did not ask for.
    expect(pages(device.reportDmaLog(0x20000n, 0x4000n, 4096n))).toEqual([]);
    b.end();
  });

  test("only add to the caller's bitmap", () => {
    const b = vfioBench();
    const { device, write } = logging(b);
    device.startDmaLog([MEMORY], 4096n);
    write(0x1000, 4);
    b.bytes[0x30_0000] = 0x81;
    const report = { iova: 0n, length: 0x8000n, page_size: 4096n, bitmap: 0x30_0000n };
    device.attemptFeature(DMA_LOGGING_REPORT, GET, VfioDeviceFeatureDmaLoggingReport, report);
    expect(b.bytes[0x30_0000]).toBe(0x83);
    b.end();
  });

  test("method, length, argument, page size, wrap, then whether it runs", () => {
    const b = vfioBench();
    const { device } = logging(b);
    const report = (fields: object): number =>
      device.attemptFeature(DMA_LOGGING_REPORT, GET, VfioDeviceFeatureDmaLoggingReport, {
        iova: 0n,
        length: 0x1000n,
        page_size: 4096n,
        bitmap: 0x30_0000n,
        ...fields,
      }).errno;
    expect(device.attemptFeature(DMA_LOGGING_REPORT, SET).errno).toBe(Errno.EINVAL);
    expect(device.attemptFeature(DMA_LOGGING_REPORT, GET, VfioDeviceFeature).errno).toBe(Errno.EINVAL);
    const at = MEMORY_BYTES - 16;
    VfioDeviceFeature.encode({ argsz: 40, flags: GET | DMA_LOGGING_REPORT }, b.bytes, at);
    expect(b.ioctl(device.fd, VfioNr.DEVICE_FEATURE, at)).toBe(-Errno.EFAULT);
    expect(report({ page_size: 2048n })).toBe(Errno.EINVAL);
    expect(report({ page_size: 0x3000n })).toBe(Errno.EINVAL);
    expect(report({ iova: 0xffff_ffff_ffff_f000n })).toBe(Errno.EOVERFLOW);
    expect(report({})).toBe(Errno.EINVAL);
    device.startDmaLog([MEMORY], 4096n);
    b.host.failNext("log", 1);
    expect(report({})).toBe(Errno.EIO);
    expect(report({})).toBe(0);
    b.end();
  });

  test("STOP forgets, also when nothing runs; closing stops", () => {
    const b = vfioBench();
    const { device, write } = logging(b);
    device.stopDmaLog();
    expect(device.attemptFeature(DMA_LOGGING_STOP, GET).errno).toBe(Errno.EINVAL);
    device.startDmaLog([MEMORY], 4096n);
    write(0x1000, 4);
    device.stopDmaLog();
    device.startDmaLog([MEMORY], 4096n);
    expect(pages(device.reportDmaLog(0n, 0x10000n, 4096n))).toEqual([]);
    device.close();
    const again = b.bound(b.vfio.devices[0]!);
    expect(() => again.reportDmaLog(0n, 0x1000n, 4096n)).toThrow("EINVAL");
    b.end();
  });

  test("the log runs in every state and over a reset", () => {
    const b = vfioBench();
    const { device, write } = logging(b);
    device.startDmaLog([MEMORY], 4096n);
    write(0x3000, 4);
    device.reset();
    expect(pages(device.reportDmaLog(0n, 0x10000n, 4096n))).toEqual([3]);
    b.end();
  });
});
