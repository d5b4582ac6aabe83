// What a device that nobody tracks may have written: everything that it can write.
import { PAGE_BYTES } from "../../memory/index.ts";
import type { TrackingSource } from "./source.ts";

export function allSource(deviceName: string): TrackingSource {
  return {
    name: `vfio ${deviceName} untracked`,
    start(): void {},
    read(ranges, into): void {
      for (const { offset, lengthBytes, isWritable } of ranges) {
        if (isWritable) into.add(offset / PAGE_BYTES, lengthBytes / PAGE_BYTES);
      }
    },
    stop(): void {},
  };
}
