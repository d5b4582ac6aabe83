// Pages that are zero as nobody has ever touched them, found out as far as somebody wants to know: to look at all of memory
// takes as long as to send some mebibytes. A page that is touched later is written to, and tracked.
import { PageSet } from "../../memory/index.ts";
import type { LookForUntouched } from "../port.ts";

/** Looked for at a time. */
const STEP_PAGES = 4096;

export class UntouchedPages {
  readonly #look: LookForUntouched;
  readonly #pages: PageSet;
  /** Before it they are known. */
  #end: number;

  /** Guest memory lies from `firstRamPage` on, and before `pageCount`. */
  constructor(look: LookForUntouched, notes: { readonly firstRamPage: number; readonly pageCount: number }) {
    this.#look = look;
    this.#pages = new PageSet(notes.pageCount);
    this.#end = notes.firstRamPage;
  }

  /** All that are before `end`, and perhaps some behind it. */
  before(end: number): PageSet {
    while (this.#end < Math.min(end, this.#pages.pageCount)) {
      const count = Math.min(STEP_PAGES, this.#pages.pageCount - this.#end);
      this.#look(this.#pages.words, this.#end, count);
      this.#end += count;
    }
    return this.#pages;
  }
}
