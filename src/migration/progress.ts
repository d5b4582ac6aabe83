// What everybody who watches a migration reads: plain facts.
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
  readonly error: Error | undefined;
}

/** With QEMU's defaults. */
export interface MigrationParameters {
  /** Bytes a second; 0 is no limit. */
  readonly maxBandwidth: number;
  readonly downtimeLimitMs: number;
  /** What the channel can carry at the end, in bytes a second; 0 takes what was measured. */
  readonly switchoverBandwidth: number;
  /** Waits for `proceed` when the source has stopped. */
  readonly pauseBeforeSwitchover: boolean;
  /** The source runs until the other side has initial data of all streamed parts. */
  readonly switchoverAck: boolean;
  /** While the source stands still, nothing may keep the channel waiting for longer; 0 is forever. */
  readonly stallLimitMs: number;
}

export const DEFAULT_PARAMETERS: MigrationParameters = {
  maxBandwidth: 128 * 2 ** 20,
  downtimeLimitMs: 300,
  switchoverBandwidth: 0,
  pauseBeforeSwitchover: false,
  switchoverAck: false,
  stallLimitMs: 10_000,
};
