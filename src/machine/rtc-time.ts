// `-rtc base=,clock=` as the time that a board's clock shows.
import type { ClockPort, WallClockPort } from "../base/index.ts";
import { makeRtcClock } from "../device/index.ts";
import { MachineError } from "./errors.ts";
import type { MachineConfig, MachineHost } from "./port.ts";

/** Throws `MachineError` when local time is wanted and the host does not tell its zone. */
export function rtcTime(
  { base, clock }: MachineConfig["rtc"],
  host: Pick<MachineHost, "wallClock" | "localTimeOffsetNs">,
  virtualClock: ClockPort,
): WallClockPort {
  const { wallClock, localTimeOffsetNs } = host;
  // `rt` is the host's monotonic clock; a wall clock that does not step is the same to a guest.
  const source = clock === "vm" ? "vm" : "host";
  if (base === "utc") return makeRtcClock({ wallClock, virtualClock, source });
  if (base !== "localtime") return makeRtcClock({ wallClock, virtualClock, source, baseUnixNs: base });
  if (localTimeOffsetNs === undefined) {
    throw new MachineError("badConfig", "The host does not tell its time zone; -rtc base=utc or a date would do");
  }
  const baseUnixNs = wallClock.nowUnixNs() + localTimeOffsetNs;
  return makeRtcClock({ wallClock, virtualClock, source, baseUnixNs });
}
