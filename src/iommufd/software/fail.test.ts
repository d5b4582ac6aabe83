// Each step of a scenario that touches every object type is made to fail in turn: nothing leaks, and the call that failed
// left everything as it was.
import { expect, test } from "vitest";
import {
  HwptAllocFlag,
  IOMMU_HW_QUEUE_TYPE_SELFTEST,
  IOMMU_HWPT_DATA_SELFTEST,
  IOMMU_VEVENTQ_TYPE_SELFTEST,
  IOMMU_VIOMMU_TYPE_SELFTEST,
  IommuHwptSelftest,
  TestAccessPages,
  TestCreateAccess,
  TestOp,
} from "../uapi/index.ts";
import type { FailPoint } from "./host-memory.ts";
import { testBench, type TestBench } from "./test-bench.ts";

/** Runs until something refuses; every object type, pins by page tables, by accesses and by a queue. */
function scenario(b: TestBench): void {
  const { client } = b;
  const ioasId = client.ioasAlloc();
  const other = client.ioasAlloc();
  client.map(0n, { ioasId, lengthBytes: 0x4000n, iova: 0x100_0000n });
  const { deviceId, mockId } = b.mockDevice(ioasId);
  client.map(0x8000n, { ioasId, lengthBytes: 0x2000n, iova: 0x100_8000n });
  client.copy(ioasId, 0x100_0000n, { ioasId: other, lengthBytes: 0x2000n, iova: 0x1000n });
  const queue = client.faultQueueAlloc();
  client.hwptAlloc({ deviceId, parentId: ioasId, flags: HwptAllocFlag.FAULT_ID_VALID, faultQueueId: queue.id });
  const parent = client.hwptAlloc({ deviceId, parentId: ioasId, flags: HwptAllocFlag.NEST_PARENT });
  const viommu = client.viommuAlloc(deviceId, parent, IOMMU_VIOMMU_TYPE_SELFTEST);
  const data = { type: IOMMU_HWPT_DATA_SELFTEST, bytes: IommuHwptSelftest.encode({ iotlb: 1 }) };
  client.hwptAlloc({ deviceId, parentId: viommu, data });
  client.vdeviceAlloc(viommu, deviceId, 1n);
  client.veventqAlloc(viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 4);
  client.hwQueueAlloc(viommu, IOMMU_HW_QUEUE_TYPE_SELFTEST, 0, 0x100_0000n, 0x1000n);
  const access = b.test(TestOp.CREATE_ACCESS, other, TestCreateAccess, { flags: 1 });
  if (access.result < 0) throw new Error("no access");
  const fd = TestCreateAccess.decode(access.union).out_access_fd;
  const ranges = client.iovaRanges(other).ranges.length;
  const pinned = b.test(TestOp.ACCESS_PAGES, fd, TestAccessPages, { iova: 0x1000n, length: 0x1000n, flags: ranges });
  if (pinned.result < 0) throw new Error("not pinned");
  client.destroy(mockId);
}

/** How many of a kind of step the scenario takes. */
function stepsOf(point: FailPoint): number {
  for (let nth = 1; nth < 200; nth++) {
    const b = testBench();
    b.host.failNext(point, nth);
    try {
      scenario(b);
    } catch {
      continue;
    }
    return nth - 1;
  }
  return 0;
}

test("the scenario succeeds by itself", () => {
  const b = testBench();
  scenario(b);
  b.caller.files.closeAll();
  expect(b.host.audit()).toEqual({ pinnedPages: 0, accountsClear: true, openContexts: 0 });
});

test.for(["alloc", "lookup", "pin", "account", "attach", "reply"] as const)(
  "failing any %s step leaks nothing",
  (point) => {
    const steps = stepsOf(point);
    expect(steps).toBeGreaterThan(0);
    for (let nth = 1; nth <= steps; nth++) {
      const b = testBench();
      b.host.failNext(point, nth);
      expect(() => scenario(b)).toThrow(/failed with|no mock device|no access|not pinned/);
      b.caller.files.closeAll();
      expect(b.host.audit()).toEqual({ pinnedPages: 0, accountsClear: true, openContexts: 0 });
    }
  },
);
