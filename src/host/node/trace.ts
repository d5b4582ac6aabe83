// Diagnostics of what guests do wrong: one line each, and never more than a guest can be allowed to cause.
import type { ClockPort, TracePort } from "../../base/index.ts";

const WINDOW_NS = 1e9;

export interface TraceOptions {
  readonly clock: ClockPort;
  /** Takes one line without its line end. */
  readonly line: (text: string) => void;
  /** Lines per source and second; more are counted, and the count is told when the source speaks again. */
  readonly linesPerSecond?: number;
}

interface Source {
  windowStartNs: number;
  lines: number;
  suppressed: number;
}

/** A trace port that limits every source separately. */
export function createRateLimitedTrace({ clock, line, linesPerSecond = 5 }: TraceOptions): TracePort {
  const sources = new Map<string, Source>();
  return {
    guestError(name, message) {
      const nowNs = clock.nowNs();
      let source = sources.get(name);
      if (source === undefined) {
        source = { windowStartNs: nowNs, lines: 0, suppressed: 0 };
        sources.set(name, source);
      }
      if (nowNs - source.windowStartNs >= WINDOW_NS) {
        if (source.suppressed > 0) line(`guest error: ${name}: ${source.suppressed} more not shown`);
        source.windowStartNs = nowNs;
        source.lines = 0;
        source.suppressed = 0;
      }
      if (source.lines >= linesPerSecond) {
        source.suppressed++;
        return;
      }
      source.lines++;
      line(`guest error: ${name}: ${message}`);
    },
  };
}

export const silentTrace: TracePort = { guestError: () => {} };
