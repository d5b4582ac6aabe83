// A source of dirty pages behind a container: what it asks of devices and page tables, and what it reports.
import type { PageReport } from "../../memory/index.ts";
import type { MappedRange } from "../mapped-ram.ts";

export interface TrackingSource {
  /** As epochs name it: `vfio 0000:01:00.0 log`. */
  readonly name: string;
  /** From now on writes count. Throws IommufdError, with nothing started. */
  start(): void;
  /** Reports the pages written in the ranges since the last time, and forgets them. Throws IommufdError. */
  read(ranges: readonly MappedRange[], into: PageReport): void;
  /** Idempotent; what was not read is lost. */
  stop(): void;
}

/** A device's own log of its writes (VFIO_DEVICE_FEATURE_DMA_LOGGING_*). */
export interface DmaLog {
  /** Throws IommufdError. Ranges are multiples of `pageBytes`. */
  start(ranges: readonly { readonly iova: bigint; readonly lengthBytes: bigint }[], pageBytes: bigint): void;
  stop(): void;
  /** Bit i stands for `pageBytes` from `iova + i * pageBytes`; what is read is forgotten. Throws IommufdError. */
  report(iova: bigint, lengthBytes: bigint, pageBytes: bigint): Uint8Array;
}
