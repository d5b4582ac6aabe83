// Pages of memory on their way in: held against the machine's blocks before anything is written.
import { PAGE_BYTES, type DirtySource, type PageSet } from "../memory/index.ts";
import { MigrationError } from "./errors.ts";
import type { MigratableMachine } from "./port.ts";
import type { MachineFacts } from "./stream/machine-facts.ts";
import {
  MAX_PAGES_PER_FRAME,
  MAX_ZERO_PAGES_PER_FRAME,
  PageEncoding,
  PagesHeader,
  PagesHeaderOfVersion1,
} from "./stream/spec.ts";

const WORDS_PER_PAGE = PAGE_BYTES / 4;

interface StreamPlace {
  readonly position: number;
  readonly version: number;
}

export class IncomingPages {
  readonly #machine: MigratableMachine;
  readonly #source: DirtySource;
  /** Pages that nobody has touched, neither here nor the stream. */
  readonly #untouched: PageSet | undefined;
  #count = 0;

  constructor(machine: MigratableMachine) {
    this.#machine = machine;
    this.#source = machine.notes.source("migration");
    this.#untouched = machine.untouchedPages?.();
  }

  /** Pages taken so far, as often as they came. */
  get count(): number {
    return this.#count;
  }

  /** Throws MigrationError; the stream stands behind the payload. */
  take(payload: Uint8Array, facts: MachineFacts, { position, version }: StreamPlace): void {
    const layout = version === 1 ? PagesHeaderOfVersion1 : PagesHeader;
    const bad = (what: string): MigrationError =>
      new MigrationError("badStream", `Pages before byte ${position} have ${what}`);
    if (payload.length < layout.lengthBytes) throw bad("no header");
    const { block: index, encoding, firstPage, pageCount } = layout.decode(payload, 0);
    const fact = facts.blocks[index];
    if (fact === undefined) throw bad(`block ${index}, of ${facts.blocks.length}`);
    const block = this.#machine.blocks.find(({ name }) => name === fact.name)!;
    const end = firstPage + pageCount;
    const most = encoding === PageEncoding.zero ? MAX_ZERO_PAGES_PER_FRAME : MAX_PAGES_PER_FRAME;
    if (pageCount === 0 || pageCount > most || end * PAGE_BYTES > block.lengthBytes) {
      throw bad(`places ${firstPage} to ${end} in "${block.name}"`);
    }
    const bytes = payload.subarray(layout.lengthBytes);
    const into = block.bytes.subarray(firstPage * PAGE_BYTES, end * PAGE_BYTES);
    const first = block.offset / PAGE_BYTES + firstPage;
    if (encoding === PageEncoding.zero && bytes.length === 0) this.#clear(into, first, pageCount);
    else if (encoding === PageEncoding.bytes && bytes.length === into.length) {
      into.set(bytes);
      this.#untouched?.delete(first, pageCount);
    } else throw bad(`encoding ${encoding} with ${bytes.length} bytes for ${pageCount} pages`);
    this.#machine.notes.noteWrite(this.#source, into.byteOffset, into.length);
    this.#count += pageCount;
  }

  /** Makes pages zero; those that are already stay as the host has them, which may be nowhere. */
  #clear(bytes: Uint8Array, first: number, pageCount: number): void {
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    for (let page = 0; page < pageCount; page++) {
      if (this.#untouched?.has(first + page) === true || isZeroPage(words, page)) continue;
      words.fill(0, page * WORDS_PER_PAGE, (page + 1) * WORDS_PER_PAGE);
    }
  }
}

function isZeroPage(words: Uint32Array, page: number): boolean {
  const end = (page + 1) * WORDS_PER_PAGE;
  for (let i = page * WORDS_PER_PAGE; i < end; i++) if (words[i] !== 0) return false;
  return true;
}
