// The dirty bits of one I/O page table.
import { IommufdError, type IommufdClient } from "../../iommufd/index.ts";
import { PAGE_BYTES } from "../../memory/index.ts";
import { forEachRun } from "./bitmap-runs.ts";
import type { TrackingSource } from "./source.ts";

export type DirtyBitCalls = Pick<IommufdClient, "setDirtyTracking" | "getDirtyBitmap">;

export function hwptSource(calls: DirtyBitCalls, hwptId: number): TrackingSource {
  let isOn = false;
  return {
    name: `vfio page table ${hwptId}`,
    start(): void {
      calls.setDirtyTracking(hwptId, true);
      isOn = true;
    },
    // Range by range: a query says nothing of what comes after a hole (`IommufdClient.getDirtyBitmap`).
    read(ranges, into): void {
      for (const { iova, lengthBytes, offset, isWritable } of ranges) {
        if (!isWritable) continue;
        const bits = calls.getDirtyBitmap(hwptId, BigInt(iova), BigInt(lengthBytes), BigInt(PAGE_BYTES));
        const firstPage = offset / PAGE_BYTES;
        forEachRun(bits, lengthBytes / PAGE_BYTES, (first, count) => into.add(firstPage + first, count));
      }
    },
    stop(): void {
      if (!isOn) return;
      isOn = false;
      try {
        calls.setDirtyTracking(hwptId, false);
      } catch (error) {
        // It goes on setting bits, which the next start clears.
        if (!(error instanceof IommufdError)) throw error;
      }
    },
  };
}
