// Node's clocks.
import type { ClockPort, WallClockPort } from "../../base/index.ts";

/** Monotonic since the process began; stands still while the host is suspended. */
export const nodeClock: ClockPort = {
  nowNs: () => Math.round(performance.now() * 1e6),
};

/** Time of day with millisecond steps. */
export const nodeWallClock: WallClockPort = {
  nowUnixNs: () => BigInt(Date.now()) * 1_000_000n,
};

/** What the local time zone is ahead of UTC now. */
export function localTimeOffsetNs(): bigint {
  return BigInt(-new Date().getTimezoneOffset()) * 60_000_000_000n;
}
