// A machine: a board, harts that have their turns, a run state, and an end.
import type { Accelerator } from "../accel/port.ts";
import type { BlockNode } from "../block/port.ts";
import type { TimerQueue, YieldPort } from "../base/index.ts";
import type { Board } from "./board.ts";
import { MachineError } from "./errors.ts";
import type { GuestRequest } from "./guest-request.ts";
import type { HartThrottle } from "./hart-throttle.ts";
import type { HostWork } from "./host-work.ts";
import type { GuestClock } from "./pace.ts";
import type {
  AssignmentFacts,
  DeviceConfig,
  HostQuit,
  Machine,
  MachineExit,
  MachineHost,
  MachineObserver,
  MachineStatistics,
  RunState,
} from "./port.ts";
import { MovableMachine } from "./move.ts";
import { AssignedDevices } from "./assigned-devices.ts";
import { RunStates, needsReset } from "./run-states.ts";
import { hartSource } from "../target/riscv/port.ts";
import type { Scheduler } from "./scheduler.ts";

export interface MachineParts {
  readonly board: Board;
  readonly throttle: HartThrottle;
  readonly clock: GuestClock;
  readonly timers: TimerQueue;
  readonly work?: HostWork;
  readonly yield: YieldPort;
  readonly noReboot: boolean;
  readonly noShutdown: boolean;
  readonly incoming?: boolean;
  readonly notice: (message: string) => void;
  readonly untouchedPages: MachineHost["untouchedPages"] | undefined;
  /** The disks that it has. */
  readonly blockNodes: readonly BlockNode[];
  /** Made with the machine's `attend` and `failed`. */
  readonly scheduler: (hooks: { attend: () => void; failed: (error: unknown) => void }) => Scheduler;
}

export class VirtualMachine implements Machine {
  readonly ended: Promise<MachineExit>;
  readonly #parts: MachineParts;
  readonly #scheduler: Scheduler;
  readonly #states = new RunStates((state) => this.#tell((observer) => observer.runState?.(state)));
  readonly #assigned: AssignedDevices;
  readonly #observers = new Set<MachineObserver>();
  #resolveEnded: (exit: MachineExit) => void = () => undefined;
  #exit: MachineExit | undefined;
  /** Called when the host no longer waits for the end of a machine. */
  #hurry: () => void = () => undefined;
  /** While a move is finished: what the machine did when it was asked to stand still. */
  #stateBeforeMove: RunState | undefined;
  #hasArrived = false;
  /** Disks are locked by this machine; not so those of one that has gone, or has not arrived. */
  #hasDisks: boolean;
  /** The first thing that the guest asked for since the harts last stood still. */
  #pending: GuestRequest | undefined;

  constructor(parts: MachineParts) {
    this.#parts = parts;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#scheduler = parts.scheduler({ attend: () => this.#attend(), failed: (error) => this.#failed(error) });
    this.#hasDisks = parts.incoming !== true;
    this.#assigned = new AssignedDevices(() => parts.board.movingDevices, parts.notice);
    parts.board.onDeviceRemoved = (id) => this.#tell((observer) => observer.deviceRemoved?.(id));
    parts.board.onDeviceState = (id, state) => this.#tell((observer) => observer.deviceState?.(id, state));
    parts.board.reset();
    if (parts.incoming === true) this.#states.to("inmigrate");
  }

  get runState(): RunState {
    return this.#states.current;
  }

  get boardDeviceTree(): Uint8Array {
    return this.#parts.board.deviceTree;
  }

  /** The state of every part, for streams and for tests. */
  get saveables(): Board["saveables"] {
    return this.#parts.board.saveables;
  }

  /** RAM and ROM, whose bytes belong to the saved state. */
  get memoryBlocks(): Board["memoryBlocks"] {
    return this.#parts.board.memoryBlocks;
  }

  get assignments(): readonly AssignmentFacts[] {
    return this.#parts.board.assignments;
  }

  get migrationBlockers(): Machine["migrationBlockers"] {
    return this.#parts.board.migrationBlockers;
  }

  get addressTree(): Machine["addressTree"] {
    return this.#parts.board.addressTree;
  }

  get flatView(): Machine["flatView"] {
    return this.#parts.board.flatView;
  }

  get systemBus(): Machine["systemBus"] {
    return this.#parts.board.systemBus;
  }

  get accelerator(): Accelerator {
    return this.#parts.board.harts[0]!.accelerator;
  }

  get statistics(): MachineStatistics {
    const { board, clock } = this.#parts;
    return { instructions: board.harts.map(({ executed }) => executed), guestNs: clock.nowNs() };
  }

  observe(observer: MachineObserver): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  get movable(): MovableMachine {
    const { board, clock } = this.#parts;
    return new MovableMachine({
      machineType: board.machineType,
      clock,
      blocks: board.memoryBlocks,
      memory: board.memory,
      notes: board.notes,
      saveables: board.saveables,
      streams: () => board.movingDevices,
      isRunning: () => this.runState === "running",
      stop: () => this.#finishMove(),
      start: () => this.#goOn(),
      giveUp: () => this.#giveUpDisks(),
      takeOver: () => this.#takeDisks(),
      untouchedPages: this.#parts.untouchedPages,
      hartSources: board.harts.map((_, hartId) => hartSource(hartId)),
      throttleHarts: (who, percents) => this.#parts.throttle.ask(who, percents),
      shortenSlices: (forNs) => this.#scheduler.shortenSlices(forNs),
      holdHart: (hart, isHeld) => {
        this.#parts.throttle.hold(hart, isHeld);
        if (isHeld) board.harts[hart]!.kick();
        else this.#scheduler.wake();
      },
    });
  }

  handedOver(): void {
    if (this.#exit === undefined) this.#states.to("postmigrate");
  }

  arrived(): void {
    this.#hasArrived = true;
    if (this.runState === "inmigrate") this.#states.to("paused");
  }

  start(): void {
    if (this.runState === "running") return;
    this.#checkAlive();
    this.#checkStays();
    if (this.runState === "inmigrate" && !this.#hasArrived) {
      throw new MachineError("badTransition", "The machine has not arrived yet; migrate-incoming would bring it");
    }
    if (!this.#hasDisks) {
      const message =
        "The machine's disks are given up to where it was moved; continuing it as by cont takes them back";
      throw new MachineError("badTransition", message);
    }
    if (needsReset(this.runState)) {
      throw new MachineError("badTransition", `A machine in state "${this.runState}" cannot go on; a reset would do`);
    }
    if (!this.#parts.board.canStart) {
      throw new MachineError("nothingToStart", "There is nothing to start; -kernel FILE or -bios FILE would do");
    }
    this.#states.to("running");
    this.#parts.clock.start();
    this.#assigned.start();
    this.#scheduler.start();
  }

  async resume(): Promise<void> {
    this.#checkStays();
    if (!this.#hasDisks && this.runState !== "inmigrate") await this.#takeDisks();
    this.start();
  }

  async stop(): Promise<void> {
    if (this.runState === "running") {
      this.#parts.clock.stop();
      this.#states.to("paused");
    }
    await this.#standStill(() => this.#pauseAssigned("quiesce"));
    this.#pauseAssigned("stop");
  }

  reset(): void {
    this.#checkAlive();
    if (this.#parts.noReboot) return this.#end({ cause: "host-quit", status: 0 });
    // No hart is in a run here: they run only in turns of the loop, and front ends are called between those.
    this.#pending = undefined;
    this.#resetBoard(false);
    if (this.runState !== "running") this.#states.to("prelaunch");
    this.#scheduler.wake();
  }

  addDevice(config: DeviceConfig): void {
    this.#checkAlive();
    this.#parts.board.plugDevice(config);
    this.#scheduler.wake();
  }

  removeDevice(id: string): void {
    this.#checkAlive();
    this.#parts.board.unplugDevice(id);
    this.#scheduler.wake();
  }

  quit(cause: HostQuit): void {
    if (this.#exit === undefined) this.#finish({ cause, status: 0 });
    this.#hurry();
  }

  async close(): Promise<void> {
    this.quit("host-quit");
    await this.ended;
    this.#parts.board.close();
  }

  /** A device or firmware asks during a run; it is done when the run has come back. */
  request(request: GuestRequest): void {
    this.#pending ??= request;
    this.#scheduler.interrupt();
  }

  #attend(): void {
    const request = this.#pending;
    this.#pending = undefined;
    if (request === undefined) return;
    if (request.kind === "powerOff") this.#end({ cause: "guest-shutdown", status: 0 });
    else if (request.kind === "fail") this.#end({ cause: "guest-panic", status: request.status });
    else if (this.#parts.noReboot) this.#end({ cause: "guest-reset", status: 0 });
    else this.#resetBoard(true);
  }

  #resetBoard(isGuest: boolean): void {
    this.#parts.board.reset();
    this.#tell((observer) => observer.reset?.(isGuest));
  }

  #tell(what: (observer: MachineObserver) => void): void {
    for (const observer of this.#observers) what(observer);
  }

  /** Unless the machine was started again meanwhile. */
  #pauseAssigned(step: "quiesce" | "stop"): void {
    if (this.runState !== "running") this.#assigned.pause(step);
  }

  /** Stands still for the last part of a move. */
  async #finishMove(): Promise<void> {
    if (this.runState === "running") this.#parts.clock.stop();
    this.#stateBeforeMove = this.runState;
    this.#states.to("finish-migrate");
    await this.#standStill(() => this.#assigned.quiesce());
    this.#assigned.stop();
  }

  async #giveUpDisks(): Promise<void> {
    this.#hasDisks = false;
    for (const node of this.#parts.blockNodes) await node.inactivate?.();
  }

  async #takeDisks(): Promise<void> {
    for (const node of this.#parts.blockNodes) await node.activate?.();
    this.#hasDisks = true;
  }

  /** What stands still to be moved may be given over at any moment. */
  #checkStays(): void {
    if (this.runState !== "finish-migrate" || this.#stateBeforeMove === undefined) return;
    throw new MachineError("badTransition", "Migration is not finalized yet");
  }

  /** After a move that failed, as before; after one that came, running. */
  #goOn(): void {
    const before = this.#stateBeforeMove ?? "running";
    this.#stateBeforeMove = undefined;
    this.#hasArrived = true;
    if (before === "running") this.start();
    else this.#states.to(before);
  }

  /** The guest is done: with `noShutdown` it stays to be looked at, else the machine ends. */
  #end(exit: MachineExit): void {
    this.#parts.clock.stop();
    if (this.runState === "running") this.#states.to("shutdown");
    if (this.#parts.noShutdown) {
      this.#tell((observer) => observer.shutdown?.(exit));
      void this.#scheduler.stop();
    } else this.#finish(exit);
  }

  #finish(exit: MachineExit): void {
    this.#exit = exit;
    this.#parts.clock.stop();
    if (this.runState === "running") this.#states.to("shutdown");
    this.#tell((observer) => observer.shutdown?.(exit));
    const finished = (): void => this.#resolveEnded(exit);
    const hurried = new Promise<void>((resolve) => {
      this.#hurry = resolve;
    });
    const { work } = this.#parts;
    const outputTaken = work === undefined ? undefined : Promise.race([work.outputTaken(), hurried]);
    this.#standStill()
      .then(() => outputTaken)
      .then(finished, finished);
  }

  /** One of our invariants broke. Nothing of this machine can be trusted any more. */
  #failed(error: unknown): void {
    this.#parts.clock.stop();
    if (this.runState === "running") this.#states.to("internal-error");
    if (this.#exit !== undefined) return;
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#exit = { cause: "internal-error", status: 1, message };
    this.#resolveEnded(this.#exit);
  }

  /** Resolves when no hart runs and no device waits for the host. Rejects with what `hartsStopped` throws. */
  async #standStill(hartsStopped: () => void = () => undefined): Promise<void> {
    await this.#scheduler.stop();
    hartsStopped();
    const { work } = this.#parts;
    work?.hurry();
    await work?.finish(Promise.resolve());
    const draining = this.#parts.board.drain().then(() => true);
    // Devices continue long requests by timers that are due at once; nobody else runs those now.
    while (!(await Promise.race([draining, this.#parts.yield.turn().then(() => false)]))) {
      this.#parts.timers.runDue();
    }
  }

  #checkAlive(): void {
    if (this.#exit === undefined) return;
    throw new MachineError("badTransition", `The machine has ended (${this.#exit.cause}); a new one would do`);
  }
}
