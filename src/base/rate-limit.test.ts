import { expect, test } from "vitest";
import { ManualClock } from "./manual-clock.ts";
import { RateLimitedTrace } from "./rate-limit.ts";

function makeTrace(): { clock: ManualClock; trace: RateLimitedTrace; lines: string[] } {
  const clock = new ManualClock();
  const lines: string[] = [];
  const sink = { guestError: (source: string, message: string) => void lines.push(`${source}: ${message}`) };
  return { clock, trace: new RateLimitedTrace(sink, clock, { burst: 2, perSecond: 1 }), lines };
}

test("lets a burst through and drops the rest", () => {
  const { trace, lines } = makeTrace();
  for (const message of ["a", "b", "c", "d"]) trace.guestError("uart", message);
  expect(lines).toEqual(["uart: a", "uart: b"]);
  expect(trace.leftOut("uart")).toBe(2);
});

test("says how many were left out when it goes on", () => {
  const { clock, trace, lines } = makeTrace();
  for (const message of ["a", "b", "c", "d"]) trace.guestError("uart", message);
  clock.setNs(1_000_000_000);
  trace.guestError("uart", "e");
  expect(lines.slice(2)).toEqual(["uart: 2 more messages were left out", "uart: e"]);
  expect(trace.leftOut("uart")).toBe(0);
});

test("a quiet second gives one message, never more than the burst", () => {
  const { clock, trace, lines } = makeTrace();
  clock.setNs(100_000_000_000);
  for (const message of ["a", "b", "c"]) trace.guestError("uart", message);
  expect(lines).toHaveLength(2);
});

test("one source does not silence another", () => {
  const { trace, lines } = makeTrace();
  for (const message of ["a", "b", "c"]) trace.guestError("uart", message);
  trace.guestError("plic", "x");
  expect(lines.at(-1)).toBe("plic: x");
});
