// Timers and yielding over Node's event loop. They belong together: a sleep must end exactly when a timer is due,
// and setTimeout alone knows only whole milliseconds.
import type { ClockPort, Timer, TimerPort, YieldPort } from "../../base/index.ts";

const MAX_TIMEOUT_MS = 0x7fff_ffff;
/** For how long the thread is blocked at a time at most; what comes in meanwhile (a disk's answer, say) waits as long. */
const BLOCK_MS = 0.1;

class NodeTimer implements Timer {
  readonly name: string;
  readonly fire: () => void;
  deadlineNs: number | undefined;
  readonly #owner: NodeEventLoop;

  constructor(owner: NodeEventLoop, name: string, fire: () => void) {
    this.#owner = owner;
    this.name = name;
    this.fire = fire;
  }

  arm(deadlineNs: number): void {
    this.deadlineNs = deadlineNs;
    this.#owner.armed(this, deadlineNs);
  }

  disarm(): void {
    this.deadlineNs = undefined;
    this.#owner.disarmed(this);
  }
}

/**
 * The time side of a machine's host. Timers fire between turns: from `turn`, from `sleep`, and from a fall-back
 * timeout (up to a millisecond late) when the machine does neither, as when it is paused.
 */
export class NodeEventLoop implements TimerPort, YieldPort {
  readonly clock: ClockPort;
  readonly #armed = new Set<NodeTimer>();
  readonly #sleepCell = new Int32Array(new SharedArrayBuffer(4));
  #alarm: NodeJS.Timeout | undefined;
  #alarmNs = Infinity;
  #endSleep: (() => void) | undefined;
  #sleepUntilNs = Infinity;
  #sleepTimeout: NodeJS.Timeout | undefined;
  #sleepImmediate: NodeJS.Immediate | undefined;
  #wakeLatched = false;

  constructor(clock: ClockPort) {
    this.clock = clock;
  }

  create(name: string, fire: () => void): Timer {
    return new NodeTimer(this, name, fire);
  }

  armed(timer: NodeTimer, deadlineNs: number): void {
    this.#armed.add(timer);
    if (deadlineNs < this.#alarmNs) this.#setAlarm(deadlineNs);
  }

  disarmed(timer: NodeTimer): void {
    this.#armed.delete(timer);
  }

  turn(): Promise<void> {
    // One immediate is one whole round of the loop: expired timeouts, then input, then us.
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#expire();
        resolve();
      });
    });
  }

  sleep(delayMs: number | undefined): Promise<void> {
    if (this.#wakeLatched) {
      this.#wakeLatched = false;
      return this.turn();
    }
    this.#sleepUntilNs = delayMs === undefined ? Infinity : this.clock.nowNs() + delayMs * 1e6;
    return new Promise((resolve) => {
      this.#endSleep = resolve;
      this.#continueSleep();
    });
  }

  wake(): void {
    if (this.#endSleep === undefined) {
      this.#wakeLatched = true;
      return;
    }
    const resolve = this.#endSleep;
    this.#endSleep = undefined;
    clearTimeout(this.#sleepTimeout);
    clearImmediate(this.#sleepImmediate);
    resolve();
  }

  /** Forgets every timer; nothing fires any more and nothing keeps the process alive. */
  close(): void {
    for (const timer of this.#armed) timer.deadlineNs = undefined;
    this.#armed.clear();
    clearTimeout(this.#alarm);
    this.#alarmNs = Infinity;
    this.wake();
  }

  #continueSleep(): void {
    const untilNs = Math.min(this.#sleepUntilNs, this.#nextDeadlineNs());
    const remainingMs = (untilNs - this.clock.nowNs()) / 1e6;
    if (remainingMs >= 1) {
      this.#sleepTimeout = setTimeout(() => this.#slept(), Math.min(Math.floor(remainingMs), MAX_TIMEOUT_MS));
      return;
    }
    this.#sleepImmediate = setImmediate(() => {
      // Less than a millisecond: block instead of spinning.
      const restMs = (untilNs - this.clock.nowNs()) / 1e6;
      if (restMs > 0) Atomics.wait(this.#sleepCell, 0, 0, Math.min(restMs, BLOCK_MS));
      this.#slept();
    });
  }

  #slept(): void {
    this.#expire();
    if (this.#endSleep === undefined) return;
    if (this.clock.nowNs() < this.#sleepUntilNs) return this.#continueSleep();
    const resolve = this.#endSleep;
    this.#endSleep = undefined;
    resolve();
  }

  #nextDeadlineNs(): number {
    let next = Infinity;
    for (const { deadlineNs } of this.#armed) if (deadlineNs !== undefined && deadlineNs < next) next = deadlineNs;
    return next;
  }

  #expire(): void {
    const nowNs = this.clock.nowNs();
    const due = [...this.#armed]
      .filter((timer) => (timer.deadlineNs ?? Infinity) <= nowNs)
      .map((timer) => ({ timer, deadlineNs: timer.deadlineNs ?? 0 }))
      .sort((a, b) => a.deadlineNs - b.deadlineNs);
    for (const { timer, deadlineNs } of due) {
      // An earlier callback may have disarmed or re-armed this one.
      if (timer.deadlineNs !== deadlineNs) continue;
      timer.deadlineNs = undefined;
      this.#armed.delete(timer);
      timer.fire();
    }
    if (due.length > 0) this.#setAlarm(this.#nextDeadlineNs());
  }

  #setAlarm(deadlineNs: number): void {
    clearTimeout(this.#alarm);
    this.#alarmNs = deadlineNs;
    if (deadlineNs === Infinity) return;
    const delayMs = Math.ceil((deadlineNs - this.clock.nowNs()) / 1e6);
    this.#alarm = setTimeout(
      () => {
        this.#alarmNs = Infinity;
        this.#expire();
        const nextNs = this.#nextDeadlineNs();
        if (nextNs < this.#alarmNs) this.#setAlarm(nextNs);
      },
      Math.min(Math.max(delayMs, 0), MAX_TIMEOUT_MS),
    );
    this.#alarm.unref();
  }
}
