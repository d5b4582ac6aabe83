// The source's side: pages round after round while the machine runs, then, with the machine stopped, the rest.
import { assert, type ClockPort, type YieldPort } from "../base/index.ts";
import { PAGE_BYTES, PageSet, type DirtyEpoch } from "../memory/index.ts";
import { encodeState } from "../state/index.ts";
import { MigrationError } from "./errors.ts";
import type { MigratableMachine, MigrationChannel } from "./port.ts";
import {
  DEFAULT_PARAMETERS,
  type MigrationParameters,
  type MigrationPhase,
  type MigrationProgress,
  type MigrationRound,
} from "./progress.ts";
import { FrameReader } from "./stream/frame-reader.ts";
import { frame, jsonFrame, preamble } from "./stream/frame-writer.ts";
import { factsOf } from "./stream/machine-facts.ts";
import { PageSource } from "./stream/pages.ts";
import { FrameKind } from "./stream/spec.ts";

export interface OutgoingOptions {
  readonly machine: MigratableMachine;
  readonly channel: MigrationChannel;
  readonly parameters?: Partial<MigrationParameters>;
  readonly clock: ClockPort;
  readonly yield: YieldPort;
  readonly onPhase?: (phase: MigrationPhase) => void;
  readonly onRound?: (round: MigrationRound) => void;
}

/** How long frames are made before the machine has its turn again. */
const TURN_NS = 2_000_000;
/** The bandwidth limit is kept over intervals of this length, as in QEMU. */
const LIMIT_INTERVAL_NS = 100_000_000;

export class OutgoingMigration {
  /** May be changed at any time; what is used next counts. */
  parameters: MigrationParameters;
  readonly #options: OutgoingOptions;
  readonly #pages: PageSource;
  readonly #pending: PageSet;
  readonly #rounds: MigrationRound[] = [];
  #phase: MigrationPhase = "setup";
  #epoch: DirtyEpoch | undefined;
  #error: Error | undefined;
  #isCancelled = false;
  #wasRunning = false;
  #wasHandedOver = false;
  #isStopped = false;
  #startNs = 0;
  #setupMs = 0;
  #endNs: number | undefined;
  #stoppedAtNs: number | undefined;
  #downtimeMs: number | undefined;
  #sentBytes = 0;
  #zeroPages = 0;
  #normalPages = 0;
  #pendingPages = 0;
  #dirtyBytesPerSecond = 0;
  #bandwidth: number | undefined;
  #intervalStartNs = 0;
  #intervalBytes = 0;
  #turnStartNs = 0;
  #proceed: (() => void) | undefined;

  constructor(options: OutgoingOptions) {
    this.#options = options;
    this.parameters = { ...DEFAULT_PARAMETERS, ...options.parameters };
    const { machine } = options;
    this.#pages = new PageSource(machine.blocks);
    this.#pending = new PageSet(machine.notes.pageCount);
  }

  /** The other side was told to run it; whether it does is not known when `run` rejects after that. */
  get wasHandedOver(): boolean {
    return this.#wasHandedOver;
  }

  get progress(): MigrationProgress {
    const nowNs = this.#endNs ?? this.#options.clock.nowNs();
    return {
      phase: this.#phase,
      totalBytes: this.#pages.pageCount * PAGE_BYTES,
      sentBytes: this.#sentBytes,
      remainingBytes: this.#pendingPages * PAGE_BYTES,
      zeroPages: this.#zeroPages,
      normalPages: this.#normalPages,
      rounds: this.#rounds,
      bandwidth: this.#bandwidth,
      dirtyBytesPerSecond: this.#dirtyBytesPerSecond,
      expectedDowntimeMs: this.#expectedDowntimeMs(),
      setupMs: this.#setupMs,
      totalMs: (nowNs - this.#startNs) / 1e6,
      downtimeMs: this.#downtimeMs,
      error: this.#error,
    };
  }

  /**
   * Moves the machine. Resolves when the other side has it, or the file is whole: the machine stays stopped. Rejects with
   * MigrationError, and the machine goes on if it ran before; the channel is closed either way.
   */
  async run(): Promise<void> {
    const { machine, channel, clock } = this.#options;
    this.#startNs = clock.nowNs();
    this.#wasRunning = machine.isRunning;
    try {
      await this.#send(preamble());
      await this.#send(jsonFrame(FrameKind.machine, factsOf(machine)));
      this.#epoch = machine.notes.openEpoch("migration");
      this.#pages.addAll(this.#pending);
      this.#pendingPages = this.#pages.pageCount;
      this.#setupMs = (clock.nowNs() - this.#startNs) / 1e6;
      this.#enter("active");
      await this.#precopy();
      await this.#switchover();
      this.#enter("completed");
    } catch (cause) {
      throw this.#failed(cause);
    } finally {
      this.#endNs = clock.nowNs();
      this.#epoch?.close();
      channel.close();
    }
  }

  /** Ends it soon: `run` rejects with `cancelled`, unless the machine has been handed over. */
  cancel(): void {
    if (this.#endNs !== undefined || this.#isCancelled) return;
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
    const { clock } = this.#options;
    // A stopped machine dirties nothing: one pass is the rest.
    while (this.#wasRunning) {
      const startNs = clock.nowNs();
      const sentBefore = this.#sentBytes;
      const sentPages = this.#pendingPages;
      await this.#sendPending();
      await this.#options.channel.flush();
      const durationMs = Math.max((clock.nowNs() - startNs) / 1e6, 0.001);
      const sentBytes = this.#sentBytes - sentBefore;
      this.#bandwidth = (sentBytes / durationMs) * 1000;
      const { dirtyPageCount, bySource } = this.#epoch!.read(this.#pending);
      this.#pendingPages = dirtyPageCount;
      this.#dirtyBytesPerSecond = (dirtyPageCount * PAGE_BYTES * 1000) / durationMs;
      const round = {
        number: this.#rounds.length + 1,
        sentBytes,
        sentPages,
        durationMs,
        dirtyPages: dirtyPageCount,
        bySource: new Map(bySource),
      };
      this.#rounds.push(round);
      this.#options.onRound?.(round);
      if (this.#expectedDowntimeMs() <= this.parameters.downtimeLimitMs) return;
    }
  }

  async #switchover(): Promise<void> {
    const { machine, channel, clock } = this.#options;
    this.#stoppedAtNs = clock.nowNs();
    this.#isStopped = true;
    await machine.stop();
    if (this.parameters.pauseBeforeSwitchover) await this.#pause();
    this.#enter("device");
    await this.#send(frame(FrameKind.stopped));
    const { dirtyPageCount } = this.#epoch!.read(this.#pending);
    this.#pendingPages += dirtyPageCount;
    await this.#sendPending();
    for (const [name, part] of machine.parts) await this.#send(partFrame(name, encodeState(part)));
    await this.#send(jsonFrame(FrameKind.complete, { pages: this.#zeroPages + this.#normalPages }));
    await channel.flush();
    if (channel.isDuplex) await this.#handOver();
    this.#downtimeMs = (clock.nowNs() - this.#stoppedAtNs) / 1e6;
  }

  /** From the moment in which `handover` is sent the machine is the other side's, whatever becomes of the channel. */
  async #handOver(): Promise<void> {
    const { channel } = this.#options;
    const answers = new FrameReader(channel);
    await expectAnswer(answers, FrameKind.ready);
    this.#checkCancelled();
    this.#wasHandedOver = true;
    await channel.write(frame(FrameKind.handover));
    await channel.flush();
    await expectAnswer(answers, FrameKind.running);
  }

  async #pause(): Promise<void> {
    this.#enter("pre-switchover");
    await new Promise<void>((resolve) => {
      this.#proceed = resolve;
    });
    this.#proceed = undefined;
    this.#checkCancelled();
  }

  async #sendPending(): Promise<void> {
    for (let taken = this.#pages.take(this.#pending, 0); taken !== undefined;) {
      this.#pendingPages -= taken.pageCount;
      if (taken.isZero) this.#zeroPages += taken.pageCount;
      else this.#normalPages += taken.pageCount;
      await this.#send(taken.bytes);
      taken = this.#pages.take(this.#pending, taken.next);
    }
    this.#pendingPages = 0;
  }

  async #send(bytes: Uint8Array): Promise<void> {
    this.#checkCancelled();
    await this.#options.channel.write(bytes);
    this.#sentBytes += bytes.length;
    await this.#keepLimit(bytes.length);
    await this.#giveTurn();
  }

  /** The machine runs on this thread too. */
  async #giveTurn(): Promise<void> {
    if (this.#isStopped) return;
    const { clock } = this.#options;
    if (clock.nowNs() - this.#turnStartNs < TURN_NS) return;
    await this.#options.yield.turn();
    this.#turnStartNs = clock.nowNs();
  }

  async #keepLimit(bytes: number): Promise<void> {
    const { maxBandwidth } = this.parameters;
    if (maxBandwidth === 0 || this.#isStopped) return;
    const { clock } = this.#options;
    const nowNs = clock.nowNs();
    if (nowNs - this.#intervalStartNs >= LIMIT_INTERVAL_NS) {
      this.#intervalStartNs = nowNs;
      this.#intervalBytes = 0;
    }
    this.#intervalBytes += bytes;
    if (this.#intervalBytes * 1e9 < maxBandwidth * LIMIT_INTERVAL_NS) return;
    const waitNs = this.#intervalStartNs + LIMIT_INTERVAL_NS - nowNs;
    if (waitNs > 0) await this.#options.yield.sleep(waitNs / 1e6);
  }

  #expectedDowntimeMs(): number {
    const bandwidth = this.parameters.switchoverBandwidth === 0 ? this.#bandwidth : this.parameters.switchoverBandwidth;
    if (bandwidth === undefined || bandwidth === 0) return Infinity;
    return (this.#pendingPages * PAGE_BYTES * 1000) / bandwidth;
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

  #failed(cause: unknown): unknown {
    const { machine, channel } = this.#options;
    if (this.#isStopped && !this.#wasHandedOver) machine.start();
    const error = this.#isCancelled
      ? new MigrationError("cancelled", "The migration was cancelled")
      : cause instanceof MigrationError || !(cause instanceof Error)
        ? cause
        : new MigrationError("channelLost", `Sending to ${channel.name} failed: ${cause.message}`, { cause });
    this.#error = error as Error;
    this.#enter(this.#isCancelled ? "cancelled" : "failed");
    return error;
  }
}

function partFrame(name: string, section: Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(name);
  return frame(FrameKind.part, [Uint8Array.of(text.length & 0xff, text.length >> 8), text, section]);
}

/** Throws MigrationError with the other side's reason. */
async function expectAnswer(answers: FrameReader, wanted: number): Promise<void> {
  const { kind, payload } = await answers.read();
  if (kind === wanted) return;
  if (kind === FrameKind.failed) {
    throw new MigrationError("refused", `The other side refused: ${new TextDecoder().decode(payload)}`);
  }
  throw new MigrationError("badStream", `The other side answered with a frame of kind ${kind}; ${wanted} was due`);
}
