// What a driver in user space does, start to end: one IOAS, map, unmap, ranges, copy; a device that moves data and
// interrupts. The same steps as a program of the kernel's own interface takes them.
import { describe, expect, test } from "vitest";
import { dmaEngine } from "../device/dma-engine/index.ts";
import { Errno, VfioDeviceState, VfioPciIrq, VfioPciRegion, type VfioDeviceClient } from "../iommufd/index.ts";
import { config, registers, vfioBench, type VfioBench } from "./test-bench.ts";

const { Register: R, Opcode, Status, Cause, FaultCause } = dmaEngine;

/** A driver of the DMA engine. */
function driverOf(b: VfioBench, device: VfioDeviceClient) {
  config(device).set(4, 6, 2);
  const engine = registers(device, VfioPciRegion.BAR0);
  const done = b.eventFd();
  device.setIrqs({ index: VfioPciIrq.MSIX, action: "trigger", eventFds: [done.fd] });
  engine.set(R.control, 1);
  engine.set(R.interruptEnable, Cause.done | Cause.fault);
  return {
    engine,
    done: done.event,
    copy(source: bigint, destination: bigint, lengthBytes: number): void {
      engine.set(R.sourceLow, Number(source & 0xffff_ffffn));
      engine.set(R.sourceHigh, Number(source >> 32n));
      engine.set(R.destinationLow, Number(destination & 0xffff_ffffn));
      engine.set(R.destinationHigh, Number(destination >> 32n));
      engine.set(R.length, lengthBytes);
      engine.set(R.command, Opcode.copy);
      b.timers.advanceByNs(1e7);
    },
  };
}

describe("the simple API", () => {
  test.for(["vtd-ssads", "vtd", "amd", "smmuv3", "smmuv3-httu", "riscv", "riscv-hwad"])(
    "behind %s: bind, attach, ranges, map, DMA, interrupt, copy, unmap, detach",
    (profile) => {
      const b = vfioBench();
      const device = b.open(b.add({}, profile));
      device.bind(b.iommufd.fd);
      const ioasId = b.iommufd.ioasAlloc();
      device.attach(ioasId);
      const { ranges, alignment } = b.iommufd.iovaRanges(ioasId);
      expect(alignment).toBe(4096n);
      const { start } = ranges[0]!;
      const driver = driverOf(b, device);

      // Where the driver wants it, and where the host chooses.
      const source = b.iommufd.map(0x1_0000n, { ioasId, lengthBytes: 0x4000n, iova: start + 0x10_0000n });
      const target = b.iommufd.map(0x8_0000n, { ioasId, lengthBytes: 0x4000n });
      b.bytes.set(
        Uint8Array.from({ length: 0x4000 }, (_, i) => i * 7),
        0x1_0000,
      );
      driver.copy(source, target, 0x4000);
      expect(driver.done.take()).toBe(1n);
      expect(driver.engine.get(R.status)).toBe(0);
      expect(b.bytes.subarray(0x8_0000, 0x8_4000)).toEqual(b.bytes.subarray(0x1_0000, 0x1_4000));

      // The same pages once more, through another IOVA.
      const other = b.iommufd.copy(ioasId, source, { ioasId, lengthBytes: 0x1000n });
      expect(b.host.audit().pinnedPages).toBe(8);
      b.bytes[0x1_0000] = 0xee;
      driver.copy(other, target, 1);
      expect(b.bytes[0x8_0000]).toBe(0xee);

      // Gone is gone: the engine faults where it was told to read, and says so.
      b.iommufd.unmap(ioasId, source, 0x4000n);
      driver.done.take();
      driver.copy(source, target, 0x10);
      expect(driver.done.take()).toBe(1n);
      expect(driver.engine.get(R.status)).toBe(Status.fault.mask);
      expect(driver.engine.get(R.faultCause)).toBe(FaultCause.unmapped);
      expect(b.vfio.faults).toEqual([
        { device: "0000:01:00.0", iova: source, pasid: 0, write: false, reason: "unmapped" },
      ]);
      expect(b.iommufd.unmapAll(ioasId)).toBe(0x5000n);
      device.detach();
      b.iommufd.destroy(ioasId);
      b.end();
    },
  );

  test("sudden close in the middle of everything leaves nothing", () => {
    const b = vfioBench();
    const device = b.bound(b.add({ migration: ["stop-copy", "p2p", "pre-copy"], dmaLog: true }));
    const ioasId = b.iommufd.ioasAlloc();
    device.attach(ioasId);
    b.iommufd.map(0n, { ioasId, lengthBytes: 0x10_0000n, iova: 0n });
    const driver = driverOf(b, device);
    driver.engine.set(R.repeat, 0xffff_ffff);
    driver.engine.set(R.rate, 1);
    device.startDmaLog([{ start: 0n, last: 0xf_ffffn }], 4096n);
    driver.copy(0n, 0x8_0000n, 0x1000);
    device.setDeviceState(VfioDeviceState.PRE_COPY);
    const mapping = device.map(device.region(VfioPciRegion.BAR2), 0x1000n, 0x1000);
    b.caller.files.closeAll();
    // The mapping outlives the descriptor, as it does with the kernel.
    expect(b.vfio.audit()).toMatchObject({ boundDevices: 1, mappings: 1, dataFiles: 0 });
    mapping.release();
    b.end();
  });

  test("two devices in one IOAS see the same memory; another context cannot take them", () => {
    const b = vfioBench();
    const [first, second] = [b.bound(b.add()), b.bound(b.add())];
    const ioasId = b.iommufd.ioasAlloc();
    expect(second.attach(ioasId)).toBe(first.attach(ioasId));
    b.iommufd.map(0n, { ioasId, lengthBytes: 0x1_0000n, iova: 0x1000_0000n });
    driverOf(b, first).copy(0x1000_0000n, 0x1000_1000n, 16);
    driverOf(b, second).copy(0x1000_1000n, 0x1000_2000n, 16);
    expect(b.vfio.faults).toEqual([]);
    const other = b.session.open("/dev/iommu");
    const again = b.open(b.vfio.devices[0]!);
    expect(() => again.bind(other)).toThrow(/VFIO_DEVICE_BIND_IOMMUFD failed with E(?:PERM|INVAL)/);
    b.end();
  });

  test("without a page table everything is refused and written down, a thousand faults at most", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    const driver = driverOf(b, device);
    for (let i = 0; i < 1001; i++) driver.copy(BigInt(i) << 12n, 0n, 4);
    expect(b.vfio.faults).toHaveLength(1000);
    expect(b.vfio.faults[0]!.iova).toBe(0x1000n);
    expect(b.session.open("/dev/vfio/devices/vfio9")).toBe(-Errno.ENOENT);
    b.end();
  });
});
