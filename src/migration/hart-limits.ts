// Harts kept from writing faster than so many bytes a second each, as QEMU does with KVM's dirty rings (system/dirtylimit.c):
// who has written its share of a period to pages that it had not written in it rests until the next one.
import type { Timer, TimerPort } from "../base/index.ts";
import { PAGE_BYTES, type DirtyEpoch, type DirtySource } from "../memory/index.ts";
import type { MigratableMachine } from "./port.ts";

/** A hart that is held answers nothing, so that this is short. */
const PERIOD_NS = 100_000_000;

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
  readonly #held = new Set<number>();
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

  /** For one hart, or for all of them; undefined lets go. Throws a VmError when a tracker refuses. */
  set(bytesPerSecond: number | undefined, hart?: number): void {
    const harts = hart === undefined ? Array.from({ length: this.hartCount }, (_, i) => i) : [hart];
    if (bytesPerSecond !== undefined) this.#begin();
    for (const each of harts) {
      if (bytesPerSecond === undefined) this.#release(each);
      else this.#limits.set(each, bytesPerSecond);
      if (bytesPerSecond !== undefined) this.#allow(each, PERIOD_NS);
    }
    if (this.#limits.size === 0) this.#end();
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
  }

  #release(hart: number): void {
    this.#limits.delete(hart);
    this.#rates.delete(hart);
    this.#epoch?.allow(this.#sourceOf(hart), 0, () => undefined);
    this.#hold(hart, false);
  }

  #look(): void {
    if (this.#epoch === undefined) return;
    const nowNs = this.#timers.clock.nowNs();
    const periodNs = nowNs - this.#sinceNs;
    const { bySource } = this.#epoch.read();
    this.#sinceNs = nowNs;
    for (const hart of this.#limits.keys()) {
      const pages = bySource.get(this.#machine.hartSources![hart]!) ?? 0;
      this.#rates.set(hart, (pages * PAGE_BYTES * 1e9) / periodNs);
      // The next period is about as late as this one.
      this.#allow(hart, periodNs);
      this.#hold(hart, false);
    }
    this.#timer.arm(nowNs + PERIOD_NS);
  }

  #allow(hart: number, periodNs: number): void {
    const pages = Math.max(1, Math.round((this.#limits.get(hart)! * periodNs) / 1e9 / PAGE_BYTES));
    this.#epoch!.allow(this.#sourceOf(hart), pages, (source) => this.#spent(source));
  }

  #spent(source: DirtySource): void {
    const hart = this.#machine.hartSources!.indexOf(this.#machine.notes.sourceName(source));
    if (this.#limits.has(hart)) this.#hold(hart, true);
  }

  #hold(hart: number, isHeld: boolean): void {
    if (this.#held.has(hart) === isHeld) return;
    if (isHeld) this.#held.add(hart);
    else this.#held.delete(hart);
    this.#machine.holdHart?.(hart, isHeld);
  }

  #sourceOf(hart: number): DirtySource {
    return this.#machine.notes.source(this.#machine.hartSources![hart]!);
  }
}
