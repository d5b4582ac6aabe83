// A device's own DMA log. Its ranges are fixed when it starts, so they leave room for memory that comes, where the device
// takes that. What comes outside them counts as written, until as much was reported in vain as a new log would cost.
import { IommufdError } from "../../iommufd/index.ts";
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
  let reportedInVain = 0;
  /** Why the host refused to end it: it may run still. */
  let leftRunning: IommufdError | undefined;
  const end = (): void => {
    try {
      log.stop();
      leftRunning = undefined;
    } catch (error) {
      // Nobody reads it; it is ended before the next one starts.
      if (!(error instanceof IommufdError)) throw error;
      leftRunning = error;
    }
  };
  const startFor = (wanted: readonly Span[]): void => {
    log.start(
      wanted.map((span) => ({ iova: BigInt(span.start), lengthBytes: BigInt(span.end - span.start) })),
      BigInt(PAGE_BYTES),
    );
    spans = wanted;
  };
  const startsFor = (wanted: readonly Span[]): boolean => {
    try {
      startFor(wanted);
      return true;
    } catch (error) {
      if (!(error instanceof IommufdError)) throw error;
      return false;
    }
  };
  const start = (): void => {
    if (leftRunning !== undefined) end();
    const writable = ranges().filter((range) => range.isWritable);
    try {
      // A device may have too little memory for a log of so much.
      if (!startsFor(roomySpans(writable))) startFor(closeSpans(writable));
    } catch (error) {
      // A log that runs keeps another one from starting: the reason is why it runs.
      throw error instanceof IommufdError ? (leftRunning ?? error) : error;
    }
    reportedInVain = 0;
  };
  const stop = (): void => {
    if (spans === undefined) return;
    spans = undefined;
    end();
  };
  const isLogged = ({ iova, lengthBytes }: MappedRange): boolean =>
    spans?.some((span) => span.start <= iova && iova + lengthBytes <= span.end) === true;
  return {
    name: `vfio ${deviceName} log`,
    start,
    stop,
    read(wanted, into): void {
      const logged = wanted.filter(isLogged);
      const others = wanted.filter((range) => !isLogged(range));
      reportedInVain += bytesOf(others);
      if (others.length > 0 && reportedInVain >= bytesOf(ranges())) {
        // Between the end of one log and the start of the next nobody looks.
        everything.read(ranges(), into);
        stop();
        start();
        return;
      }
      everything.read(others, into);
      for (const { iova, lengthBytes, offset, isWritable } of logged) {
        if (!isWritable) continue;
        const bits = log.report(BigInt(iova), BigInt(lengthBytes), BigInt(PAGE_BYTES));
        const firstPage = offset / PAGE_BYTES;
        forEachRun(bits, lengthBytes / PAGE_BYTES, (first, count) => into.add(firstPage + first, count));
      }
    },
  };
}

function bytesOf(ranges: readonly MappedRange[]): number {
  return ranges.reduce((sum, { lengthBytes, isWritable }) => sum + (isWritable ? lengthBytes : 0), 0);
}

/** All below 4 GiB, and as much above, or twice what there is. */
function roomySpans(ranges: readonly MappedRange[]): Span[] {
  const end = Math.max(...ranges.map(({ iova, lengthBytes }) => iova + lengthBytes));
  return [
    { start: 0, end: LOW_END },
    { start: LOW_END, end: Math.max(2 * LOW_END, 2 * end) },
  ];
}

/** At most two: below 4 GiB and above, from the first to the last page. */
function closeSpans(ranges: readonly MappedRange[]): Span[] {
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
