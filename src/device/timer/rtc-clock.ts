// The time that a board's real-time clock shows: `-rtc base=,clock=`.
import type { ClockPort, WallClockPort } from "../../base/index.ts";

export interface RtcClockOptions {
  readonly wallClock: WallClockPort;
  /** The machine's virtual clock. */
  readonly virtualClock: ClockPort;
  /** `host` follows the host's wall clock, steps included; `vm` stands still while the machine does. */
  readonly source: "host" | "vm";
  /** Time to start at, in nanoseconds since 1970; the host's when absent. */
  readonly baseUnixNs?: bigint;
}

/** Starts counting when it is made. */
export function makeRtcClock({ wallClock, virtualClock, source, baseUnixNs }: RtcClockOptions): WallClockPort {
  const startWallNs = wallClock.nowUnixNs();
  const baseNs = baseUnixNs ?? startWallNs;
  if (source === "host") {
    return { nowUnixNs: () => wallClock.nowUnixNs() - startWallNs + baseNs };
  }
  const startVirtualNs = virtualClock.nowNs();
  return { nowUnixNs: () => baseNs + BigInt(Math.floor(virtualClock.nowNs() - startVirtualNs)) };
}
