// Keeps a guest from flooding the trace: each source gets a burst, then a trickle, and what was left out is counted.
import type { ClockPort, TracePort } from "./ports.ts";

interface Bucket {
  tokens: number;
  filledNs: number;
  leftOut: number;
}

export interface RateLimits {
  /** Messages a source may send at once. Default 20. */
  readonly burst?: number;
  /** Messages a second that a source may go on to send. Default 2. */
  readonly perSecond?: number;
}

/** A TracePort in front of another one, with a token bucket for each source. Sources are few: device names. */
export class RateLimitedTrace implements TracePort {
  readonly #to: TracePort;
  readonly #clock: ClockPort;
  readonly #burst: number;
  readonly #perNs: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(to: TracePort, clock: ClockPort, { burst = 20, perSecond = 2 }: RateLimits = {}) {
    this.#to = to;
    this.#clock = clock;
    this.#burst = burst;
    this.#perNs = perSecond / 1e9;
  }

  guestError(source: string, message: string): void {
    const bucket = this.#bucketOf(source);
    if (bucket.tokens < 1) {
      bucket.leftOut++;
      return;
    }
    bucket.tokens--;
    if (bucket.leftOut > 0) this.#to.guestError(source, `${bucket.leftOut} more messages were left out`);
    bucket.leftOut = 0;
    this.#to.guestError(source, message);
  }

  /** How many messages of `source` were left out since the last one that went through. */
  leftOut(source: string): number {
    return this.#buckets.get(source)?.leftOut ?? 0;
  }

  #bucketOf(source: string): Bucket {
    const nowNs = this.#clock.nowNs();
    let bucket = this.#buckets.get(source);
    if (bucket === undefined) {
      bucket = { tokens: this.#burst, filledNs: nowNs, leftOut: 0 };
      this.#buckets.set(source, bucket);
    }
    bucket.tokens = Math.min(this.#burst, bucket.tokens + (nowNs - bucket.filledNs) * this.#perNs);
    bucket.filledNs = nowNs;
    return bucket;
  }
}
