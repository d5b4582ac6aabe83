// Alarms on one clock, run by whoever owns the turn: the scheduler calls `runDue` between slices of guest code.
import type { ClockPort, Timer, TimerPort } from "../base/index.ts";

class QueuedTimer implements Timer {
  readonly name: string;
  readonly fire: () => void;
  deadlineNs: number | undefined;
  /** Changes with every arming, so that a run of due timers sees which ones were touched meanwhile. */
  sequence = 0;
  readonly #queue: TimerQueue;

  constructor(queue: TimerQueue, name: string, fire: () => void) {
    this.#queue = queue;
    this.name = name;
    this.fire = fire;
  }

  arm(deadlineNs: number): void {
    this.#queue.arm(this, deadlineNs);
  }

  disarm(): void {
    this.#queue.disarm(this);
  }
}

/**
 * A queue of timers. Equal deadlines fire in the order in which they were armed, which keeps runs repeatable.
 * A machine has some dozens of timers, so a sorted array is enough.
 */
export class TimerQueue implements TimerPort {
  readonly clock: ClockPort;
  /** The earliest deadline; Infinity when no timer is armed. */
  nextDeadlineNs: number = Infinity;
  /** Called when `nextDeadlineNs` becomes earlier: whoever sleeps until it must look again. */
  onEarlier: (() => void) | undefined;
  readonly #armed: QueuedTimer[] = [];
  #sequence = 0;

  constructor(clock: ClockPort) {
    this.clock = clock;
  }

  create(name: string, fire: () => void): Timer {
    return new QueuedTimer(this, name, fire);
  }

  /** Fires every timer that is due now. One that is armed by a callback waits for the next call, even when it is due. */
  runDue(): void {
    const nowNs = this.clock.nowNs();
    if (this.nextDeadlineNs > nowNs) return;
    const due = this.#armed.filter((timer) => timer.deadlineNs! <= nowNs);
    const last = this.#sequence;
    for (const timer of due) {
      // An earlier callback may have disarmed or re-armed this one.
      if (timer.deadlineNs === undefined || timer.sequence > last) continue;
      this.disarm(timer);
      timer.fire();
    }
  }

  arm(timer: QueuedTimer, deadlineNs: number): void {
    this.#remove(timer);
    timer.deadlineNs = deadlineNs;
    timer.sequence = ++this.#sequence;
    const at = this.#armed.findIndex((other) => other.deadlineNs! > deadlineNs);
    this.#armed.splice(at < 0 ? this.#armed.length : at, 0, timer);
    const wasNs = this.nextDeadlineNs;
    this.nextDeadlineNs = this.#armed[0]!.deadlineNs!;
    if (this.nextDeadlineNs < wasNs) this.onEarlier?.();
  }

  disarm(timer: QueuedTimer): void {
    this.#remove(timer);
    timer.deadlineNs = undefined;
    this.nextDeadlineNs = this.#armed[0]?.deadlineNs ?? Infinity;
  }

  #remove(timer: QueuedTimer): void {
    const at = this.#armed.indexOf(timer);
    if (at >= 0) this.#armed.splice(at, 1);
  }
}
