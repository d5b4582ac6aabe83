// The inline member of the DirtyTracker port: every store reports itself, so it works everywhere.
import type { DirtyEpoch } from "./dirty-epoch.ts";
import type { DirtyNotes } from "./dirty-notes.ts";
import { PageSet } from "./page-set.ts";
import type { DirtyTracker, PageReport } from "./port.ts";

/** A tracker over an epoch of its own, named `name`. Exact: reports what was written and no more. */
export function inlineTracker(notes: DirtyNotes, name: string): DirtyTracker {
  const scratch = new PageSet(notes.pageCount);
  let epoch: DirtyEpoch | undefined;
  return {
    kind: "inline",
    start(): void {
      epoch ??= notes.openEpoch(name);
    },
    read(into: PageReport): void {
      if (epoch === undefined) return;
      scratch.clear();
      epoch.read(scratch);
      scratch.forEachRun((firstPage, pageCount) => into.add(firstPage, pageCount));
    },
    stop(): void {
      epoch?.close();
      epoch = undefined;
    },
  };
}
