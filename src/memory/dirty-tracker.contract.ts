// What every DirtyTracker keeps. Each claim throws when it is broken; a member's test file runs them all, as
// `dirty-tracker.test.ts` does for the inline one.
import { assert } from "../base/index.ts";
import type { DirtyTracker } from "./port.ts";

/** One fresh member under test. Pages `firstPage` to `firstPage + 7` are RAM and not written by anybody else. */
export interface TrackerUnderTest {
  readonly tracker: DirtyTracker;
  readonly firstPage: number;
  /** Writes into the page the way that this member watches. */
  readonly write: (page: number) => void;
  /** True when the member reports the written pages and no others. */
  readonly exact: boolean;
}

export interface TrackerClaim {
  readonly claim: string;
  readonly check: (member: TrackerUnderTest) => void;
}

export const dirtyTrackerContract: readonly TrackerClaim[] = [
  {
    claim: "a page written after start is reported",
    check({ tracker, firstPage, write }): void {
      tracker.start();
      write(firstPage + 3);
      expectPages(readAll(tracker), [firstPage + 3]);
      tracker.stop();
    },
  },
  {
    claim: "a page written twice is reported in one read",
    check({ tracker, firstPage, write }): void {
      tracker.start();
      write(firstPage);
      write(firstPage);
      expectPages(readAll(tracker), [firstPage]);
      tracker.stop();
    },
  },
  {
    claim: "a page written again after a read is reported again",
    check({ tracker, firstPage, write }): void {
      tracker.start();
      write(firstPage + 1);
      readAll(tracker);
      write(firstPage + 1);
      expectPages(readAll(tracker), [firstPage + 1]);
      tracker.stop();
    },
  },
  {
    claim: "an exact tracker reports nothing twice",
    check({ tracker, firstPage, write, exact }): void {
      tracker.start();
      write(firstPage + 2);
      readAll(tracker);
      const again = readAll(tracker);
      assert(!exact || again.size === 0, "the second read is empty", [...again]);
      tracker.stop();
    },
  },
  {
    claim: "an exact tracker forgets what was written before start",
    check({ tracker, firstPage, write, exact }): void {
      write(firstPage + 4);
      tracker.start();
      const seen = readAll(tracker);
      assert(!exact || seen.size === 0, "nothing was written since start", [...seen]);
      tracker.stop();
    },
  },
  {
    claim: "an exact tracker reports no page that was not written",
    check({ tracker, firstPage, write, exact }): void {
      tracker.start();
      write(firstPage);
      write(firstPage + 7);
      const seen = readAll(tracker);
      assert(!exact || seen.size === 2, "two pages were written", [...seen]);
      tracker.stop();
    },
  },
  {
    claim: "a tracker can be started again after stop",
    check({ tracker, firstPage, write }): void {
      tracker.start();
      tracker.stop();
      tracker.start();
      write(firstPage + 5);
      expectPages(readAll(tracker), [firstPage + 5]);
      tracker.stop();
    },
  },
  {
    claim: "stopping twice, or without a start, is harmless",
    check({ tracker, firstPage, write }): void {
      tracker.stop();
      tracker.start();
      tracker.stop();
      tracker.stop();
      write(firstPage);
    },
  },
];

function readAll(tracker: DirtyTracker): Set<number> {
  const pages = new Set<number>();
  tracker.read({
    add(firstPage, pageCount) {
      for (let page = firstPage; page < firstPage + pageCount; page++) pages.add(page);
    },
  });
  return pages;
}

function expectPages(seen: ReadonlySet<number>, written: readonly number[]): void {
  for (const page of written) assert(seen.has(page), "a written page is reported", page, [...seen]);
}
