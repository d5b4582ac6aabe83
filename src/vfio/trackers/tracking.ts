// The sources that tell of what a container's devices write, kept as devices come and go: each is pulled by the machine's
// dirty epochs, and asked once more before what it knows would be lost.
import { PAGE_BYTES, type DirtyNotes } from "../../memory/index.ts";
import type { MappedRange } from "../mapped-ram.ts";
import type { TrackingSource } from "./source.ts";

interface Running {
  readonly source: TrackingSource;
  readonly end: () => void;
}

export class Tracking {
  readonly #notes: DirtyNotes;
  readonly #ranges: () => readonly MappedRange[];
  readonly #running = new Map<string, Running>();

  constructor(notes: DirtyNotes, ranges: () => readonly MappedRange[]) {
    this.#notes = notes;
    this.#ranges = ranges;
  }

  get sourceNames(): readonly string[] {
    return [...this.#running.keys()];
  }

  /**
   * Goes over to these sources. One that is there already (by name) goes on; one that is wanted no more is read for the
   * last time. Throws what a source throws that cannot start while an epoch is open; the sources are the old ones then.
   */
  use(wanted: readonly TrackingSource[]): void {
    const added: string[] = [];
    try {
      for (const source of wanted) {
        if (this.#running.has(source.name)) continue;
        const end = this.#notes.addCollector(source.name, {
          start: () => source.start(),
          read: (into) => source.read(this.#ranges(), into),
          stop: () => source.stop(),
        });
        this.#running.set(source.name, { source, end });
        added.push(source.name);
      }
    } catch (error) {
      for (const name of added) this.#end(name);
      throw error;
    }
    const names = new Set(wanted.map((source) => source.name));
    for (const name of this.#running.keys()) if (!names.has(name)) this.#end(name);
  }

  /** Tells open epochs what is known of writes to a range that is about to go. */
  flush(range: MappedRange): void {
    if (this.#notes.openEpochs === 0) return;
    for (const { source } of this.#running.values()) {
      const id = this.#notes.source(source.name);
      const note = (first: number, count: number): void =>
        this.#notes.noteWrite(id, first * PAGE_BYTES, count * PAGE_BYTES);
      try {
        source.read([range], { add: note });
      } catch {
        // Whatever the source knew is out of reach, so all of the range counts as written.
        note(range.offset / PAGE_BYTES, range.lengthBytes / PAGE_BYTES);
      }
    }
  }

  #end(name: string): void {
    const running = this.#running.get(name)!;
    this.#running.delete(name);
    try {
      running.end();
    } catch {
      // The last read failed; the epochs have every page as written then, so nothing is lost.
    }
  }
}
