// A device's own DMA log. Its ranges are fixed when it starts, so it is started anew when memory comes outside them.
import { PAGE_BYTES } from "../../memory/index.ts";
import type { MappedRange } from "../mapped-ram.ts";
import { allSource } from "./all-source.ts";
import { forEachRun } from "./bitmap-runs.ts";
import type { DmaLog, TrackingSource } from "./source.ts";

/** Where the 32-bit half of memory ends: what lies on both sides is far apart, and would make one range mostly hole. */
const LOW_END = 2 ** 32;

interface Span {
  readonly start: number;
  readonly end: number;
}

export function logSource(deviceName: string, log: DmaLog, ranges: () => readonly MappedRange[]): TrackingSource {
  const everything = allSource(deviceName);
  let spans: readonly Span[] | undefined;
  let isStale = false;
  const start = (): void => {
    const wanted = spansOf(ranges().filter((range) => range.isWritable));
    log.start(
      wanted.map((span) => ({ iova: BigInt(span.start), lengthBytes: BigInt(span.end - span.start) })),
      BigInt(PAGE_BYTES),
    );
    spans = wanted;
  };
  const stop = (): void => {
    if (spans === undefined) return;
    spans = undefined;
    log.stop();
  };
  return {
    name: `vfio ${deviceName} log`,
    start,
    stop,
    read(wanted, into): void {
      if (isStale) {
        // Between the end of one log and the start of the next nobody looked.
        everything.read(ranges(), into);
        stop();
        start();
        isStale = false;
        return;
      }
      for (const { iova, lengthBytes, offset, isWritable } of wanted) {
        if (!isWritable) continue;
        const bits = log.report(BigInt(iova), BigInt(lengthBytes), BigInt(PAGE_BYTES));
        const firstPage = offset / PAGE_BYTES;
        forEachRun(bits, lengthBytes / PAGE_BYTES, (first, count) => into.add(firstPage + first, count));
      }
    },
    onMapped({ iova, lengthBytes }): void {
      const covers = (span: Span): boolean => span.start <= iova && iova + lengthBytes <= span.end;
      if (spans !== undefined && !spans.some(covers)) isStale = true;
    },
  };
}

/** At most two: below 4 GiB and above, from the first to the last page. */
function spansOf(ranges: readonly MappedRange[]): Span[] {
  const spans: Span[] = [];
  for (const isLow of [true, false]) {
    const part = ranges.filter((range) => range.iova < LOW_END === isLow);
    if (part.length === 0) continue;
    const start = Math.min(...part.map((range) => range.iova));
    const end = Math.max(...part.map((range) => range.iova + range.lengthBytes));
    spans.push({ start, end });
  }
  return spans;
}
