// Gives the harts their turns on the machine's one thread: slices of guest code between turns of the event loop, timers
// between shorter runs inside a slice, sleep when every hart waits.
import type { ClockPort, TimerQueue, YieldPort } from "../base/index.ts";
import { assert } from "../base/index.ts";
import type { Vcpu } from "../accel/port.ts";
import type { HartThrottle } from "./hart-throttle.ts";
import type { HostWork } from "./host-work.ts";
import type { Pace } from "./pace.ts";

/** How long guest code may keep input and the platform's timers waiting. */
const SLICE_NS = 4_000_000;
/** The same while somebody waits for the platform, which answers soon, and for how many instructions at most. */
const SHORT_SLICE_NS = 100_000;
const SHORT_BUDGET = 4_000;
/** A guest that is this far ahead of the host is made to wait (`-icount align=on`; QEMU's figure). */
const AHEAD_LIMIT_NS = 3_000_000;

export interface SchedulerOptions {
  readonly vcpus: readonly Vcpu[];
  /** Guest time. */
  readonly timers: TimerQueue;
  /** Host time. */
  readonly clock: ClockPort;
  readonly yield: YieldPort;
  readonly pace: Pace;
  /** Harts that may not run all the time. */
  readonly throttle?: HartThrottle;
  /** Host requests for which guest time stands still. */
  readonly work?: HostWork;
  /** Called before a vCPU runs after another one did. */
  readonly switchedTo: (index: number) => void;
  /** Called at the next point where no vCPU runs after `interrupt`; may call `stop`. */
  readonly attend: () => void;
  /** One of our own invariants broke while guest code or a device ran. Nothing runs any more. */
  readonly failed: (error: unknown) => void;
}

interface Session {
  stopping: boolean;
  /** Resolves `stopped`. */
  stop: () => void;
  readonly stopped: Promise<void>;
  ended: Promise<void>;
}

export class Scheduler {
  readonly #options: SchedulerOptions;
  /** From start to stop; a new one may begin while the last one is coming to its end. */
  #session: Session | undefined;
  #attention = false;
  #sleeping = false;
  #running: Vcpu | undefined;
  #next = 0;
  #last: Vcpu | undefined;
  #shortUntilNs = 0;
  /** The shortest rest of a hart that would run, when the slice found none that may; 0 when none rests. */
  #restNs = 0;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    options.timers.onEarlierDeadline = (deadlineNs) => {
      if (this.#running !== undefined && options.pace.cuts(deadlineNs)) this.#running.kick();
      this.wake();
    };
  }

  get isRunning(): boolean {
    return this.#session !== undefined;
  }

  start(): void {
    const before = this.#session;
    assert(before?.stopping !== false, "running harts are not started again");
    const session = newSession();
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
    session.stop();
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

  /** For so long, in host nanoseconds, the platform has its turns more often: somebody on this thread waits for it. */
  shortenSlices(forNs: number): void {
    this.#shortUntilNs = this.#options.clock.nowNs() + forNs;
  }

  /** Ends the current run early, unless it is `vcpu`'s own: that one should have its turn soon. */
  giveWayTo(vcpu: Vcpu): void {
    if (this.#running !== vcpu) this.#running?.kick();
  }

  async #run(session: Session): Promise<void> {
    try {
      // The first slice begins in a turn of its own, so that `start` returns first.
      await this.#options.yield.turn();
      while (!session.stopping) {
        const idle = this.#slice(session);
        if (session.stopping) return;
        const { work } = this.#options;
        if (work?.isDue === true) await work.finish(session.stopped).then(() => this.#giveTurn());
        else if (this.#restNs > 0) await this.#rest(this.#restNs);
        else if (idle) await this.#sleep(this.#options.pace.idle());
        else await this.#giveTurn();
      }
    } catch (error) {
      session.stopping = true;
      this.#options.failed(error);
    }
  }

  async #sleep(durationNs: number): Promise<void> {
    if (durationNs > 0) {
      this.#sleeping = true;
      await this.#options.yield.sleep(durationNs === Infinity ? undefined : durationNs / 1e6);
      this.#sleeping = false;
    } else {
      // Timers that are due again and again must not keep input waiting.
      await this.#options.yield.turn();
    }
    this.#options.pace.woke();
  }

  /** Timers go on meanwhile; so does the clock of a guest whose time is the host's. */
  async #rest(restNs: number): Promise<void> {
    const { timers } = this.#options;
    const waitNs = Math.min(restNs, SLICE_NS, Math.max(0, timers.nextDeadlineNs() - timers.clock.nowNs()));
    if (waitNs <= 0) return this.#options.yield.turn();
    this.#sleeping = true;
    await this.#options.yield.sleep(waitNs / 1e6);
    this.#sleeping = false;
  }

  /** Between two slices: the platform's turn, and the wait of a guest that is ahead of it. */
  async #giveTurn(): Promise<void> {
    const aheadNs = this.#options.pace.aheadNs();
    if (aheadNs <= AHEAD_LIMIT_NS) return this.#options.yield.turn();
    this.#sleeping = true;
    await this.#options.yield.sleep(aheadNs / 1e6);
    this.#sleeping = false;
  }

  /** Runs harts in turn until the slice is over (false) or none is runnable (true). */
  #slice(session: { readonly stopping: boolean }): boolean {
    const { vcpus, timers, clock, work, pace, throttle } = this.#options;
    this.#restNs = 0;
    const startNs = clock.nowNs();
    const isShort = startNs < this.#shortUntilNs;
    const endNs = startNs + (isShort ? SHORT_SLICE_NS : SLICE_NS);
    const most = isShort ? SHORT_BUDGET : Infinity;
    let waiting = 0;
    while (waiting < vcpus.length) {
      if (this.#attention) {
        this.#attention = false;
        this.#options.attend();
      }
      if (session.stopping) return false;
      timers.runDue();
      if (work?.isDue === true) return false;
      const vcpu = vcpus[this.#next]!;
      this.#next = (this.#next + 1) % vcpus.length;
      if (!vcpu.runnable) {
        waiting++;
        continue;
      }
      const restNs = throttle?.isOn === true ? throttle.restNs(vcpu.index, clock.nowNs()) : 0;
      if (restNs > 0) {
        this.#restNs = this.#restNs === 0 ? restNs : Math.min(this.#restNs, restNs);
        waiting++;
        continue;
      }
      waiting = 0;
      this.#restNs = 0;
      if (this.#runOne(vcpu, most) >= endNs || pace.aheadNs() > AHEAD_LIMIT_NS) return false;
    }
    return !this.#attention;
  }

  /** At most so many instructions. Returns the host time after the run. */
  #runOne(vcpu: Vcpu, most: number): number {
    const { clock, pace, throttle } = this.#options;
    const startNs = clock.nowNs();
    const before = vcpu.executed;
    if (vcpu !== this.#last) this.#options.switchedTo(vcpu.index);
    this.#last = vcpu;
    this.#running = vcpu;
    const budget = Math.min(pace.begin(vcpu), most);
    let endNs = startNs;
    try {
      vcpu.run(budget);
    } finally {
      this.#running = undefined;
      endNs = clock.nowNs();
      pace.end(vcpu.executed - before, startNs, endNs);
      throttle?.ran(vcpu.index, startNs, endNs);
    }
    return endNs;
  }
}

function newSession(): Session {
  let stop = (): void => undefined;
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  return { stopping: false, stop, stopped, ended: Promise.resolve() };
}
