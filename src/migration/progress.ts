// What everybody who watches a migration reads: plain facts.
import type { Prediction } from "./convergence.ts";
import type { MissedPage, OracleCounts } from "../memory/index.ts";

/** QEMU's MigrationStatus, as far as it occurs here. */
export type MigrationPhase =
  | "setup"
  | "active"
  | "pre-switchover"
  | "device"
  | "completed"
  | "cancelling"
  | "cancelled"
  | "failed";

/** One pass over what was dirty. */
export interface MigrationRound {
  readonly number: number;
  readonly sentBytes: number;
  readonly sentPages: number;
  /** Of `sentBytes`, data of streamed parts. */
  readonly deviceBytes: number;
  /** By so much `sentBytes` would be more, had nothing been compressed. */
  readonly savedBytes: number;
  readonly durationMs: number;
  /** Pages found dirty at its end, and who reported them. */
  readonly dirtyPages: number;
  readonly bySource: ReadonlyMap<string, number>;
}

export interface MigrationProgress {
  readonly phase: MigrationPhase;
  readonly totalBytes: number;
  readonly sentBytes: number;
  readonly remainingBytes: number;
  /** Of `sentBytes`, data of streamed parts; undefined for a machine without. */
  readonly deviceBytes: number | undefined;
  readonly zeroPages: number;
  readonly normalPages: number;
  readonly rounds: readonly MigrationRound[];
  /** Bytes a second over the last round; undefined before the first is over. */
  readonly bandwidth: number | undefined;
  readonly dirtyBytesPerSecond: number;
  readonly expectedDowntimeMs: number;
  readonly setupMs: number;
  readonly totalMs: number;
  /** Once it is known. */
  readonly downtimeMs: number | undefined;
  /** What the oracle found, where there is one. */
  readonly oracle: (OracleCounts & { readonly missed: readonly MissedPage[] }) | undefined;
  /** Of time that harts rest, and devices are held, so that less is written. */
  readonly throttlePercent: number;
  readonly deviceThrottlePercent: number;
  /** After the last round. */
  readonly prediction: Prediction | undefined;
  /** Nothing is sent, and the machine stays. */
  readonly isDryRun: boolean;
  readonly error: Error | undefined;
}
