// hot: bench/memory.ts
// The one place where writes to guest RAM are reported: page flags and epoch bitmaps in the WebAssembly memory.
import { alignUp, assert, InvariantError } from "../base/index.ts";
import { DirtyEpoch, type EpochOwner } from "./dirty-epoch.ts";
import { MemoryError } from "./errors.ts";
import { PAGE_SHIFT } from "./page-set.ts";
import type { DirtySource, DirtyTracker, PageReport, WriteNotes } from "./port.ts";

/** How many epochs can be open at once; their bitmaps are part of the fixed world. */
export const MAX_EPOCHS: number = 16;

// Bits of a page's flag byte. A page without any is quiet.
/** Some open epoch has not seen the page written in its round. */
const ARMED = 1;
/** The page holds translated code. */
const CODE = 2;

/** A pulled source. A `DirtyTracker` is one; a device log that needs no start is one with `read` alone. */
export type Collector = Pick<DirtyTracker, "read"> & Partial<Pick<DirtyTracker, "start" | "stop">>;

interface Pulled {
  readonly source: DirtySource;
  readonly collector: Collector;
  readonly report: PageReport;
}

export interface NotesPlace {
  /** Where the flags begin in the WebAssembly memory. */
  readonly offset: number;
  /** First page of guest memory; it ends at `pageCount`. */
  readonly firstPage: number;
  readonly pageCount: number;
}

export class DirtyNotes implements WriteNotes, EpochOwner {
  readonly flagsOffset: number;
  readonly pageCount: number;
  readonly firstRamPage: number;
  readonly endRamPage: number;
  readonly #flags: Uint8Array;
  readonly #slots: Uint32Array[] = [];
  readonly #epochs: DirtyEpoch[] = [];
  #epochCount = 0;
  readonly #names: string[] = [];
  readonly #ids: Map<string, DirtySource> = new Map();
  readonly #pulled: Pulled[] = [];
  #collecting = false;
  readonly #armListeners: Set<(page: number) => void> = new Set();
  #codeWatcher: ((first: number, last: number) => void) | undefined;

  /** Bytes that the notes of `pageCount` pages take in the WebAssembly memory. */
  static lengthBytes(pageCount: number): number {
    return alignUp(pageCount, 4) + MAX_EPOCHS * wordsOf(pageCount) * 4;
  }

  constructor(buffer: ArrayBuffer | SharedArrayBuffer, place: NotesPlace) {
    this.flagsOffset = place.offset;
    this.pageCount = place.pageCount;
    this.firstRamPage = place.firstPage;
    this.endRamPage = place.pageCount;
    this.#flags = new Uint8Array(buffer, place.offset, place.pageCount);
    const words = wordsOf(place.pageCount);
    const bitmaps = place.offset + alignUp(place.pageCount, 4);
    for (let slot = 0; slot < MAX_EPOCHS; slot++) {
      this.#slots.push(new Uint32Array(buffer, bitmaps + slot * words * 4, words));
    }
  }

  source(name: string): DirtySource {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const id = this.#names.length as DirtySource;
    this.#names.push(name);
    this.#ids.set(name, id);
    return id;
  }

  sourceName(source: DirtySource): string {
    return this.#names[source] ?? `source ${source}`;
  }

  noteWrite(source: DirtySource, offset: number, lengthBytes: number): void {
    if (lengthBytes <= 0) return;
    const last = offset + lengthBytes - 1;
    const lastPage = last >>> PAGE_SHIFT;
    let page = offset >>> PAGE_SHIFT;
    if (page < this.firstRamPage || last / 4096 >= this.endRamPage) outsideRam(offset, lengthBytes);
    const flags = this.#flags;
    const epochs = this.#epochs;
    const epochCount = this.#epochCount;
    let seen = 0;
    for (; page <= lastPage; page++) {
      const flag = flags[page]!;
      seen |= flag;
      if (epochCount !== 0) {
        for (let i = 0; i < epochCount; i++) epochs[i]!.note(source, page);
        flags[page] = flag & ~ARMED;
      }
    }
    if ((seen & CODE) !== 0) this.#codeWatcher?.(offset, last);
  }

  noteForeignWrite(offset: number, lengthBytes: number): void {
    const last = offset + lengthBytes - 1;
    const flags = this.#flags;
    for (let page = offset >>> PAGE_SHIFT; page <= last >>> PAGE_SHIFT; page++) {
      if ((flags[page]! & CODE) === 0) continue;
      this.#codeWatcher?.(offset, last);
      return;
    }
  }

  isQuiet(page: number): boolean {
    return this.#flags[page] === 0;
  }

  addArmListener(onArmed: (page: number) => void): () => void {
    this.#armListeners.add(onArmed);
    return () => this.#armListeners.delete(onArmed);
  }

  watchCode(page: number): void {
    assert(page >= this.firstRamPage && page < this.endRamPage, "watched code lies in RAM", page);
    const flag = this.#flags[page]!;
    this.#flags[page] = flag | CODE;
    if (flag === 0) this.#armListeners.forEach((onArmed) => onArmed(page));
  }

  unwatchCode(page: number): void {
    assert(page >= this.firstRamPage && page < this.endRamPage, "watched code lies in RAM", page);
    this.#flags[page]! &= ~CODE;
  }

  setCodeWatcher(onCodeWritten: (first: number, last: number) => void): void {
    this.#codeWatcher = onCodeWritten;
  }

  /** How many epochs are open. */
  get openEpochs(): number {
    return this.#epochCount;
  }

  /**
   * Starts a consumer's view with every page clean; `name` says whose. Throws `MemoryError` when all epochs are in use,
   * or what a collector throws that cannot start; nothing is left open then.
   */
  openEpoch(name: string): DirtyEpoch {
    const slot = this.#freeSlot();
    if (slot === -1) {
      throw new MemoryError(
        "tooManyEpochs",
        `Dirty epoch "${name}" is one more than the ${MAX_EPOCHS} that can be open; ` +
          `open are ${this.#epochs.map((epoch) => epoch.name).join(", ")}`,
        { subject: name },
      );
    }
    // What collectors know from before belongs to the epochs that were open then.
    if (this.#epochCount > 0) this.collect();
    else this.#startCollectors();
    const words = this.#slots[slot]!;
    words.fill(0);
    const epoch = new DirtyEpoch(this, name, slot, words);
    this.#epochs.push(epoch);
    this.#epochCount += 1;
    this.#armAll();
    this.announceArmed();
    return epoch;
  }

  /**
   * Registers a pulled source: while an epoch is open it is started, and asked before any epoch is read; what it reports
   * goes to all open epochs under `name`. Returns the function that ends it (after a last report).
   */
  addCollector(name: string, collector: Collector): () => void {
    assert(!this.#collecting, "collectors do not change while they are read", name);
    const source = this.source(name);
    if (this.#epochCount > 0) collector.start?.();
    const report: PageReport = {
      add: (firstPage, pageCount) => this.noteWrite(source, firstPage * 4096, pageCount * 4096),
    };
    const pulled: Pulled = { source, collector, report };
    this.#pulled.push(pulled);
    return () => {
      const at = this.#pulled.indexOf(pulled);
      if (at === -1) return;
      try {
        if (this.#epochCount > 0) this.#pull([pulled]);
      } finally {
        this.#pulled.splice(at, 1);
        if (this.#epochCount > 0) collector.stop?.();
      }
    };
  }

  collect(): void {
    this.#pull(this.#pulled);
  }

  armWord(word: number, bits: number): void {
    const flags = this.#flags;
    let rest = bits;
    while (rest !== 0) {
      const low = rest & -rest;
      flags[word * 32 + (31 - Math.clz32(low))]! |= ARMED;
      rest ^= low;
    }
  }

  announceArmed(): void {
    this.#armListeners.forEach((onArmed) => onArmed(-1));
  }

  refreshArmed(): void {
    const flags = this.#flags;
    for (let page = this.firstRamPage; page < this.endRamPage; page++) {
      const word = page >>> 5;
      let seenByAll = 0xffffffff;
      for (let i = 0; i < this.#epochCount; i++) seenByAll &= this.#epochs[i]!.words[word]!;
      const waiting = ((seenByAll >>> (page & 31)) & 1) === 0;
      flags[page] = waiting ? flags[page]! | ARMED : flags[page]! & ~ARMED;
    }
  }

  release(epoch: DirtyEpoch): void {
    const at = this.#epochs.indexOf(epoch);
    assert(at !== -1, "a released epoch was open", epoch.name);
    this.#epochs.splice(at, 1);
    this.#epochCount -= 1;
    this.refreshArmed();
    if (this.#epochCount === 0) this.#stopCollectors();
  }

  /** Four pages at a time: there are many, and code that has hardly run yet is slow. */
  #armAll(): void {
    const flags = this.#flags;
    let page = this.firstRamPage;
    for (; page < this.endRamPage && (flags.byteOffset + page) % 4 !== 0; page++) flags[page]! |= ARMED;
    const fours = new Uint32Array(flags.buffer, flags.byteOffset + page, (this.endRamPage - page) >>> 2);
    for (let i = 0; i < fours.length; i++) fours[i]! |= ARMED * 0x0101_0101;
    for (page += fours.length * 4; page < this.endRamPage; page++) flags[page]! |= ARMED;
  }

  /** All of them, also when one throws. */
  #stopCollectors(): void {
    const failures: unknown[] = [];
    for (const { collector } of this.#pulled) {
      try {
        collector.stop?.();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  #freeSlot(): number {
    const used = new Set(this.#epochs.map((epoch) => epoch.slot));
    return this.#slots.findIndex((_, slot) => !used.has(slot));
  }

  #startCollectors(): void {
    const started: Collector[] = [];
    try {
      for (const { collector } of this.#pulled) {
        collector.start?.();
        started.push(collector);
      }
    } catch (error) {
      for (const collector of started.reverse()) collector.stop?.();
      throw error;
    }
  }

  #pull(pulled: readonly Pulled[]): void {
    assert(!this.#collecting, "collectors are not read from within a collector");
    this.#collecting = true;
    const failures: unknown[] = [];
    try {
      for (const { collector, report, source } of pulled) {
        try {
          collector.read(report);
        } catch (error) {
          failures.push(error);
          // What it had forgotten when it failed is unknown, so everything counts as written.
          for (const epoch of this.#epochs) epoch.markAll(source);
        }
      }
    } finally {
      this.#collecting = false;
    }
    if (failures.length > 0) throw failures[0];
  }
}

function wordsOf(pageCount: number): number {
  return Math.ceil(pageCount / 32);
}

function outsideRam(offset: number, lengthBytes: number): never {
  throw new InvariantError("reported writes lie in RAM", [offset, lengthBytes]);
}
