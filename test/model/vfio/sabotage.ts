// Faults put into trackers on purpose, for the oracle to notice. Each withholds part of what a source of dirty pages tells:
// which pages of a read, which reads. What was withheld and told by nobody else in its round is lost, and known here.
import type { Collector, DirtyNotes, PageReport } from "../../../src/memory/index.ts";
import type { TrackingSourceKind } from "./topology.ts";

/** Whose reports, by the end of the source's name. */
const SOURCES: Readonly<Record<TrackingSourceKind, RegExp>> = {
  "dirty bits": /page table \d+$/,
  "device log": / log$/,
  "untracked reach": / untracked$/,
};

/** Page `at` of a run of `count` pages, which is `page` of memory, in a read; reads count from the start of the tracker. */
type Loses = (read: number, at: number, count: number, page: number) => boolean;

/** What of a report is withheld. */
const FAULTS: Readonly<Record<string, Loses>> = {
  "forgets everything": () => true,
  "has a hole at the first page of a run": (_read, at) => at === 0,
  "has a hole at the last page of a run": (_read, at, count) => at === count - 1,
  "has a hole inside": (_read, at, count) => at === count >>> 1,
  "clears every other page without telling": (_read, _at, _count, page) => page % 2 === 0,
  "starts late": (read) => read === 0,
  "loses one read in three": (read) => read % 3 === 2,
};

/** Where a source is asked outside the reading of an epoch. */
const LAST_READ = "stops before the last read";
const UNMAP = "unmaps without reading";

export interface Sabotage {
  readonly source: TrackingSourceKind;
  readonly fault: string;
}

export const SABOTAGES: readonly Sabotage[] = (Object.keys(SOURCES) as TrackingSourceKind[]).flatMap((source) =>
  [...Object.keys(FAULTS), LAST_READ, UNMAP].map((fault) => ({ source, fault })),
);

export function sabotageName({ source, fault }: Sabotage): string {
  return `${source}: ${fault}`;
}

/** Withholds reports of all sources that are registered from now on. Returns the pages that were, until they are taken. */
export function sabotage(notes: DirtyNotes, { source, fault }: Sabotage): { take(): Set<number> } {
  let withheld = new Set<number>();
  const withhold = (page: number): void => void withheld.add(page);
  let isCollecting = false;
  const mine = (name: string): boolean => SOURCES[source].test(name);
  const add = notes.addCollector.bind(notes);
  notes.addCollector = (name, collector) => {
    if (!mine(name)) return add(name, collector);
    let reads = 0;
    let isLast = false;
    const faulty: Collector = {
      start: () => {
        reads = 0;
        collector.start?.();
      },
      stop: () => collector.stop?.(),
      read: (into) => {
        isCollecting = true;
        collector.read(isLast && fault === LAST_READ ? nothing(withhold) : lossy(into, fault, reads, withhold));
        isCollecting = false;
        reads += 1;
      },
    };
    const end = add(name, faulty);
    return () => {
      isLast = true;
      end();
    };
  };
  const note = notes.noteWrite.bind(notes);
  notes.noteWrite = (id, offset, lengthBytes) => {
    if (fault !== UNMAP || isCollecting || !mine(notes.sourceName(id))) return note(id, offset, lengthBytes);
    for (let page = offset / 4096; page < (offset + lengthBytes) / 4096; page++) withhold(page);
  };
  return {
    take() {
      const taken = withheld;
      withheld = new Set();
      return taken;
    },
  };
}

function lossy(into: PageReport, fault: string, read: number, withhold: (page: number) => void): PageReport {
  const loses = FAULTS[fault];
  if (loses === undefined) return into;
  return {
    add(first, count) {
      for (let at = 0; at < count; at++) {
        if (loses(read, at, count, first + at)) withhold(first + at);
        else into.add(first + at, 1);
      }
    },
  };
}

function nothing(withhold: (page: number) => void): PageReport {
  return {
    add(first, count) {
      for (let page = first; page < first + count; page++) withhold(page);
    },
  };
}
