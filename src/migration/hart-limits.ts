// Harts kept from writing faster than so many bytes a second each (QEMU, system/dirtylimit.c, which needs KVM's dirty rings):
// what each has written in a period decides how much of the next one it runs.
import type { Timer, TimerPort } from "../base/index.ts";
import { PAGE_BYTES, type DirtyEpoch } from "../memory/index.ts";
import type { MigratableMachine } from "./port.ts";

const PERIOD_NS = 250_000_000;
const LEAST_SHARE = 0.01;
/** A hart is let go no faster than this from one period to the next. */
const MOST_GROWTH = 1.5;
/** Under this share of its limit, a hart may run more. */
const SLACK = 0.9;

export interface HartLimit {
  readonly hart: number;
  readonly bytesPerSecond: number;
  readonly currentBytesPerSecond: number;
}

export class HartLimits {
  readonly #machine: MigratableMachine;
  readonly #timers: TimerPort;
  readonly #timer: Timer;
  readonly #limits = new Map<number, number>();
  readonly #rates = new Map<number, number>();
  readonly #shares = new Map<number, number>();
  #epoch: DirtyEpoch | undefined;
  #sinceNs = 0;

  constructor(machine: MigratableMachine, timers: TimerPort) {
    this.#machine = machine;
    this.#timers = timers;
    this.#timer = timers.create("migration.hart-limits", () => this.#look());
  }

  get hartCount(): number {
    return this.#machine.hartSources?.length ?? 0;
  }

  get current(): readonly HartLimit[] {
    return [...this.#limits].map(([hart, bytesPerSecond]) => ({
      hart,
      bytesPerSecond,
      currentBytesPerSecond: this.#rates.get(hart) ?? 0,
    }));
  }

  /** For one hart, or for all of them; undefined lets go. */
  set(bytesPerSecond: number | undefined, hart?: number): void {
    const harts = hart === undefined ? Array.from({ length: this.hartCount }, (_, i) => i) : [hart];
    for (const each of harts) {
      if (bytesPerSecond === undefined) this.#limits.delete(each);
      else this.#limits.set(each, bytesPerSecond);
      if (bytesPerSecond === undefined) this.#shares.delete(each);
    }
    if (this.#limits.size > 0) this.#begin();
    else this.#end();
  }

  #begin(): void {
    if (this.#epoch !== undefined) return;
    this.#epoch = this.#machine.notes.openEpoch("hart limits");
    this.#sinceNs = this.#timers.clock.nowNs();
    this.#timer.arm(this.#sinceNs + PERIOD_NS);
  }

  #end(): void {
    this.#timer.disarm();
    this.#epoch?.close();
    this.#epoch = undefined;
    this.#rates.clear();
    this.#shares.clear();
    this.#apply();
  }

  #look(): void {
    if (this.#epoch === undefined) return;
    const nowNs = this.#timers.clock.nowNs();
    const seconds = (nowNs - this.#sinceNs) / 1e9;
    const { bySource } = this.#epoch.read();
    this.#sinceNs = nowNs;
    for (const [hart, limit] of this.#limits) {
      const rate = ((bySource.get(this.#machine.hartSources![hart]!) ?? 0) * PAGE_BYTES) / seconds;
      this.#rates.set(hart, rate);
      this.#shares.set(hart, nextShare(this.#shares.get(hart) ?? 1, rate, limit));
    }
    this.#apply();
    this.#timer.arm(nowNs + PERIOD_NS);
  }

  #apply(): void {
    const percents = Array.from({ length: this.hartCount }, (_, hart) => 100 * (1 - (this.#shares.get(hart) ?? 1)));
    this.#machine.throttleHarts?.("hart limits", percents);
  }
}

/** The share of time, 0 to 1, that a hart may run next, when with this share it wrote so much. */
export function nextShare(share: number, rate: number, limit: number): number {
  if (rate <= limit && rate > limit * SLACK) return share;
  const wanted = rate === 0 ? Infinity : (share * limit * (SLACK + 1)) / 2 / rate;
  return Math.max(LEAST_SHARE, Math.min(1, wanted, share * MOST_GROWTH));
}
