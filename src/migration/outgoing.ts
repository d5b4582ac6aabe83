// The source's side: pages round after round while the machine runs, then, with the machine stopped, the rest.
import { assert, concatBytes, VmError, type TimerPort, type YieldPort } from "../base/index.ts";
import { PAGE_BYTES } from "../memory/index.ts";
import { encodeState } from "../state/index.ts";
import { Converging } from "./converging.ts";
import { MigrationError, refusedBy } from "./errors.ts";
import { OutgoingPages } from "./outgoing-pages.ts";
import { OutgoingStreams } from "./outgoing-streams.ts";
import { Patience } from "./patience.ts";
import { Packer } from "./packer.ts";
import type { MigratableMachine, MigrationChannel, PackingPort } from "./port.ts";
import { DEFAULT_PARAMETERS, type MigrationParameters } from "./parameters.ts";
import type { MigrationPhase, MigrationProgress, MigrationRound } from "./progress.ts";
import { SavingRehearsal } from "./rehearsal.ts";
import { ReturnPath } from "./return-path.ts";
import { Sending } from "./sending.ts";
import { FrameNumbers } from "./stream/frame-numbers.ts";
import { titleOf } from "./stream/frame-title.ts";
import { FrameWriter, preamble } from "./stream/frame-writer.ts";
import { factsOf } from "./stream/machine-facts.ts";
import { FrameKind } from "./stream/spec.ts";

export interface OutgoingOptions {
  readonly machine: MigratableMachine;
  readonly channel: MigrationChannel;
  readonly parameters?: Partial<MigrationParameters>;
  /** On the host's clock. */
  readonly timers: TimerPort;
  readonly yield: Pick<YieldPort, "turn">;
  /** Where it is absent nothing is compressed. */
  readonly packing?: PackingPort | undefined;
  readonly onPhase?: (phase: MigrationPhase) => void;
  readonly onRound?: (round: MigrationRound) => void;
  /** Holds every hart to so many bytes a second; undefined lets go. */
  readonly limitHarts?: (bytesPerSecond: number | undefined) => void;
  /** Goes through rounds and stops nothing; the channel takes everything and is nobody. */
  readonly isDryRun?: boolean;
}

/** A round that sends less says nothing about bandwidth. */
const TELLING_BYTES = 0x1_0000;
/** How long a round's last bytes may be under way. */
const MOST_ROUND_END_NS = 1_000_000_000;
/** What is sent within this is sent while the machine stands still. */
const SHORT_MS = 1;
/** A dry run that does not come to its end says so after this. */
const DRY_RUN_MS = 10_000;
/** How many turns a refusal is waited for, once the channel is broken. */
const LAST_WORD_TURNS = 3;

export class OutgoingMigration {
  /** May be changed at any time; what is used next counts. */
  parameters: MigrationParameters;
  readonly #options: OutgoingOptions;
  readonly #pages: OutgoingPages;
  readonly #frames: FrameWriter;
  readonly #streams: OutgoingStreams;
  readonly #patience: Patience;
  readonly #sending: Sending;
  readonly #converging: Converging;
  readonly #rehearsal: SavingRehearsal;
  #answers: ReturnPath | undefined;
  readonly #rounds: MigrationRound[] = [];
  #phase: MigrationPhase = "setup";
  #error: Error | undefined;
  #isCancelled = false;
  #wasRunning = false;
  #wasHandedOver = false;
  #isStopped = false;
  #hasAcked = false;
  #hasGivenUp = false;
  #startNs = 0;
  #setupMs = 0;
  #endNs: number | undefined;
  #stoppedAtNs: number | undefined;
  #downtimeMs: number | undefined;
  /** What streamed parts would have left if they stopped now. */
  #pendingDeviceBytes = 0;
  #dirtyBytesPerSecond = 0;
  #bandwidth: number | undefined;
  /** What it would be if nothing were compressed. */
  #plainBandwidth = 0;
  /**
   * Bytes of memory and devices that a second is enough for when the machine, which has its turns on this thread too,
   * stands still; pages of zeroes are sent in a word.
   */
  #pace = 0;
  #proceed: (() => void) | undefined;

  constructor(options: OutgoingOptions) {
    this.#options = options;
    this.parameters = { ...DEFAULT_PARAMETERS, ...options.parameters };
    const { machine } = options;
    const numbers = new FrameNumbers();
    this.#frames = new FrameWriter(numbers);
    this.#streams = new OutgoingStreams(machine.streams, (kind, name, bytes) =>
      this.#sending.send(this.#frames.named(kind, name, bytes)),
    );
    this.#patience = new Patience(options.timers);
    this.#sending = new Sending({
      ...options,
      patience: this.#patience,
      maxBandwidth: () => this.parameters.maxBandwidth,
      check: () => this.#checkGoingOn(),
    });
    const packer = options.packing === undefined ? undefined : new Packer(options.packing, this.#frames);
    this.#pages = new OutgoingPages(machine, numbers, this.#sending, packer);
    this.#rehearsal = new SavingRehearsal(machine.parts);
    this.#converging = new Converging(options);
  }

  /** The other side was told to run it; whether it does is not known when `run` rejects after that. */
  get wasHandedOver(): boolean {
    return this.#wasHandedOver;
  }

  get progress(): MigrationProgress {
    const nowNs = this.#endNs ?? this.#nowNs;
    return {
      phase: this.#phase,
      totalBytes: this.#pages.count * PAGE_BYTES,
      sentBytes: this.#sending.sentBytes,
      remainingBytes: this.#pendingBytes,
      deviceBytes: this.#streams.isEmpty ? undefined : this.#streams.sentBytes,
      zeroPages: this.#pages.zeroCount,
      normalPages: this.#pages.normalCount,
      rounds: this.#rounds,
      bandwidth: this.#bandwidth,
      dirtyBytesPerSecond: this.#dirtyBytesPerSecond,
      expectedDowntimeMs: this.#expectedDowntimeMs(),
      setupMs: this.#setupMs,
      totalMs: (nowNs - this.#startNs) / 1e6,
      downtimeMs: this.#downtimeMs,
      oracle: this.#pages.verdict,
      throttlePercent: this.#converging.throttlePercent,
      deviceThrottlePercent: this.#converging.devicePercent,
      prediction: this.#converging.prediction,
      isDryRun: this.#options.isDryRun === true,
      error: this.#error,
    };
  }

  /**
   * Moves the machine. Resolves when the other side has it, or the file is whole: the machine stays stopped. Rejects with
   * MigrationError, and the machine goes on if it ran before; the channel is closed either way.
   */
  async run(): Promise<void> {
    const { machine, channel } = this.#options;
    this.#startNs = this.#nowNs;
    this.#wasRunning = machine.isRunning;
    if (channel.isDuplex) this.#answers = new ReturnPath(channel);
    try {
      await this.#sending.send(preamble());
      await this.#sending.send(this.#frames.json(FrameKind.machine, factsOf(machine)));
      this.#pages.begin(this.parameters.dirtyOracle && this.#options.isDryRun !== true);
      this.#streams.begin();
      this.#setupMs = (this.#nowNs - this.#startNs) / 1e6;
      this.#enter("active");
      await this.#precopy();
      if (this.#options.isDryRun !== true) await this.#switchover();
      this.#converging.end();
      this.#streams.end();
      this.#enter("completed");
    } catch (cause) {
      throw await this.#failed(cause);
    } finally {
      this.#endNs = this.#nowNs;
      this.#patience.end();
      this.#pages.end();
      channel.close();
    }
  }

  /** Ends it soon: `run` rejects with `cancelled`, unless the machine has been handed over. */
  cancel(): void {
    if (this.#endNs !== undefined || this.#phase === "completed" || this.#isCancelled) return;
    this.#isCancelled = true;
    this.#enter("cancelling");
    this.#proceed?.();
    this.#options.channel.close();
  }

  /** Goes on where `pauseBeforeSwitchover` waits. */
  proceed(): void {
    this.#proceed?.();
  }

  async #precopy(): Promise<void> {
    // A stopped machine dirties nothing: one pass is the rest.
    while (this.#wasRunning) {
      await this.#round();
      if (this.#options.isDryRun === true && (this.#nowNs - this.#startNs) / 1e6 > DRY_RUN_MS) return;
      if (this.#expectedDowntimeMs() > this.parameters.downtimeLimitMs || this.#isWorthARound) continue;
      if (!this.#waitsForAck) return;
      await this.#answers!.acked();
      this.#hasAcked = true;
    }
  }

  /**
   * The downtime's limit is none to stay at: while rounds are short and each leaves less than half of what the last one left,
   * all of them together take no more than the machine would stand still for without them.
   */
  get #isWorthARound(): boolean {
    const [last, before] = [this.#rounds.at(-1)!, this.#rounds.at(-2)];
    const left = last.dirtyPages;
    if ((left * PAGE_BYTES * 1000) / this.#pace < SHORT_MS) return false;
    return left * 2 <= (before?.dirtyPages ?? last.sentPages);
  }

  /** What streamed parts have to say first has to be there, where that was asked for and can be answered. */
  get #waitsForAck(): boolean {
    const { switchoverAck } = this.parameters;
    return switchoverAck && !this.#hasAcked && this.#answers !== undefined && this.#streams.hasPrecopy;
  }

  async #round(): Promise<void> {
    const startNs = this.#nowNs;
    const before = {
      bytes: this.#sending.sentBytes,
      deviceBytes: this.#streams.sentBytes,
      savedBytes: this.#pages.savedBytes,
      turnsNs: this.#sending.turnsNs,
    };
    const sentPages = this.#pages.pendingCount;
    await this.#pages.send(() => this.#rehearsal.step());
    await this.#streams.sendChanged();
    await this.#sending.waiting(this.#options.channel.flush());
    await this.#endRound();
    // A round that has nothing to send is no reason to keep the machine waiting.
    await this.#options.yield.turn();
    const durationMs = Math.max((this.#nowNs - startNs) / 1e6, 0.001);
    const sentBytes = this.#sending.sentBytes - before.bytes;
    const deviceBytes = this.#streams.sentBytes - before.deviceBytes;
    const savedBytes = this.#pages.savedBytes - before.savedBytes;
    const plainBytes = sentBytes + savedBytes;
    // All of memory has many pages of zeroes, which a word is enough for; what is dirtied seldom has any.
    const tellingPages = this.#rounds.length === 0 ? this.#pages.normalCount : sentPages;
    const doneBytes = Math.max(plainBytes, tellingPages * PAGE_BYTES + deviceBytes);
    if (this.#bandwidth === undefined || doneBytes >= TELLING_BYTES) {
      this.#bandwidth = (sentBytes / durationMs) * 1000;
      this.#plainBandwidth = (plainBytes / durationMs) * 1000;
      const ownMs = durationMs - (this.#sending.turnsNs - before.turnsNs) / 1e6;
      this.#pace = (doneBytes / Math.max(ownMs, 0.001)) * 1000;
    }
    const { dirtyPageCount, bySource } = this.#pages.readDirty();
    this.#pendingDeviceBytes = this.#streams.leftBytes;
    this.#dirtyBytesPerSecond = (dirtyPageCount * PAGE_BYTES * 1000) / durationMs;
    const round = {
      number: this.#rounds.length + 1,
      sentBytes,
      sentPages,
      deviceBytes,
      savedBytes,
      durationMs,
      dirtyPages: dirtyPageCount,
      bySource: new Map(bySource),
    };
    this.#rounds.push(round);
    const facts = { bandwidth: this.#plainBandwidth, pace: this.#pace, deviceBytes: this.#pendingDeviceBytes };
    this.#converging.round(round, facts, this.parameters);
    this.#options.onRound?.(round);
  }

  /**
   * Waits until the other side has all of it: what is still under way would be waited for with the machine stopped. Not for
   * ever: a channel that is stuck is found out then.
   */
  async #endRound(): Promise<void> {
    if (this.#answers === undefined) return;
    await this.#sending.send(this.#frames.frame(FrameKind.roundEnd));
    this.#rehearsal.end();
    const taken = this.#answers.roundsTaken(this.#rounds.length + 1);
    await this.#sending.waiting(this.#patience.within(MOST_ROUND_END_NS, taken));
  }

  async #switchover(): Promise<void> {
    const { machine, channel } = this.#options;
    this.#stoppedAtNs = this.#nowNs;
    this.#isStopped = true;
    this.#sending.isAtFullSpeed = true;
    const running = machine.isRunning;
    this.#converging.settle();
    await this.#callingLate("The machine", machine.stop());
    if (this.parameters.pauseBeforeSwitchover) await this.#pause();
    this.#enter("device");
    this.#patience.begin(this.parameters.stallLimitMs, () => channel.close());
    await this.#sending.send(this.#frames.frame(FrameKind.stopped));
    const judge = this.#pages.readLastDirty();
    await this.#pages.send();
    await this.#streams.sendRest();
    this.#pendingDeviceBytes = 0;
    await this.#sending.send(concatBytes(this.#lastFrames(running)));
    await channel.flush();
    if (this.#answers === undefined) await this.#giveUp();
    else await this.#handOver(this.#answers);
    this.#downtimeMs = (this.#nowNs - this.#stoppedAtNs) / 1e6;
    // Memory stands still here, and nobody waits for the answer any more.
    judge();
  }

  /** Parts, and that this is all: sent together, as each that is sent alone wakes the other side. */
  #lastFrames(running: boolean): Uint8Array[] {
    const frames = [...this.#options.machine.parts].map(([name, part]) =>
      this.#frames.named(FrameKind.part, name, encodeState(part)),
    );
    const pages = this.#pages.zeroCount + this.#pages.normalCount;
    return [...frames, this.#frames.json(FrameKind.complete, { pages, running })];
  }

  /**
   * From the moment in which `handover` is sent the machine is the other side's, whatever becomes of the channel; only a
   * side that says itself that it does not run it gives it back.
   */
  async #handOver(answers: ReturnPath): Promise<void> {
    const { channel } = this.#options;
    await answers.expect(FrameKind.ready);
    this.#patience.feed();
    await this.#giveUp();
    this.#checkCancelled();
    this.#wasHandedOver = true;
    try {
      await channel.write(this.#frames.frame(FrameKind.handover));
      await channel.flush();
      await answers.expect(FrameKind.running);
    } catch (cause) {
      if (answers.refusal !== undefined) this.#wasHandedOver = false;
      throw cause;
    }
  }

  async #giveUp(): Promise<void> {
    const { machine } = this.#options;
    this.#hasGivenUp = true;
    if (machine.giveUp !== undefined) await this.#callingLate("Letting go of images", machine.giveUp());
  }

  async #pause(): Promise<void> {
    const proceeded = new Promise<void>((resolve) => {
      this.#proceed = resolve;
    });
    // Who is told of it may go on, or cancel, at once.
    this.#enter("pre-switchover");
    await proceeded;
    this.#proceed = undefined;
    this.#checkCancelled();
  }

  #checkGoingOn(): void {
    this.#checkCancelled();
    if (this.#answers?.refusal !== undefined) throw this.#answers.refusal;
  }

  #expectedDowntimeMs(): number {
    const { switchoverBandwidth } = this.parameters;
    const pace = switchoverBandwidth === 0 ? this.#pace : switchoverBandwidth;
    return pace === 0 ? Infinity : (this.#pendingBytes * 1000) / pace;
  }

  get #pendingBytes(): number {
    return this.#pages.pendingCount * PAGE_BYTES + this.#pendingDeviceBytes;
  }

  get #nowNs(): number {
    return this.#options.timers.clock.nowNs();
  }

  async #callingLate(what: string, called: Promise<void>): Promise<void> {
    try {
      await called;
    } catch (cause) {
      throw refusedBy(what, cause);
    }
  }

  #checkCancelled(): void {
    if (this.#isCancelled) throw new MigrationError("cancelled", "The migration was cancelled");
  }

  #enter(phase: MigrationPhase): void {
    assert(this.#phase !== "completed", "a completed migration is over", phase);
    if (phase === this.#phase) return;
    this.#phase = phase;
    this.#options.onPhase?.(phase);
  }

  /** Puts everything back, as far as it is still this side's; resolves with what `run` rejects with. */
  async #failed(cause: unknown): Promise<unknown> {
    let error = this.#isCancelled
      ? new MigrationError("cancelled", "The migration was cancelled")
      : await this.#reason(cause);
    this.#converging.end();
    this.#streams.end();
    if (this.#isStopped && !this.#wasHandedOver) error = (await this.#goOn()) ?? error;
    this.#error = error as Error;
    this.#enter(this.#isCancelled ? "cancelled" : "failed");
    return error;
  }

  /** Resolves with the reason when the machine cannot go on, as somebody else has its images by now. */
  async #goOn(): Promise<MigrationError | undefined> {
    const { machine } = this.#options;
    try {
      if (this.#hasGivenUp) await machine.takeOver?.();
    } catch (cause) {
      if (!(cause instanceof VmError)) throw cause;
      return new MigrationError("blocked", `The machine cannot go on here: ${cause.message}`, { cause });
    }
    machine.start();
    return undefined;
  }

  async #reason(cause: unknown): Promise<unknown> {
    const { channel, yield: turns } = this.#options;
    if (cause instanceof MigrationError && cause.code !== "channelLost") return cause;
    if (!(cause instanceof Error)) return cause;
    if (this.#patience.isOver) {
      const limit = this.parameters.stallLimitMs / 1000;
      const message = `${channel.name} took nothing for ${limit} s while the machine stood still`;
      return new MigrationError("channelLost", message, { cause });
    }
    // A side that says no, says so and hangs up: its word may still be on the way.
    for (let i = 0; i < LAST_WORD_TURNS && this.#answers?.refusal === undefined; i++) await turns.turn();
    if (this.#answers?.refusal !== undefined) return this.#answers.refusal;
    if (cause instanceof MigrationError) return cause;
    return new MigrationError(
      "channelLost",
      `Sending ${titleOf(this.#sending.last)} to ${channel.name} failed: ${cause.message}`,
      { cause },
    );
  }
}
