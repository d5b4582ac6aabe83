// Timers on any clock: a binary heap by deadline. Whoever drives the clock asks for the next deadline and runs what is
// due. The machine's virtual clock and every test use it; a host joins it to its event loop.
import { assert } from "./assert.ts";
import type { ClockPort, Timer, TimerPort } from "./ports.ts";

const NOT_QUEUED = -1;

class QueuedTimer implements Timer {
  readonly name: string;
  readonly fire: () => void;
  deadlineNs: number | undefined = undefined;
  /** Heap key; meaningful while queued. */
  at = 0;
  /** Breaks ties, so that equal deadlines fire in the order in which they were armed. */
  sequence = 0;
  /** Place in the heap. */
  place: number = NOT_QUEUED;
  readonly #queue: TimerQueue;

  constructor(queue: TimerQueue, name: string, fire: () => void) {
    this.#queue = queue;
    this.name = name;
    this.fire = fire;
  }

  arm(deadlineNs: number): void {
    assert(!Number.isNaN(deadlineNs), "a deadline is a number", this.name);
    this.deadlineNs = deadlineNs;
    this.#queue.queueTimer(this, deadlineNs);
  }

  disarm(): void {
    this.deadlineNs = undefined;
    this.#queue.unqueueTimer(this);
  }
}

/** A TimerPort for `clock`. Arming, disarming and firing cost O(log n). */
export class TimerQueue implements TimerPort {
  readonly clock: ClockPort;
  /** Told the new deadline when `nextDeadlineNs` came nearer, so that a driver can wake, or stop, earlier. */
  onEarlierDeadline: ((deadlineNs: number) => void) | undefined = undefined;
  readonly #heap: QueuedTimer[] = [];
  readonly #due: QueuedTimer[] = [];
  #sequence = 0;
  #isRunning = false;

  constructor(clock: ClockPort) {
    this.clock = clock;
  }

  create(name: string, fire: () => void): Timer {
    return new QueuedTimer(this, name, fire);
  }

  /** The earliest deadline, or Infinity when nothing is armed. */
  nextDeadlineNs(): number {
    const first = this.#heap[0];
    return first === undefined ? Infinity : first.at;
  }

  /**
   * Fires, by deadline, every timer that is due now; returns how many. What is armed meanwhile waits for the next call,
   * even with a deadline in the past: a device that re-arms at once cannot hold the machine.
   */
  runDue(): number {
    if (this.nextDeadlineNs() > this.clock.nowNs()) return 0;
    assert(!this.#isRunning, "a timer's callback does not run the queue");
    this.#isRunning = true;
    const due = this.#due;
    for (const nowNs = this.clock.nowNs(); this.nextDeadlineNs() <= nowNs;) {
      const timer = this.#heap[0]!;
      this.unqueueTimer(timer);
      due.push(timer);
    }
    let fired = 0;
    let next = 0;
    try {
      while (next < due.length) {
        const timer = due[next++]!;
        // An earlier callback may have disarmed it, or re-armed it into the queue.
        if (timer.deadlineNs === undefined || timer.place !== NOT_QUEUED) continue;
        timer.deadlineNs = undefined;
        fired++;
        timer.fire();
      }
    } finally {
      // Only after a throw is anything left: it stays due.
      for (; next < due.length; next++) {
        const { deadlineNs } = due[next]!;
        if (deadlineNs !== undefined) this.queueTimer(due[next]!, deadlineNs);
      }
      due.length = 0;
      this.#isRunning = false;
    }
    return fired;
  }

  /** Names of the armed timers by deadline: for traces and for tests. */
  armedNames(): string[] {
    return [...this.#heap].sort((a, b) => (isBefore(a, b) ? -1 : 1)).map((timer) => timer.name);
  }

  /** For QueuedTimer. */
  queueTimer(timer: QueuedTimer, deadlineNs: number): void {
    const earliestNs = this.nextDeadlineNs();
    this.unqueueTimer(timer);
    timer.at = deadlineNs;
    timer.sequence = this.#sequence++;
    timer.place = this.#heap.length;
    this.#heap.push(timer);
    this.#rise(timer);
    if (deadlineNs < earliestNs) this.onEarlierDeadline?.(deadlineNs);
  }

  /** For QueuedTimer. */
  unqueueTimer(timer: QueuedTimer): void {
    const place = timer.place;
    if (place === NOT_QUEUED) return;
    timer.place = NOT_QUEUED;
    const last = this.#heap.pop()!;
    if (last === timer) return;
    this.#heap[place] = last;
    last.place = place;
    this.#rise(last);
    this.#sink(last);
  }

  #rise(timer: QueuedTimer): void {
    while (timer.place > 0) {
      const parent = this.#heap[(timer.place - 1) >> 1]!;
      if (!isBefore(timer, parent)) return;
      this.#swap(timer, parent);
    }
  }

  #sink(timer: QueuedTimer): void {
    for (;;) {
      const left = this.#heap[2 * timer.place + 1];
      const right = this.#heap[2 * timer.place + 2];
      if (left === undefined) return;
      const least = right !== undefined && isBefore(right, left) ? right : left;
      if (!isBefore(least, timer)) return;
      this.#swap(least, timer);
    }
  }

  #swap(a: QueuedTimer, b: QueuedTimer): void {
    const place = a.place;
    a.place = b.place;
    b.place = place;
    this.#heap[a.place] = a;
    this.#heap[b.place] = b;
  }
}

function isBefore(a: QueuedTimer, b: QueuedTimer): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence);
}
