// Memory on its way out: what is still to be sent, what was, and what was dirtied meanwhile.
import { VmError } from "../base/index.ts";
import { DirtyOracle, PageSet, type DirtyEpoch, type DirtyRound, type MissedPage } from "../memory/index.ts";
import { refusedBy } from "./errors.ts";
import type { Packer } from "./packer.ts";
import type { MigratableMachine } from "./port.ts";
import type { MigrationProgress } from "./progress.ts";
import type { Sending } from "./sending.ts";
import type { FrameNumbers } from "./stream/frame-numbers.ts";
import { PageSource } from "./stream/pages.ts";
import { UntouchedPages } from "./stream/untouched-pages.ts";

export class OutgoingPages {
  readonly #machine: MigratableMachine;
  readonly #source: PageSource;
  readonly #sending: Sending;
  readonly #packer: Packer | undefined;
  readonly #pending: PageSet;
  #epoch: DirtyEpoch | undefined;
  #oracle: DirtyOracle | undefined;
  readonly #missed: MissedPage[] = [];
  /** For the first look at all of memory. */
  #untouched: UntouchedPages | undefined;
  #zeroCount = 0;
  #normalCount = 0;
  #pendingCount = 0;
  #savedBytes = 0;

  /** @param numbers of the stream's frames */
  constructor(machine: MigratableMachine, numbers: FrameNumbers, sending: Sending, packer?: Packer) {
    this.#machine = machine;
    this.#source = new PageSource(machine, numbers);
    this.#sending = sending;
    this.#packer = packer;
    this.#pending = new PageSet(machine.notes.pageCount);
  }

  /** All there are. */
  get count(): number {
    return this.#source.pageCount;
  }

  /** Sent so far, as often as they were, as zeroes. */
  get zeroCount(): number {
    return this.#zeroCount;
  }

  /** Sent so far, as often as they were, with their bytes. */
  get normalCount(): number {
    return this.#normalCount;
  }

  get pendingCount(): number {
    return this.#pendingCount;
  }

  /** By compression. */
  get savedBytes(): number {
    return this.#savedBytes;
  }

  /** What the oracle found, where it was asked for. */
  get verdict(): MigrationProgress["oracle"] {
    return this.#oracle === undefined ? undefined : { ...this.#oracle.counts, missed: this.#missed };
  }

  /** From here on writes are noted; all pages are to be sent. Throws MigrationError. */
  begin(asksOracle: boolean): void {
    const { notes } = this.#machine;
    try {
      this.#epoch = notes.openEpoch("migration");
    } catch (cause) {
      throw refusedBy("Tracking of dirty pages", cause);
    }
    if (asksOracle) this.#oracle = new DirtyOracle(this.#machine);
    this.#source.addAll(this.#pending);
    this.#pendingCount = this.#source.pageCount;
    const look = this.#machine.untouchedPages?.();
    if (look !== undefined) this.#untouched = new UntouchedPages(look, notes);
  }

  /** Sends what is pending; `whileBusy` is called now and then when the other side has enough to do. */
  async send(whileBusy?: () => void): Promise<void> {
    for (let next = 0; ;) {
      const room = await this.#sending.room();
      const taken = this.#source.take(this.#pending, next, this.#untouched, room);
      if (taken === undefined) break;
      this.#pendingCount -= taken.zeroPages + taken.normalPages;
      this.#zeroCount += taken.zeroPages;
      this.#normalCount += taken.normalPages;
      const packer = this.#sending.isSlow ? this.#packer : undefined;
      const bytes = packer === undefined ? taken.bytes : await packer.pack(taken.bytes);
      this.#savedBytes += taken.bytes.length - bytes.length;
      await this.#sending.send(bytes);
      room.usedUntil = this.#sending.sentBytes;
      next = taken.next;
      if (this.#sending.isAhead) whileBusy?.();
    }
    this.#pendingCount = 0;
    this.#untouched = undefined;
  }

  /** Makes pending what was dirtied since the last time. Throws MigrationError. */
  readDirty(): DirtyRound {
    const round = this.#read();
    this.#judge(round);
    return round;
  }

  /** As `readDirty`, of a machine that stands still; the oracle waits until it is called, as nobody should wait for it. */
  readLastDirty(): () => void {
    const round = this.#read();
    if (this.#oracle === undefined) return () => undefined;
    const pages = new PageSet(this.#pending.pageCount, this.#pending.words.slice());
    return () => this.#judge({ ...round, pages });
  }

  /** Dirty tracking that cannot be turned off costs time and loses nothing. */
  end(): void {
    try {
      this.#epoch?.close();
    } catch (error) {
      if (!(error instanceof VmError)) throw error;
    }
  }

  #read(): DirtyRound {
    try {
      const round = this.#epoch!.read(this.#pending);
      this.#pendingCount += round.dirtyPageCount;
      return round;
    } catch (cause) {
      throw refusedBy("Reading dirty pages", cause);
    }
  }

  #judge(round: DirtyRound): void {
    this.#missed.push(...(this.#oracle?.check(round) ?? []));
  }
}
