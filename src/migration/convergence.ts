// Whether a migration comes to its end, and what is done when it does not. Pure: from figures to decisions, with reasons.
import type { MigrationParameters } from "./parameters.ts";

/** QEMU looks once a second whether more is written than sent (migration/ram.c: migration_bitmap_sync). */
const PERIOD_MS = 1000;
/** That often in a row is reason enough. */
const PERIODS = 2;

export interface Traffic {
  readonly sentBytes: number;
  readonly dirtyBytes: number;
  readonly durationMs: number;
}

/** Adds rounds up to periods, and tells when the machine writes faster than it can be sent. */
export class DirtyTrigger {
  #period: Traffic = { sentBytes: 0, dirtyBytes: 0, durationMs: 0 };
  #count = 0;
  /** Of the last whole period: what was written, of what was sent; with the threshold in it, 1 is on the edge. */
  overshoot = 0;

  /** A round is over; true when something should be done. */
  add(round: Traffic, thresholdPercent: number): boolean {
    const sentBytes = this.#period.sentBytes + round.sentBytes;
    const dirtyBytes = this.#period.dirtyBytes + round.dirtyBytes;
    const durationMs = this.#period.durationMs + round.durationMs;
    this.#period = { sentBytes, dirtyBytes, durationMs };
    if (durationMs < PERIOD_MS) return false;
    this.#period = { sentBytes: 0, dirtyBytes: 0, durationMs: 0 };
    const allowed = (sentBytes * thresholdPercent) / 100;
    this.overshoot = allowed === 0 ? Infinity : dirtyBytes / allowed;
    if (dirtyBytes <= allowed) return false;
    this.#count += 1;
    if (this.#count < PERIODS) return false;
    this.#count = 0;
    return true;
  }
}

type ThrottleParameters = Pick<
  MigrationParameters,
  "throttleInitialPercent" | "throttleIncrementPercent" | "throttleTailslow" | "maxThrottlePercent"
>;

/** Percent of time that harts rest, after a trigger (migration/ram.c: mig_throttle_guest_down). */
export function nextThrottle(nowPercent: number, overshoot: number, parameters: ThrottleParameters): number {
  const { throttleInitialPercent, throttleIncrementPercent, throttleTailslow, maxThrottlePercent } = parameters;
  if (nowPercent === 0) return throttleInitialPercent;
  const runs = 100 - nowPercent;
  const ideal = throttleTailslow ? runs - runs / overshoot : Infinity;
  return Math.min(nowPercent + Math.min(ideal, throttleIncrementPercent), maxThrottlePercent);
}

export interface SourceRate {
  readonly name: string;
  readonly kind: "harts" | "device";
  readonly bytesPerSecond: number;
}

export interface ConvergenceFacts {
  readonly sources: readonly SourceRate[];
  /** What the channel takes a second while the machine runs, and when it stands. */
  readonly bandwidth: number;
  readonly pace: number;
  /** Found dirty by the last round. */
  readonly dirtyBytes: number;
  /** What devices have left when they stop, which no further round makes less. */
  readonly deviceBytes: number;
  readonly downtimeLimitMs: number;
}

export interface Prediction {
  readonly canMeet: boolean;
  /** Where further rounds lead to. */
  readonly downtimeMs: number;
  /** Further rounds until then; undefined when they lead nowhere. */
  readonly rounds: number | undefined;
  /** Who decides about it: a source, `device state`, or `channel`. */
  readonly dominant: string;
  readonly reasons: readonly string[];
}

const MOST_ROUNDS = 100;
/** A round is never shorter: a turn of the loop and a look at the bitmaps. */
const LEAST_ROUND_MS = 2;

/**
 * Where rounds lead to if everybody goes on writing as in the last one. What a round leaves is written while it lasts, so that
 * rounds get shorter as long as less is written than sent; writes to the same pages count once, so that no round leaves more
 * than the last one did.
 */
export function predict(facts: ConvergenceFacts): Prediction {
  const { sources, bandwidth, pace, deviceBytes, downtimeLimitMs } = facts;
  const written = sources.reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0);
  const limitBytes = (pace * downtimeLimitMs) / 1000;
  let left = facts.dirtyBytes;
  let rounds = 0;
  while (rounds < MOST_ROUNDS && left + deviceBytes > limitBytes) {
    const ms = Math.max(LEAST_ROUND_MS, (left / Math.max(bandwidth, 1)) * 1000);
    const next = Math.min(left, (written * ms) / 1000);
    rounds += 1;
    if (next >= left * 0.99) break;
    left = next;
  }
  const downtimeMs = pace === 0 ? Infinity : ((left + deviceBytes) * 1000) / pace;
  const canMeet = downtimeMs <= downtimeLimitMs;
  const most = [...sources].sort((a, b) => b.bytesPerSecond - a.bytesPerSecond)[0];
  const dominant =
    deviceBytes > left ? "device state" : written > bandwidth / 2 && most !== undefined ? most.name : "channel";
  return {
    canMeet,
    downtimeMs,
    rounds: canMeet ? rounds : undefined,
    dominant,
    reasons: reasonsOf(facts, written, left, canMeet),
  };
}

function reasonsOf(facts: ConvergenceFacts, written: number, left: number, canMeet: boolean): string[] {
  const { sources, bandwidth, pace, deviceBytes, downtimeLimitMs } = facts;
  const reasons = sources
    .filter(({ bytesPerSecond }) => bytesPerSecond > 0)
    .map(({ name, bytesPerSecond }) => `${name} writes ${mib(bytesPerSecond)} a second`);
  reasons.push(`the channel takes ${mib(bandwidth)} a second, ${mib(pace)} when the machine stands still`);
  if (deviceBytes > 0) reasons.push(`devices have ${mib(deviceBytes)} to send when they have stopped`);
  const limit = `${mib((pace * downtimeLimitMs) / 1000)}, which ${downtimeLimitMs} ms are enough for`;
  if (canMeet) return reasons;
  const devices = sources.filter(({ kind }) => kind === "device").reduce((sum, each) => sum + each.bytesPerSecond, 0);
  if (deviceBytes > (pace * downtimeLimitMs) / 1000)
    reasons.push(`that alone is more than ${limit}; downtime-limit would do`);
  else reasons.push(`rounds come down to ${mib(left)} of memory, and not to ${limit}`);
  if (devices > written / 2)
    reasons.push("most of it is written by devices, which x-device-throttle slows and auto-converge does not");
  else if (written > 0) reasons.push("most of it is written by harts, which auto-converge and dirty-limit slow");
  return reasons;
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
