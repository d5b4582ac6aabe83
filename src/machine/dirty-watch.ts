// The oracle of dirty tracking over a running machine: an epoch of its own, read at intervals of guest time and held against
// what memory shows and what devices of hosts are seen to write. What a round misses is told, page by page.
import { VmError, type Timer, type TimerPort } from "../base/index.ts";
import {
  DirtyOracle,
  PAGE_BYTES,
  type AddressSpace,
  type DirtyEpoch,
  type DirtyRound,
  type MissedPage,
} from "../memory/index.ts";

/** Pages of one round that are told one by one. */
const MAX_TOLD = 16;
/** Guest time between two looks at all of RAM, at least. */
const ROUND_NS = 1_000_000_000;
/** The guest has this many times what a look takes, so that it goes on on slow machines too. */
const GUEST_SHARE = 4;

export interface DirtyWatchParts {
  readonly space: AddressSpace;
  /** Guest time. */
  readonly timers: TimerPort;
  readonly tell: (text: string) => void;
}

export class DirtyWatch {
  readonly #parts: DirtyWatchParts;
  readonly #oracle: DirtyOracle;
  readonly #epoch: DirtyEpoch;
  readonly #timer: Timer;
  #isOpen = true;

  /** The first round begins now. */
  constructor(parts: DirtyWatchParts) {
    this.#parts = parts;
    const { world } = parts.space;
    this.#epoch = world.notes.openEpoch("dirty oracle");
    this.#oracle = new DirtyOracle(world);
    this.#timer = parts.timers.create("dirty oracle", () => {
      const { clock } = parts.timers;
      const begunNs = clock.nowNs();
      this.check();
      const nowNs = clock.nowNs();
      this.#timer.arm(nowNs + Math.max(ROUND_NS, GUEST_SHARE * (nowNs - begunNs)));
    });
    this.#timer.arm(parts.timers.clock.nowNs() + ROUND_NS);
  }

  /** A device of a host wrote at `offset` in the machine's memory, whoever tracks it. */
  noteWrite(device: string, offset: number, lengthBytes: number): void {
    this.#oracle.noteWrite(device, offset, lengthBytes);
  }

  /** Ends a round; no hart runs. */
  check(): void {
    const round = this.#read();
    if (round === undefined) return;
    const missed = this.#oracle.check(round);
    for (const page of missed.slice(0, MAX_TOLD)) this.#parts.tell(`dirty oracle: ${this.#describe(page)}`);
    if (missed.length > MAX_TOLD) this.#parts.tell(`dirty oracle: and ${missed.length - MAX_TOLD} pages more`);
  }

  /** Ends the last round and tells the sums; idempotent. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#timer.disarm();
    this.check();
    this.#epoch.close();
    const { rounds, writtenPages, reportedPages, missedPages } = this.#oracle.counts;
    const sums = `${writtenPages} pages written, ${reportedPages} reported, ${missedPages} missed`;
    this.#parts.tell(`dirty oracle: ${rounds} rounds, ${sums}`);
  }

  /** Undefined when a tracker fails: the round goes on then, with every page dirty. */
  #read(): DirtyRound | undefined {
    try {
      return this.#epoch.read();
    } catch (error) {
      if (!(error instanceof VmError)) throw error;
      this.#parts.tell(`dirty oracle: a tracker failed: ${error.message}`);
      return undefined;
    }
  }

  #describe(missed: MissedPage): string {
    const { block, offsetInBlock, writers } = missed;
    const address = this.#addressOf(missed);
    const where = address === undefined ? "" : ` at 0x${address.toString(16)}`;
    const page = `page${where} (${block} + 0x${offsetInBlock.toString(16)})`;
    return writers.length > 0
      ? `${page} was written by ${writers.join(", ")}, and no tracker said so`
      : `${page} changed, and no tracker said so: somebody wrote past the ports for it`;
  }

  /** Where the guest sees a page, if it does. */
  #addressOf({ page }: MissedPage): number | undefined {
    const offset = page * PAGE_BYTES;
    let found: number | undefined;
    const stop = this.#parts.space.addListener({
      regionAdd({ block, offsetInRegion, start, lengthBytes }) {
        if (block === undefined) return;
        const within = offset - (block.offset + offsetInRegion);
        if (within >= 0 && within < lengthBytes) found ??= start + within;
      },
      regionDel: () => {},
    });
    stop();
    return found;
  }
}
