// Pages of memory on their way in: held against the machine's blocks before anything is written.
import { PAGE_BYTES, PageSet, type DirtySource } from "../memory/index.ts";
import { MigrationError } from "./errors.ts";
import type { LookForUntouched, MigratableMachine, PackingPort } from "./port.ts";
import type { PageTaker } from "./stream/frame-reader.ts";
import { kernelsOver, type Kernels } from "./stream/kernels.ts";
import type { MachineFacts } from "./stream/machine-facts.ts";
import {
  MAX_PAGES_PER_FRAME,
  MAX_ZERO_PAGES_PER_FRAME,
  PageEncoding,
  PagesHeader,
  PagesHeaderOfVersion1,
} from "./stream/spec.ts";

/** For fewer pages it is quicker to look at the pages than for them. */
const LOOK_FROM_PAGES = 16;

interface StreamPlace {
  readonly position: number;
  readonly version: number;
}

interface Header {
  readonly block: number;
  readonly encoding: number;
  readonly firstPage: number;
  readonly pageCount: number;
}

/** What a frame is of. */
interface Pages {
  readonly bytes: Uint8Array;
  /** As `WriteNotes` numbers them. */
  readonly first: number;
  readonly count: number;
}

export class IncomingPages implements PageTaker {
  readonly kernels: Kernels;
  readonly unpack: PackingPort["unpack"] | undefined;
  readonly #machine: MigratableMachine;
  readonly #facts: MachineFacts;
  readonly #source: DirtySource;
  readonly #lookForUntouched: LookForUntouched | undefined;
  /** Of pages that are to be zero, those that are not to be looked at. */
  readonly #untouched: PageSet;
  #coming: Pages | undefined;
  #count = 0;

  constructor(machine: MigratableMachine, facts: MachineFacts, packing?: PackingPort) {
    this.#machine = machine;
    this.#facts = facts;
    this.kernels = kernelsOver(machine.memory);
    this.unpack = packing?.unpack;
    this.#source = machine.notes.source("migration");
    this.#lookForUntouched = machine.untouchedPages?.();
    this.#untouched = new PageSet(machine.notes.pageCount);
  }

  /** Pages taken so far, as often as they came. */
  get count(): number {
    return this.#count;
  }

  place(view: DataView, at: number, payloadBytes: number): Uint8Array | undefined {
    const { offsets } = PagesHeader;
    const encoding = view.getUint8(at + offsets.encoding);
    const pages = this.#find({
      block: view.getUint16(at + offsets.block, true),
      encoding,
      firstPage: view.getUint32(at + offsets.firstPage, true),
      pageCount: view.getUint32(at + offsets.pageCount, true),
    });
    if (typeof pages === "string" || encoding !== PageEncoding.bytes) return undefined;
    if (payloadBytes !== PagesHeader.lengthBytes + pages.bytes.length) return undefined;
    this.#coming = pages;
    return pages.bytes;
  }

  placed(): void {
    this.#took(this.#coming!);
  }

  take(payload: Uint8Array, { position, version }: StreamPlace): void {
    const layout = version === 1 ? PagesHeaderOfVersion1 : PagesHeader;
    const bad = (what: string): MigrationError =>
      new MigrationError("badStream", `Pages before byte ${position} have ${what}`);
    if (payload.length < layout.lengthBytes) throw bad("no header");
    const header = layout.decode(payload, 0);
    const pages = this.#find(header);
    if (typeof pages === "string") throw bad(pages);
    const bytes = payload.subarray(layout.lengthBytes);
    if (header.encoding === PageEncoding.zero && bytes.length === 0) this.#clear(pages);
    else if (header.encoding === PageEncoding.bytes && bytes.length === pages.bytes.length) {
      pages.bytes.set(bytes);
    } else throw bad(`encoding ${header.encoding} with ${bytes.length} bytes for ${pages.count} pages`);
    this.#took(pages);
  }

  #took({ bytes, count }: Pages): void {
    this.#machine.notes.noteWrite(this.#source, bytes.byteOffset, bytes.length);
    this.#count += count;
  }

  /** What is wrong with them as text, for messages. */
  #find({ block: index, encoding, firstPage, pageCount }: Header): Pages | string {
    const { blocks } = this.#facts;
    const fact = blocks[index];
    if (fact === undefined) return `block ${index}, of ${blocks.length}`;
    const block = this.#machine.blocks.find(({ name }) => name === fact.name)!;
    const end = firstPage + pageCount;
    const most = encoding === PageEncoding.zero ? MAX_ZERO_PAGES_PER_FRAME : MAX_PAGES_PER_FRAME;
    if (pageCount === 0 || pageCount > most || end * PAGE_BYTES > block.lengthBytes) {
      return `places ${firstPage} to ${end} in "${block.name}"`;
    }
    const bytes = block.bytes.subarray(firstPage * PAGE_BYTES, end * PAGE_BYTES);
    return { bytes, first: block.offset / PAGE_BYTES + firstPage, count: pageCount };
  }

  /** Makes pages zero; those that are already stay as the host has them, which may be nowhere. */
  #clear({ bytes, first, count }: Pages): void {
    const end = first + count;
    // Who finds out by reading touches them.
    if (count >= LOOK_FROM_PAGES) this.#lookForUntouched?.(this.#untouched.words, first, count);
    for (let page = first; page < end; page++) {
      if (this.#untouched.has(page)) {
        page = this.#untouched.runEnd(page) - 1;
        continue;
      }
      const at = page * PAGE_BYTES;
      if (this.kernels.skipZeroes(at, at + PAGE_BYTES) >>> 0 === at + PAGE_BYTES) continue;
      bytes.fill(0, at - bytes.byteOffset, at - bytes.byteOffset + PAGE_BYTES);
    }
    this.#untouched.delete(first, count);
  }
}
