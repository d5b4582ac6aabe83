// Gives the harts their turns on the machine's one thread: slices of guest code between turns of the event loop, timers
// between shorter runs inside a slice, sleep when every hart waits.
import type { ClockPort, TimerQueue, YieldPort } from "../base/index.ts";
import { assert } from "../base/index.ts";
import type { Vcpu } from "../accel/port.ts";

/** How long guest code may keep input and the platform's timers waiting. */
const SLICE_NS = 4_000_000;
/** How long one run may keep guest timers and the other harts waiting. */
const RUN_NS = 500_000;
const MIN_BUDGET = 20_000;
const MAX_BUDGET = 250_000;
/** Shorter runs say nothing about speed. */
const MEASURED_INSTRUCTIONS = 5_000;

export interface SchedulerOptions {
  readonly vcpus: readonly Vcpu[];
  /** Guest time. */
  readonly timers: TimerQueue;
  /** Host time. */
  readonly clock: ClockPort;
  readonly yield: YieldPort;
  /** Called before a vCPU runs after another one did. */
  readonly switchedTo: (index: number) => void;
  /** Called at the next point where no vCPU runs after `interrupt`; may call `stop`. */
  readonly attend: () => void;
  /** One of our own invariants broke while guest code or a device ran. Nothing runs any more. */
  readonly failed: (error: unknown) => void;
}

export class Scheduler {
  readonly #options: SchedulerOptions;
  /** From start to stop; a new one may begin while the last one is coming to its end. */
  #session: { stopping: boolean; readonly ended: Promise<void> } | undefined;
  #attention = false;
  #sleeping = false;
  #running: Vcpu | undefined;
  #next = 0;
  #last: Vcpu | undefined;
  #budget: number = MIN_BUDGET;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    options.timers.onEarlierDeadline = () => this.wake();
  }

  get isRunning(): boolean {
    return this.#session !== undefined;
  }

  start(): void {
    const before = this.#session;
    assert(before?.stopping !== false, "running harts are not started again");
    const session = { stopping: false, ended: Promise.resolve() };
    session.ended = (before?.ended ?? Promise.resolve())
      .then(() => this.#run(session))
      .finally(() => {
        if (this.#session === session) this.#session = undefined;
      });
    this.#session = session;
  }

  /** Resolves when no hart runs; may be called from inside a run. */
  async stop(): Promise<void> {
    const session = this.#session;
    if (session === undefined) return;
    session.stopping = true;
    this.#running?.kick();
    this.wake();
    await session.ended;
  }

  /** Asks that `attend` be called soon, from inside a run or from outside. */
  interrupt(): void {
    this.#attention = true;
    this.#running?.kick();
    this.wake();
  }

  /** Ends a sleep: a hart may have become runnable. */
  wake(): void {
    if (this.#sleeping) this.#options.yield.wake();
  }

  /** Ends the current run early, unless it is `vcpu`'s own: that one should have its turn soon. */
  giveWayTo(vcpu: Vcpu): void {
    if (this.#running !== vcpu) this.#running?.kick();
  }

  async #run(session: { stopping: boolean }): Promise<void> {
    try {
      // The first slice begins in a turn of its own, so that `start` returns first.
      await this.#options.yield.turn();
      while (!session.stopping) {
        const idle = this.#slice(session);
        if (session.stopping) return;
        if (!idle) await this.#options.yield.turn();
        else await this.#sleep();
      }
    } catch (error) {
      session.stopping = true;
      this.#options.failed(error);
    }
  }

  async #sleep(): Promise<void> {
    const { timers } = this.#options;
    const remainingNs = timers.nextDeadlineNs() - timers.clock.nowNs();
    if (remainingNs <= 0) return;
    this.#sleeping = true;
    await this.#options.yield.sleep(remainingNs === Infinity ? undefined : remainingNs / 1e6);
    this.#sleeping = false;
  }

  /** Runs harts in turn until the slice is over (false) or none is runnable (true). */
  #slice(session: { readonly stopping: boolean }): boolean {
    const { vcpus, timers, clock } = this.#options;
    const endNs = clock.nowNs() + SLICE_NS;
    let waiting = 0;
    while (waiting < vcpus.length) {
      if (this.#attention) {
        this.#attention = false;
        this.#options.attend();
      }
      if (session.stopping) return false;
      timers.runDue();
      const vcpu = vcpus[this.#next]!;
      this.#next = (this.#next + 1) % vcpus.length;
      if (!vcpu.runnable) {
        waiting++;
        continue;
      }
      waiting = 0;
      if (this.#runOne(vcpu) >= endNs) return false;
    }
    return !this.#attention;
  }

  /** Returns the host time after the run. */
  #runOne(vcpu: Vcpu): number {
    const { clock } = this.#options;
    const startNs = clock.nowNs();
    const before = vcpu.executed;
    if (vcpu !== this.#last) this.#options.switchedTo(vcpu.index);
    this.#last = vcpu;
    this.#running = vcpu;
    try {
      vcpu.run(this.#budget);
    } finally {
      this.#running = undefined;
    }
    const endNs = clock.nowNs();
    const executed = vcpu.executed - before;
    if (executed >= MEASURED_INSTRUCTIONS && endNs > startNs) {
      const wanted = (executed / (endNs - startNs)) * RUN_NS;
      // A quarter of the way at a time: one run that was all device accesses says little of the next.
      const moved = this.#budget + (wanted - this.#budget) / 4;
      this.#budget = Math.round(Math.min(MAX_BUDGET, Math.max(MIN_BUDGET, moved)));
    }
    return endNs;
  }
}
