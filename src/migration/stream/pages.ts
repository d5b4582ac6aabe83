// hot: bench/migrate.ts
// Pages of guest memory as frames: runs of one kind, zero or not. Pages are copied once, to a place where their frame is made
// around them, so that what is sent is what the checksum is of, whatever harts and devices write meanwhile.
import { PAGE_BYTES, type PageSet, type RamBlock } from "../../memory/index.ts";
import type { FrameNumbers } from "./frame-numbers.ts";
import { sealFrame } from "./frame-writer.ts";
import {
  FrameHeader,
  FrameKind,
  MAX_PAGES_PER_FRAME,
  MAX_ZERO_PAGES_PER_FRAME,
  PageEncoding,
  PagesHeader,
} from "./spec.ts";
import type { StreamMemory } from "./stream-memory.ts";
import type { UntouchedPages } from "./untouched-pages.ts";

const HEADERS_BYTES = FrameHeader.lengthBytes + PagesHeader.lengthBytes;
/** Before the first page, so that pages lie as in memory. */
const HEADER_ROOM_BYTES = 64;

/** What `PageSource.take` needs in a stream's memory. */
export const PAGES_ROOM_BYTES: number = HEADER_ROOM_BYTES + MAX_PAGES_PER_FRAME * PAGE_BYTES;

/** What one call took. */
export interface TakenPages {
  readonly frames: readonly Uint8Array[];
  readonly zeroPages: number;
  readonly normalPages: number;
  /** Where to go on. */
  readonly next: number;
}

interface PlacedBlock {
  readonly index: number;
  readonly block: RamBlock;
  /** Of the pages, as `WriteNotes` numbers them. */
  readonly first: number;
  readonly end: number;
}

/** Memory as a source of frames; pages are numbered as in `WriteNotes`. */
export class PageSource {
  readonly #blocks: readonly PlacedBlock[];
  readonly #numbers: FrameNumbers;

  /** @param numbers of the stream's frames */
  constructor(blocks: readonly RamBlock[], numbers: FrameNumbers) {
    this.#numbers = numbers;
    this.#blocks = blocks.map((block, index) => {
      const first = block.offset / PAGE_BYTES;
      return { index, block, first, end: first + block.lengthBytes / PAGE_BYTES };
    });
  }

  get pageCount(): number {
    return this.#blocks.reduce((sum, { first, end }) => sum + end - first, 0);
  }

  /** Puts every page into the set. */
  addAll(into: PageSet): void {
    for (const { first, end } of this.#blocks) into.add(first, end - first);
  }

  /**
   * Takes the next pages at or after `from` out of the set, as frames in `memory` from `at` on; undefined when there are
   * none. Untouched pages are zero, and are not looked at.
   */
  take(
    pending: PageSet,
    from: number,
    untouchedPages: UntouchedPages | undefined,
    { memory, at }: { readonly memory: StreamMemory; readonly at: number },
  ): TakenPages | undefined {
    const first = pending.next(from);
    if (first === -1) return undefined;
    const placed = this.#blocks.find(({ first: low, end }) => first >= low && first < end)!;
    const runEnd = pending.runEnd(first, Math.min(placed.end, first + MAX_ZERO_PAGES_PER_FRAME));
    const untouched = untouchedPages?.before(runEnd);
    if (untouched?.has(first) === true) {
      const end = untouched.runEnd(first, runEnd);
      pending.delete(first, end - first);
      const frame = this.#pagesFrame(memory, at, placed, { first, count: end - first, isZero: true });
      return { frames: [frame], zeroPages: end - first, normalPages: 0, next: end };
    }
    const most = Math.min(runEnd, first + MAX_PAGES_PER_FRAME);
    const touchedEnd = untouched?.next(first, most) ?? -1;
    const end = touchedEnd === -1 ? most : touchedEnd;
    pending.delete(first, end - first);
    return this.#framesOf(memory, at, placed, { first, end });
  }

  #framesOf(
    memory: StreamMemory,
    room: number,
    placed: PlacedBlock,
    { first, end }: { readonly first: number; readonly end: number },
  ): TakenPages {
    const frames: Uint8Array[] = [];
    const count = end - first;
    const start = (first - placed.first) * PAGE_BYTES;
    const at = room + HEADER_ROOM_BYTES;
    memory.bytes.set(placed.block.bytes.subarray(start, start + count * PAGE_BYTES), at);
    let zeroPages = 0;
    for (let done = 0; done < count;) {
      const here = at + done * PAGE_BYTES;
      const zeroes = memory.runOfPages(here, count - done, true);
      // A frame's headers lie before its pages: in the room for them, or in a page of zeroes, which is not sent.
      if (zeroes > 0) {
        frames.push(this.#pagesFrame(memory, here, placed, { first: first + done, count: zeroes, isZero: true }));
        zeroPages += zeroes;
        done += zeroes;
        continue;
      }
      const others = memory.runOfPages(here, count - done, false);
      const headers = here - HEADERS_BYTES;
      frames.push(this.#pagesFrame(memory, headers, placed, { first: first + done, count: others, isZero: false }));
      done += others;
    }
    return { frames, zeroPages, normalPages: count - zeroPages, next: end };
  }

  #pagesFrame(
    memory: StreamMemory,
    at: number,
    placed: PlacedBlock,
    { first, count, isZero }: { readonly first: number; readonly count: number; readonly isZero: boolean },
  ): Uint8Array {
    const { offsets } = PagesHeader;
    const { view } = memory;
    const pages = at + FrameHeader.lengthBytes;
    view.setUint16(pages + offsets.block, placed.index, true);
    view.setUint8(pages + offsets.encoding, isZero ? PageEncoding.zero : PageEncoding.bytes);
    view.setUint8(pages + offsets.pad, 0);
    view.setUint32(pages + offsets.firstPage, first - placed.first, true);
    view.setUint32(pages + offsets.pageCount, count, true);
    view.setUint32(pages + offsets.reserved, 0, true);
    const payloadBytes = PagesHeader.lengthBytes + (isZero ? 0 : count * PAGE_BYTES);
    const header = { kind: FrameKind.pages, flags: 0, number: this.#numbers.next(), payloadBytes };
    const lengthBytes = sealFrame(memory, at, header);
    return memory.bytes.subarray(at, at + lengthBytes);
  }
}
