import { describe, expect, test } from "vitest";
import { Errno, IommufdError } from "../../iommufd/index.ts";
import { PAGE_BYTES } from "../../memory/index.ts";
import type { MappedRange } from "../mapped-ram.ts";
import { logSource } from "./log-source.ts";

/** A device that logs as the kernel has it: a second start is refused; `refusesStop` calls to end it fail. */
function deviceLog(refusesStop: number): { calls: string[]; log: Parameters<typeof logSource>[1] } {
  const calls: string[] = [];
  let runs = false;
  return {
    calls,
    log: {
      start() {
        calls.push("start");
        if (runs) throw new IommufdError("VFIO_DEVICE_FEATURE (DMA_LOGGING_START)", Errno.EINVAL);
        runs = true;
      },
      stop() {
        calls.push("stop");
        if (refusesStop-- > 0) throw new IommufdError("VFIO_DEVICE_FEATURE (DMA_LOGGING_STOP)", Errno.ENODEV);
        runs = false;
      },
      report: () => new Uint8Array(1),
    },
  };
}
const ranges = (): readonly MappedRange[] => [
  { name: "ram", iova: 0, lengthBytes: PAGE_BYTES, offset: 0, isWritable: true },
];

describe("a log that the host did not end", () => {
  test("is ended before it starts again", () => {
    const { log, calls } = deviceLog(1);
    const source = logSource("d", log, ranges);
    source.start();
    source.stop();
    source.start();
    source.stop();
    source.start();
    expect(calls).toEqual(["start", "stop", "stop", "start", "stop", "start"]);
  });

  test("keeps the next one from starting, for the reason for which it runs", () => {
    const { log } = deviceLog(2);
    const source = logSource("d", log, ranges);
    source.start();
    source.stop();
    expect(() => source.start()).toThrow("(DMA_LOGGING_STOP) failed with ENODEV");
    source.start();
  });
});
