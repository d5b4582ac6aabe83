// Harts that are kept from running all the time: after each run one rests for as long as its share of time asks for. QEMU's
// auto-converge does so with vCPU threads (system/cpu-throttle.c).

/** At most; a hart always gets on. */
export const MAX_THROTTLE_PERCENT = 99;
/** A hart does not rest longer than this at a time, whatever one run has taken. */
const MAX_REST_NS = 200_000_000;

export class HartThrottle {
  /** What is asked for, by who asks; the most counts. */
  readonly #asked = new Map<string, readonly number[]>();
  readonly #percents: number[];
  /** Host time from which each may run. */
  readonly #restsUntilNs: number[];
  readonly #held = new Set<number>();
  /** Some hart may have to rest. */
  isOn = false;

  constructor(hartCount: number) {
    this.#percents = Array.from({ length: hartCount }, () => 0);
    this.#restsUntilNs = Array.from({ length: hartCount }, () => 0);
  }

  /** Percents of time that each hart does not run: one for all of them, or one each. 0 lets go. */
  ask(who: string, percents: number | readonly number[]): void {
    const each = typeof percents === "number" ? this.#percents.map(() => percents) : percents;
    if (each.every((percent) => percent <= 0)) this.#asked.delete(who);
    else this.#asked.set(who, each);
    for (let hart = 0; hart < this.#percents.length; hart++) {
      const most = Math.max(0, ...[...this.#asked.values()].map((asked) => asked[hart] ?? 0));
      this.#percents[hart] = Math.min(MAX_THROTTLE_PERCENT, most);
      if (most === 0) this.#restsUntilNs[hart] = 0;
    }
    this.#update();
  }

  /** A hart that is held does not run at all. */
  hold(hart: number, isHeld: boolean): void {
    if (isHeld) this.#held.add(hart);
    else this.#held.delete(hart);
    this.#update();
  }

  percentOf(hart: number): number {
    return this.#percents[hart]!;
  }

  /** How long a hart has to rest from now on; Infinity for one that is held. */
  restNs(hart: number, nowNs: number): number {
    if (!this.isOn) return 0;
    return this.#held.has(hart) ? Infinity : Math.max(0, this.#restsUntilNs[hart]! - nowNs);
  }

  /** A hart has run. */
  ran(hart: number, startNs: number, endNs: number): void {
    if (!this.isOn) return;
    const percent = this.#percents[hart]!;
    if (percent === 0) return;
    const restNs = ((endNs - startNs) * percent) / (100 - percent);
    this.#restsUntilNs[hart] = endNs + Math.min(restNs, MAX_REST_NS);
  }

  #update(): void {
    this.isOn = this.#asked.size > 0 || this.#held.size > 0;
  }
}
