// What goes to the channel: counted, kept to a bandwidth, with turns for the machine, which runs on this thread too.
import type { TimerPort, YieldPort } from "../base/index.ts";
import type { Patience } from "./patience.ts";
import type { MigratableMachine, MigrationChannel } from "./port.ts";
import { PAGES_ROOM_BYTES } from "./stream/pages.ts";
import { StreamMemory } from "./stream/stream-memory.ts";

/**
 * How much longer frames are made than the machine runs, while the channel is waited for, before it has its turn, which is as
 * long when its harts have something to do.
 */
const TURN_NS = 4_000_000;
/** A channel that is waited for for longer is slow, and harts lose time by turns that are so short. */
const EAGER_NS = 10_000_000;
/** The bandwidth limit is kept over intervals of this length, as in QEMU. */
const LIMIT_INTERVAL_NS = 100_000_000;
/** After so long, or so many bytes, it is known how much a channel takes. */
const WINDOW_NS = 200_000_000;
const WINDOW_BYTES = 16 * 2 ** 20;
/** Less says nothing. */
const LEAST_BYTES = 2 ** 18;
/** A channel that takes less a second is slow: compressing is quicker than sending. */
const SLOW_BYTES = 32 * 2 ** 20;
/** How many rooms of frames can be on their way: more than a channel holds. */
const ROOMS = 4;

export interface SendingOptions {
  readonly machine: Pick<MigratableMachine, "shortenSlices">;
  readonly channel: MigrationChannel;
  readonly timers: TimerPort;
  readonly yield: Pick<YieldPort, "turn">;
  readonly patience: Patience;
  /** Bytes a second; 0 is no limit. */
  readonly maxBandwidth: () => number;
  /** Throws when nothing more should be sent. */
  readonly check: () => void;
}

/** A place where frames are made; it is free when they have left. */
export interface FrameRoom {
  readonly memory: StreamMemory;
  readonly at: number;
  /** What `sentBytes` was behind its last frame. */
  usedUntil: number;
}

export class Sending {
  readonly #options: SendingOptions;
  readonly #rooms: readonly FrameRoom[];
  #sentBytes = 0;
  #turnsNs = 0;
  /** The machine had nothing of the thread for so much longer than it had it. */
  #owedNs = 0;
  /** Since the last send, frames are made. */
  #sentAtNs: number;
  #intervalStartNs = 0;
  #intervalBytes = 0;
  #last: Uint8Array = new Uint8Array(0);
  #windowNs = 0;
  #windowBytes = 0;
  #isSlow = false;
  /** The machine stands still: it wants no turns, and bandwidth is not spared. */
  isAtFullSpeed = false;

  constructor(options: SendingOptions) {
    this.#options = options;
    this.#sentAtNs = options.timers.clock.nowNs();
    const memory = new StreamMemory(ROOMS * PAGES_ROOM_BYTES);
    this.#rooms = Array.from({ length: ROOMS }, (_, i) => ({ memory, at: i * PAGES_ROOM_BYTES, usedUntil: 0 }));
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** What was sent last, for messages. */
  get last(): Uint8Array {
    return this.#last;
  }

  /** The channel took less than it was given: the other side has enough to do. */
  get isAhead(): boolean {
    return this.#options.channel.unwrittenBytes > 0;
  }

  /** The channel, or its limit, takes so little that what is sent should be made smaller first. */
  get isSlow(): boolean {
    return this.#isSlow;
  }

  /** How long the machine has had turns. */
  get turnsNs(): number {
    return this.#turnsNs;
  }

  /** A place for `PageSource.take`; who has sent frames from it says so by `usedUntil`. */
  async room(): Promise<FrameRoom> {
    const { channel } = this.#options;
    const leftBytes = this.#sentBytes - channel.unwrittenBytes;
    let oldest = this.#rooms[0]!;
    for (const room of this.#rooms) {
      if (room.usedUntil <= leftBytes) return room;
      if (room.usedUntil < oldest.usedUntil) oldest = room;
    }
    await channel.flush(this.#sentBytes - oldest.usedUntil);
    return oldest;
  }

  /** Waits for the channel, or for what comes by it, while the machine runs. */
  async waiting<T>(awaited: Promise<T>): Promise<T> {
    const { machine, timers } = this.#options;
    machine.shortenSlices?.(EAGER_NS);
    try {
      return await awaited;
    } finally {
      machine.shortenSlices?.(0);
      this.#sentAtNs = timers.clock.nowNs();
    }
  }

  async send(bytes: Uint8Array): Promise<void> {
    this.#last = bytes;
    this.#options.check();
    const { clock } = this.#options.timers;
    const beforeNs = clock.nowNs();
    this.#owedNs += beforeNs - this.#sentAtNs;
    await this.waiting(this.#options.channel.write(bytes));
    this.#options.patience.feed();
    this.#sentBytes += bytes.length;
    if (this.isAtFullSpeed) return;
    await this.#keepLimit(bytes.length);
    const waitedNs = clock.nowNs() - beforeNs;
    this.#judge(bytes.length, waitedNs);
    this.#owedNs = Math.max(0, this.#owedNs - waitedNs);
    await this.#giveTurn();
    this.#sentAtNs = clock.nowNs();
  }

  /** Only waiting for the channel counts: not what makes frames, nor turns. */
  #judge(bytes: number, waitedNs: number): void {
    this.#windowBytes += bytes;
    this.#windowNs += waitedNs;
    const isLong = this.#windowNs >= WINDOW_NS && this.#windowBytes >= LEAST_BYTES;
    if (!isLong && this.#windowBytes < WINDOW_BYTES) return;
    this.#isSlow = this.#windowBytes * 1e9 < SLOW_BYTES * this.#windowNs;
    this.#windowBytes = 0;
    this.#windowNs = 0;
  }

  async #giveTurn(): Promise<void> {
    const { timers, yield: turns } = this.#options;
    if (this.#owedNs < TURN_NS) return;
    const beforeNs = timers.clock.nowNs();
    await turns.turn();
    this.#turnsNs += timers.clock.nowNs() - beforeNs;
    this.#owedNs = 0;
  }

  async #keepLimit(bytes: number): Promise<void> {
    const { timers, patience, maxBandwidth, check } = this.#options;
    if (maxBandwidth() === 0) return;
    const nowNs = timers.clock.nowNs();
    if (nowNs - this.#intervalStartNs >= LIMIT_INTERVAL_NS) {
      this.#intervalStartNs = nowNs;
      this.#intervalBytes = 0;
    }
    this.#intervalBytes += bytes;
    if (this.#intervalBytes * 1e9 < maxBandwidth() * LIMIT_INTERVAL_NS) return;
    // More than the interval's share makes it longer; the limit may be changed meanwhile.
    for (let limit = maxBandwidth(); limit > 0; limit = maxBandwidth()) {
      const leftNs = this.#intervalStartNs + (this.#intervalBytes * 1e9) / limit - timers.clock.nowNs();
      if (leftNs <= 0) return;
      await patience.rest(Math.min(leftNs, LIMIT_INTERVAL_NS));
      check();
    }
  }
}
