// What everybody who watches a migration reads: plain facts.

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
}

export const DEFAULT_PARAMETERS: MigrationParameters = {
  maxBandwidth: 128 * 2 ** 20,
  downtimeLimitMs: 300,
  switchoverBandwidth: 0,
  pauseBeforeSwitchover: false,
};
