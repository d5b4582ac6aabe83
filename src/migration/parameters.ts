// What an operator sets; also of a migration that is on its way.

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
  /** Harts are slowed when more is written than this share of what is sent: at first by so much, then by so much more. */
  readonly autoConverge: boolean;
  readonly throttleTriggerPercent: number;
  readonly throttleInitialPercent: number;
  readonly throttleIncrementPercent: number;
  /** By less where less is enough. */
  readonly throttleTailslow: boolean;
  readonly maxThrottlePercent: number;
  /** Instead, each hart is held to so much a second. */
  readonly dirtyLimit: boolean;
  readonly vcpuDirtyLimitMib: number;
  /** Devices that write most of it are held, in steps, for at most this share of time; 0 is never. */
  readonly deviceThrottlePercent: number;
  /** While the source stands still, nothing may keep the channel waiting for longer; 0 is forever. */
  readonly stallLimitMs: number;
  /** Holds every round against what was written; costs a copy of guest memory and a look at all of it per round. */
  readonly dirtyOracle: boolean;
}

/** QEMU's. */
export const DEFAULT_PARAMETERS: MigrationParameters = {
  maxBandwidth: 128 * 2 ** 20,
  downtimeLimitMs: 300,
  switchoverBandwidth: 0,
  pauseBeforeSwitchover: false,
  switchoverAck: false,
  autoConverge: false,
  throttleTriggerPercent: 50,
  throttleInitialPercent: 20,
  throttleIncrementPercent: 10,
  throttleTailslow: false,
  maxThrottlePercent: 99,
  dirtyLimit: false,
  vcpuDirtyLimitMib: 1,
  deviceThrottlePercent: 0,
  stallLimitMs: 10_000,
  dirtyOracle: false,
};
