// A machine's migrations, one at a time: what monitors start, watch and end.
import type { TimerPort, YieldPort } from "../base/index.ts";
import { DirtyRateMeter } from "./dirty-rate.ts";
import { dryChannel } from "./dry-channel.ts";
import { MigrationError } from "./errors.ts";
import { HartLimits } from "./hart-limits.ts";
import { IncomingMigration } from "./incoming.ts";
import { OutgoingMigration } from "./outgoing.ts";
import type { MigratableMachine, MigrationChannel, PackingPort } from "./port.ts";
import { rehearseLoading, rehearseTaking } from "./rehearsal.ts";
import { DEFAULT_PARAMETERS, type MigrationParameters } from "./parameters.ts";
import type { MigrationPhase, MigrationProgress, MigrationRound } from "./progress.ts";

/** What is done a second time still takes twice as long as what is done often. */
const MORE_TIMES = 4;
/** A file is open by then. */
const SOON_NS = 20_000_000;

/** What a platform lends: channels by QEMU's URIs. */
export interface MigrationHost {
  /** On the host's clock. */
  readonly timers: TimerPort;
  readonly yield: Pick<YieldPort, "turn">;
  readonly packing?: PackingPort;
  /** Connects, or makes the file. Rejects with a VmError that names what was wrong. */
  connect(uri: string): Promise<MigrationChannel>;
  /** Waits for the source, or opens the file. */
  accept(uri: string): Promise<MigrationChannel>;
}

export interface MigrationSubject {
  readonly machine: MigratableMachine;
  /** Everything that keeps it from migrating, as sentences. */
  readonly blockedReasons: () => readonly string[];
  /** It runs elsewhere. */
  readonly handedOver: () => void;
  /** It is here, and was not to be started. */
  readonly arrived: () => void;
  /** Whether an arriving machine starts, until that is changed. */
  readonly startsOnArrival: boolean;
  /** The parameter `dirtyOracle` until it is changed. */
  readonly withOracle: boolean;
}

export interface MigrationListener {
  phase?(phase: MigrationPhase): void;
  round?(round: MigrationRound): void;
}

export class MigrationControl {
  parameters: MigrationParameters;
  /** Whether an arriving machine starts: `cont` and `stop` while it is awaited. */
  startsOnArrival: boolean;
  /** How fast the machine writes. */
  readonly dirtyRate: DirtyRateMeter;
  /** Harts held to so much a second, by an operator. */
  readonly hartLimits: HartLimits;
  readonly #subject: MigrationSubject;
  readonly #host: MigrationHost;
  readonly #listeners = new Set<MigrationListener>();
  #outgoing: OutgoingMigration | undefined;
  #isBusy = false;
  #incoming: { readonly phase: MigrationPhase; readonly error?: Error } | undefined;

  constructor(subject: MigrationSubject, host: MigrationHost) {
    this.#subject = subject;
    this.startsOnArrival = subject.startsOnArrival;
    this.parameters = { ...DEFAULT_PARAMETERS, dirtyOracle: subject.withOracle };
    this.#host = host;
    this.dirtyRate = new DirtyRateMeter(subject.machine, host.timers);
    this.hartLimits = new HartLimits(subject.machine, host.timers);
  }

  /** Of the newest migration from here. */
  get progress(): MigrationProgress | undefined {
    return this.#outgoing?.progress;
  }

  /** Of a migration to here. */
  get incoming(): { readonly phase: MigrationPhase; readonly error?: Error } | undefined {
    return this.#incoming;
  }

  /** A machine is on its way from here, or to here. */
  get isActive(): boolean {
    const phase = this.#incoming?.phase;
    return this.#isBusy || phase === "setup" || phase === "active";
  }

  get blockedReasons(): readonly string[] {
    return this.#subject.blockedReasons();
  }

  listen(listener: MigrationListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Begins to move the machine to `uri`; resolves when the channel is there, and the rest goes on in the background.
   * Rejects with a VmError when there is a migration already, something blocks it, or nobody is at the other end.
   */
  async migrate(uri: string): Promise<void> {
    await this.#begin(() => this.#host.connect(uri), false);
  }

  /**
   * Goes through the rounds of a migration without sending anything; the machine goes on here. The progress tells what a
   * migration would be like. Rejects with a VmError as `migrate` does.
   */
  async dryRun(): Promise<void> {
    if (!this.#subject.machine.isRunning) {
      throw new MigrationError("refused", "The machine does not run, so that a dry run has nothing to measure");
    }
    await this.#begin(async () => dryChannel, true);
  }

  async #begin(open: () => Promise<MigrationChannel>, isDryRun: boolean): Promise<void> {
    if (this.#isBusy) throw new MigrationError("refused", "There's a migration process in progress");
    const [reason] = this.#subject.blockedReasons();
    if (reason !== undefined) throw new MigrationError("blocked", reason);
    this.#isBusy = true;
    try {
      const channel = await open();
      const { timers, yield: turns, packing } = this.#host;
      this.#outgoing = new OutgoingMigration({
        machine: this.#subject.machine,
        channel,
        parameters: this.parameters,
        isDryRun,
        limitHarts: (bytesPerSecond) => this.hartLimits.set(bytesPerSecond),
        timers,
        yield: turns,
        packing,
        onPhase: (phase) => this.#listeners.forEach((each) => each.phase?.(phase)),
        onRound: (round) => this.#listeners.forEach((each) => each.round?.(round)),
      });
    } catch (error) {
      this.#isBusy = false;
      throw error;
    }
    void this.#finish(this.#outgoing);
  }

  /** Ends a migration from here, if there is one. */
  cancel(): void {
    this.#outgoing?.cancel();
  }

  /** Goes on where `pauseBeforeSwitchover` waits. Throws MigrationError when nothing waits. */
  proceed(): void {
    if (this.#outgoing?.progress.phase !== "pre-switchover") {
      throw new MigrationError("refused", "Migration not in expected state: pre-switchover");
    }
    this.#outgoing.proceed();
  }

  /** Changes parameters, also of a migration that is on its way. */
  set(parameters: Partial<MigrationParameters>): void {
    this.parameters = { ...this.parameters, ...parameters };
    if (this.#outgoing !== undefined) this.#outgoing.parameters = this.parameters;
  }

  /** Takes a machine from `uri`. Rejects with a VmError; this machine must not be used then. */
  async accept(uri: string): Promise<void> {
    this.#enter("setup");
    try {
      const accepting = this.#host.accept(uri);
      rehearseLoading(this.#subject.machine.parts);
      const channel = await this.#rehearsingWhile(accepting);
      this.#enter("active");
      const { machine, arrived } = this.#subject;
      const { packing } = this.#host;
      const incoming = new IncomingMigration({ machine, channel, starts: () => this.startsOnArrival, packing });
      await incoming.run();
      if (!incoming.hasStarted) arrived();
      this.#enter("completed");
    } catch (error) {
      this.#incoming = { phase: "failed", ...(error instanceof Error && { error }) };
      this.#listeners.forEach((each) => each.phase?.("failed"));
      throw error;
    }
  }

  /** What is not there soon is waited for. */
  async #rehearsingWhile<T>(waiting: Promise<T>): Promise<T> {
    const { timers } = this.#host;
    const rehearsal = timers.create("migration.rehearsal", () => {
      rehearseLoading(this.#subject.machine.parts, MORE_TIMES);
      void rehearseTaking();
    });
    rehearsal.arm(timers.clock.nowNs() + SOON_NS);
    return waiting.finally(() => rehearsal.disarm());
  }

  #enter(phase: MigrationPhase): void {
    this.#incoming = { phase };
    this.#listeners.forEach((each) => each.phase?.(phase));
  }

  async #finish(outgoing: OutgoingMigration): Promise<void> {
    this.#listeners.forEach((each) => each.phase?.("setup"));
    try {
      await outgoing.run();
      if (!outgoing.progress.isDryRun) this.#subject.handedOver();
    } catch {
      // The progress has the error; the machine goes on, unless it was handed over already.
      if (outgoing.wasHandedOver) this.#subject.handedOver();
    } finally {
      this.#isBusy = false;
    }
  }
}
