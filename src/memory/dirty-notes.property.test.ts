import fc from "fast-check";
import { expect, test } from "vitest";
import { type DirtyEpoch, type DirtyNotes, MAX_EPOCHS, WorldPlan } from "./index.ts";

const PAGES = 70;

/** Sets of page numbers per source. */
class NaiveEpoch {
  readonly bySource = new Map<string, Set<number>>();

  dirty(source: string, page: number): void {
    const pages = this.bySource.get(source) ?? new Set();
    this.bySource.set(source, pages.add(page));
  }

  union(): Set<number> {
    return new Set([...this.bySource.values()].flatMap((pages) => [...pages]));
  }
}

/** The notes and a naive model of them, told the same things. */
class Pair {
  readonly notes: DirtyNotes;
  readonly #firstPage: number;
  readonly #epochs: { real: DirtyEpoch; naive: NaiveEpoch }[] = [];
  readonly #hardware = new Set<number>();
  readonly #watched = new Set<number>();
  codeCalls = 0;
  expectedCodeCalls = 0;
  readonly rounds: unknown[] = [];
  readonly expectedRounds: unknown[] = [];

  constructor() {
    const plan = new WorldPlan();
    const ram = plan.ram("ram", PAGES * 4096);
    this.notes = plan.create({ shared: false }).notes;
    this.#firstPage = ram.offset / 4096;
    this.notes.setCodeWatcher(() => (this.codeCalls += 1));
    this.notes.addCollector("pulled", {
      start: () => this.#hardware.clear(),
      read: (into) => {
        for (const page of this.#hardware) into.add(this.#firstPage + page, 1);
        this.#hardware.clear();
      },
    });
  }

  open(): void {
    if (this.#epochs.length === MAX_EPOCHS) return;
    if (this.#epochs.length > 0) this.#collect();
    this.#epochs.push({ real: this.notes.openEpoch("e"), naive: new NaiveEpoch() });
  }

  close(which: number): void {
    for (const { real } of this.#epochs.splice(which, 1)) real.close();
  }

  read(which: number): void {
    const epoch = this.#epochs[which];
    if (epoch === undefined) return;
    this.#collect();
    const round = epoch.real.read();
    const expected = epoch.naive.union();
    this.rounds.push({
      pages: round.pages.toArray().map((p) => p - this.#firstPage),
      dirtyPageCount: round.dirtyPageCount,
      bySource: new Map(round.bySource),
    });
    this.expectedRounds.push({
      pages: [...expected].sort((x, y) => x - y),
      dirtyPageCount: expected.size,
      bySource: new Map([...epoch.naive.bySource].map(([name, pages]) => [name, pages.size])),
    });
    epoch.naive.bySource.clear();
  }

  write(source: string, at: number, lengthBytes: number): void {
    this.notes.noteWrite(this.notes.source(source), this.#firstPage * 4096 + at, lengthBytes);
    const pages = new Set<number>();
    for (let i = 0; i < lengthBytes; i++) pages.add(Math.floor((at + i) / 4096));
    for (const { naive } of this.#epochs) for (const page of pages) naive.dirty(source, page);
    if ([...pages].some((page) => this.#watched.has(page))) this.expectedCodeCalls += 1;
  }

  dirtyInHardware(page: number): void {
    this.#hardware.add(page);
  }

  watch(page: number, on: boolean): void {
    if (on) {
      this.notes.watchCode(this.#firstPage + page);
      this.#watched.add(page);
    } else {
      this.notes.unwatchCode(this.#firstPage + page);
      this.#watched.delete(page);
    }
  }

  markAll(which: number): void {
    const epoch = this.#epochs[which];
    epoch?.real.markAll(this.notes.source("unknown"));
    for (let page = 0; page < PAGES; page++) epoch?.naive.dirty("unknown", page);
  }

  quietPages(): number[] {
    return pagesWhere((page) => this.notes.isQuiet(this.#firstPage + page));
  }

  expectedQuietPages(): number[] {
    const unions = this.#epochs.map(({ naive }) => naive.union());
    return pagesWhere((page) => !this.#watched.has(page) && unions.every((union) => union.has(page)));
  }

  #collect(): void {
    for (const page of this.#hardware) {
      for (const { naive } of this.#epochs) naive.dirty("pulled", page);
      if (this.#watched.has(page)) this.expectedCodeCalls += 1;
    }
  }
}

function pagesWhere(holds: (page: number) => boolean): number[] {
  return Array.from({ length: PAGES }, (_, page) => page).filter(holds);
}

const page = fc.nat(PAGES - 1);
const which = fc.nat(7);
const step: fc.Arbitrary<(pair: Pair) => void> = fc.oneof(
  fc.constant((pair: Pair) => pair.open()),
  which.map((w) => (pair: Pair) => pair.close(w)),
  which.map((w) => (pair: Pair) => pair.read(w)),
  which.map((w) => (pair: Pair) => pair.markAll(w)),
  page.map((p) => (pair: Pair) => pair.dirtyInHardware(p)),
  fc.tuple(page, fc.boolean()).map(
    ([p, on]) =>
      (pair: Pair) =>
        pair.watch(p, on),
  ),
  fc.tuple(fc.constantFrom("hart 0", "hart 1", "disk"), fc.nat(60 * 4096), fc.oneof(fc.nat(8), fc.nat(9 * 4096))).map(
    ([source, at, lengthBytes]) =>
      (pair: Pair) =>
        pair.write(source, at, lengthBytes),
  ),
);

test("epochs, quiet pages and code calls equal naive sets under random writes, reads, opens and closes", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pair = new Pair();
      for (const take of steps) {
        take(pair);
        expect(pair.codeCalls).toBe(pair.expectedCodeCalls);
        expect(pair.rounds.splice(0)).toEqual(pair.expectedRounds.splice(0));
        expect(pair.quietPages()).toEqual(pair.expectedQuietPages());
      }
    }),
    { numRuns: 60 },
  );
});
