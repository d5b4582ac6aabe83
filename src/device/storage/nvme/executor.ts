// The way of a command: taken from its submission queue, carried out, completed. Commands of I/O queues run many at a
// time and complete in the order in which their nodes finish.
import type { Timer, TimerPort, TracePort } from "../../../base/index.ts";
import type { DmaPort, WorkPort } from "../../port.ts";
import { WorkBudget } from "../../work-budget.ts";
import { AdminCommands } from "./admin.ts";
import { AsyncEvents } from "./async-events.ts";
import type { NvmeConfig } from "./config.ts";
import { Outcome, type ControllerPort } from "./controller-port.ts";
import { Features } from "./features.ts";
import { IoCommands } from "./io.ts";
import { LogPages } from "./log-pages.ts";
import type { NvmeNamespace } from "./namespace.ts";
import { QueueSet, type QueueSettings } from "./queue-set.ts";
import type { CompletionQueue, SubmissionQueue } from "./queues.ts";
import { Request } from "./request.ts";
import { AdminOpcode, COMPLETION_BYTES, Sc, StatusFlag } from "./spec.ts";

/** Commands at the host at the same time; the others wait in their queues. */
const MAX_RUNNING = 32;
/** Commands taken before the machine has its next turn. */
const COMMANDS_PER_TURN = 1024;
/** What nodes may move before the machine has its next turn. */
const BYTES_PER_TURN = 16 * 2 ** 20;

export interface ExecutorOptions {
  /** As traces call it. */
  readonly name: string;
  readonly config: NvmeConfig;
  readonly namespaces: ReadonlyMap<number, NvmeNamespace>;
  readonly dma: DmaPort;
  readonly trace: TracePort;
  readonly timers: TimerPort;
  readonly work?: WorkPort | undefined;
  readonly queueSettings: () => QueueSettings;
  /** A completion was written. */
  readonly posted: (queue: CompletionQueue) => void;
  /** Memory gives no commands or takes no completions. */
  readonly failed: (reason: string) => void;
}

export class Executor implements ControllerPort {
  readonly name: string;
  readonly config: NvmeConfig;
  readonly namespaces: ReadonlyMap<number, NvmeNamespace>;
  readonly dma: DmaPort;
  readonly trace: TracePort;
  readonly queues: QueueSet;
  readonly features: Features;
  readonly logs: LogPages = new LogPages();
  readonly events: AsyncEvents;
  /** Told when a block node fails; the guest has got an error. */
  onIoError: ((operation: string, error: unknown) => void) | undefined;
  readonly #options: ExecutorOptions;
  readonly #admin: AdminCommands;
  readonly #io: IoCommands;
  readonly #budget: WorkBudget;
  readonly #nextTurn: Timer;
  readonly #entry = new Uint8Array(COMPLETION_BYTES);
  readonly #entryView = new DataView(this.#entry.buffer);
  readonly #spare: Request[] = [];
  /** Commands that wait for the host. */
  readonly #active = new Set<Request>();
  /** Those that the host finished, or that stopped half-way, while the device stood still: carried out once more. */
  #held: Request[] = [];
  readonly #turnWaiters: (() => void)[] = [];
  readonly #idleWaiters: (() => void)[] = [];
  readonly #emptyWaiters = new Map<SubmissionQueue, () => void>();
  #generation = 0;
  /** Active requests of before the last reset: new ones wait for them, lest an old write undo a new one. */
  #stale = 0;
  /** The controller is ready, and the device does not stand still. */
  #isReady = false;
  #isRunning = true;
  #isTaking = false;
  /** The submission queue that was served last. */
  #lastServed = 0;

  constructor(options: ExecutorOptions) {
    const { name, config, timers, work } = options;
    this.#options = options;
    this.name = name;
    this.config = config;
    this.namespaces = options.namespaces;
    this.dma = options.dma;
    this.trace = options.trace;
    this.queues = new QueueSet(config);
    this.features = new Features(config);
    this.events = new AsyncEvents({
      requestLimit: config.asyncEventLimit + 1,
      eventLimit: config.asyncEventQueue,
      complete: (request) => this.#completeWaiting(request, Sc.success),
    });
    this.#admin = new AdminCommands(this);
    this.#io = new IoCommands(this);
    this.#budget = new WorkBudget({
      timers,
      name: `${name}.turn`,
      // Work that others give its time needs no turns of its own.
      bytesPerTurn: work === undefined ? BYTES_PER_TURN : Infinity,
      onRefill: () => {
        for (const resolve of this.#turnWaiters.splice(0)) resolve();
      },
    });
    this.#nextTurn = timers.create(`${name}.commands`, () => this.take());
  }

  get queueSettings(): QueueSettings {
    return this.#options.queueSettings();
  }

  /** Commands that were taken and not completed, besides those that wait for events. */
  get unfinished(): readonly Request[] {
    return [...this.#active].filter(({ generation }) => generation === this.#generation).concat(this.#held);
  }

  /** The controller became ready, or ceases to be. */
  setReady(ready: boolean): void {
    this.#isReady = ready;
  }

  /** While it does not run, no command is taken and nothing touches memory. */
  setRunning(running: boolean): void {
    if (running === this.#isRunning) return;
    this.#isRunning = running;
    if (!running) return this.#nextTurn.disarm();
    for (const request of this.#held.splice(0)) this.#start(request);
    this.events.report();
    this.take();
  }

  /** A reset of the controller: its queues are gone, and what is under way is forgotten when it ends. */
  reset(): void {
    this.#generation++;
    this.#stale = this.#active.size;
    this.#isReady = false;
    this.#nextTurn.disarm();
    this.queues.clear();
    this.features.reset();
    for (const request of [...this.events.reset(), ...this.#held.splice(0)]) this.#free(request);
    for (const resolve of [...this.#emptyWaiters.values()]) resolve();
    this.#emptyWaiters.clear();
    for (const resolve of this.#turnWaiters.splice(0)) resolve();
  }

  close(): void {
    this.reset();
    this.#budget.close();
  }

  async drain(): Promise<void> {
    this.#budget.setUnlimited(true);
    while (this.#active.size > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    this.#budget.setUnlimited(false);
  }

  /** Takes what queues hold, one of each in turn. */
  take(): void {
    if (this.#isTaking || !this.#isRunning) return;
    this.#isTaking = true;
    let left = COMMANDS_PER_TURN;
    while (left > 0 && this.#takeOne()) left--;
    this.#isTaking = false;
    if (left === 0 && this.#isReady) this.#nextTurn.arm(this.#options.timers.clock.nowNs());
  }

  /** Puts back what was under way when the state was saved. */
  adopt(command: Uint8Array, queue: SubmissionQueue): Request {
    const request = this.#allocate(queue);
    request.bytes.set(command);
    return request;
  }

  /** Goes on with `unfinished` commands that were adopted. */
  replay(unfinished: readonly Request[]): void {
    for (const { queue } of unfinished) this.#promise(queue!);
    this.#held.push(...unfinished);
    if (!this.#isRunning) return;
    for (const request of this.#held.splice(0)) this.#start(request);
    this.take();
  }

  // The commands' side.

  mayGoOn(request: Request): boolean {
    return this.#isRunning && request.generation === this.#generation;
  }

  turn(bytes: number): Promise<void> | undefined {
    if (this.#budget.spend(bytes)) return undefined;
    return new Promise((resolve) => this.#turnWaiters.push(resolve));
  }

  whenEmpty(queue: SubmissionQueue): Promise<void> | undefined {
    if (queue.outstanding === 0) return undefined;
    return new Promise((resolve) => this.#emptyWaiters.set(queue, resolve));
  }

  finishWaiting(request: Request, status: number): void {
    const { completion } = request.queue!;
    completion.reserved++;
    request.queue!.outstanding++;
    this.#complete(request, status);
  }

  hostFailed(operation: string, error: unknown): void {
    this.onIoError?.(operation, error);
  }

  /** Work that waits for the host, in its time. */
  runForHost(task: () => Promise<void>): void {
    const { work } = this.#options;
    if (work === undefined) void task();
    else work.start(task);
  }

  #takeOne(): boolean {
    if (!this.#isReady || !this.#isRunning || this.#stale > 0 || this.#active.size >= MAX_RUNNING) return false;
    const queue = this.#nextQueue();
    if (queue === undefined) return false;
    const request = this.#allocate(queue);
    if (!queue.take(this.dma, request.bytes)) {
      this.#free(request);
      this.#options.failed(`submission queue ${queue.id} is not in memory`);
      return false;
    }
    this.#lastServed = queue.id;
    this.#promise(queue);
    this.#start(request);
    return true;
  }

  /** The next queue with a command, after the one served last, whose completion has room. */
  #nextQueue(): SubmissionQueue | undefined {
    let first: SubmissionQueue | undefined;
    let following: SubmissionQueue | undefined;
    for (const queue of this.queues.submission.values()) {
      if (!queue.hasCommands || !queue.completion.hasRoom) continue;
      if (first === undefined || queue.id < first.id) first = queue;
      if (queue.id > this.#lastServed && (following === undefined || queue.id < following.id)) following = queue;
    }
    return following ?? first;
  }

  #promise(queue: SubmissionQueue): void {
    queue.outstanding++;
    queue.completion.reserved++;
  }

  #start(request: Request): void {
    const isAdmin = request.queue!.id === 0;
    if (isAdmin && request.opcode !== AdminOpcode.format) {
      const outcome = this.#admin.execute(request);
      if (typeof outcome === "number") return this.#ended(request, outcome);
      this.#active.add(request);
      void outcome.then((status) => this.#ended(request, status));
      return;
    }
    this.#active.add(request);
    const commands = isAdmin ? this.#admin : this.#io;
    this.runForHost(async () => this.#ended(request, await commands.execute(request)));
  }

  #ended(request: Request, outcome: number): void {
    const wasActive = this.#active.delete(request);
    if (request.generation !== this.#generation) {
      // One that was not under way was overtaken by its own DMA, which reached the registers.
      if (wasActive) this.#stale--;
      this.#free(request);
    } else if (outcome === Outcome.waits) {
      // An event may never come: no entry is kept for it.
      request.queue!.outstanding--;
      request.queue!.completion.reserved--;
      this.events.report();
    } else if (!this.#isRunning) this.#held.push(request);
    else if (outcome === Outcome.interrupted) this.#start(request);
    else this.#complete(request, outcome);
    if (this.#active.size === 0) for (const resolve of this.#idleWaiters.splice(0)) resolve();
    if (wasActive) this.take();
  }

  /** Writes the completion of a command that has an entry promised. */
  #complete(request: Request, status: number): void {
    const queue = request.queue!;
    const { completion } = queue;
    const code = status === Sc.success ? status : this.#noteError(request, status);
    const view = this.#entryView;
    view.setUint32(0, request.result, true);
    view.setUint32(4, 0, true);
    view.setUint16(8, queue.head, true);
    view.setUint16(10, queue.id, true);
    view.setUint16(12, request.id, true);
    view.setUint16(14, (code << 1) | completion.phase, true);
    completion.reserved--;
    queue.outstanding--;
    this.#free(request);
    const isPosted = completion.post(this.dma, this.#entry);
    if (queue.outstanding === 0) this.#emptied(queue);
    if (isPosted) this.#options.posted(completion);
    else this.#options.failed(`completion queue ${completion.id} is not in memory`);
  }

  #emptied(queue: SubmissionQueue): void {
    const resolve = this.#emptyWaiters.get(queue);
    this.#emptyWaiters.delete(queue);
    resolve?.();
  }

  #completeWaiting(request: Request, status: number): boolean {
    if (!this.#isRunning || !request.queue!.completion.hasRoom) return false;
    this.finishWaiting(request, status);
    return true;
  }

  #noteError(request: Request, status: number): number {
    const code = status | StatusFlag.more;
    this.logs.noteError({
      queueId: request.queue!.id,
      commandId: request.id,
      status: code,
      block: request.queue!.id === 0 ? 0n : request.startBlock,
      namespaceId: request.namespaceId,
    });
    return code;
  }

  #allocate(queue: SubmissionQueue): Request {
    const request = this.#spare.pop() ?? new Request();
    request.queue = queue;
    request.generation = this.#generation;
    request.result = 0;
    return request;
  }

  #free(request: Request): void {
    request.queue = undefined;
    this.#spare.push(request);
  }
}
