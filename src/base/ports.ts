// The powers that only a platform has: time, timers, randomness, trace output. Nothing in the core has them ambiently.

/** A monotonic clock. */
export interface ClockPort {
  /** Nanoseconds since an arbitrary start; exact to 1 ns for the first 104 days (2^53 ns). */
  nowNs(): number;
}

/** Wall-clock time of day. */
export interface WallClockPort {
  /** Nanoseconds since 1970-01-01T00:00:00Z. */
  nowUnixNs(): bigint;
}

export interface RngPort {
  /** Fills `bytes` with cryptographically strong random bytes; throws a typed error when the source fails. */
  fill(bytes: Uint8Array): void;
}

/** A one-shot alarm on some clock. Re-arming replaces the earlier deadline. */
export interface Timer {
  /** Fires once when the clock reaches `deadlineNs`; a deadline in the past fires on the next turn. */
  arm(deadlineNs: number): void;
  disarm(): void;
  readonly deadlineNs: number | undefined;
}

export interface TimerPort {
  readonly clock: ClockPort;
  /** `name` appears in traces and in saved state. */
  create(name: string, fire: () => void): Timer;
}

/** Where rate-limited diagnostics go (guest errors, unimplemented registers). */
export interface TracePort {
  guestError(source: string, message: string): void;
}

/** Gives the platform's event loop a turn. */
export interface YieldPort {
  /** Resolves after pending input and timers of the platform had a turn. */
  turn(): Promise<void>;
  /** Resolves after `delayMs` or when `wake` is called, whichever is first. */
  sleep(delayMs: number | undefined): Promise<void>;
  wake(): void;
}
