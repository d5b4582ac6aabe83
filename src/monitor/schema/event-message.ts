import type { JsonObject } from "../json/value.ts";
import type { EventType } from "./event.ts";

/** `{"event": "STOP", "data": {…}, "timestamp": {"seconds": …, "microseconds": …}}` */
export type EventMessage = JsonObject;

export function checkedEvent<T>(type: EventType<T>, data: T, nowNs: bigint): EventMessage {
  const hasData = Object.keys(type.data.members).length > 0;
  return {
    event: type.name,
    ...(hasData && { data: data as JsonObject }),
    timestamp: { seconds: Number(nowNs / 1_000_000_000n), microseconds: Number((nowNs % 1_000_000_000n) / 1000n) },
  };
}
