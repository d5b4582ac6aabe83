// hot: bench/migrate.ts
// Pages of guest memory as frames: runs of one kind, zero or not. Pages are copied once, to a place where their frame is made
// around them, so that what is sent is what the checksum is of, whatever harts and devices write meanwhile. Frames lie one behind
// the other, so that many go to the channel at once.
import { PAGE_BYTES, type PageSet, type RamBlock } from "../../memory/index.ts";
import type { FrameNumbers } from "./frame-numbers.ts";
import { sealFrame } from "./frame-writer.ts";
import { kernelsOver, type Kernels } from "./kernels.ts";
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
/** What one call takes: a mebibyte. */
const PAGES_PER_ROOM = MAX_PAGES_PER_FRAME;
/** A frame of untouched pages takes as long as so many that are copied. */
const PAGES_PER_LOOK = 16;

/** What `PageSource.take` needs in a stream's memory: each page may be a frame of its own. */
export const PAGES_ROOM_BYTES: number = PAGES_PER_ROOM * (HEADERS_BYTES + PAGE_BYTES);

/** What one call took. */
export interface TakenPages {
  /** Frames. */
  readonly bytes: Uint8Array;
  readonly zeroPages: number;
  readonly normalPages: number;
  /** Where to go on. */
  readonly next: number;
}

/** Where frames are put. */
interface Room {
  readonly memory: StreamMemory;
  /** Of the next frame. */
  at: number;
  zeroPages: number;
  normalPages: number;
}

interface PlacedBlock {
  readonly index: number;
  readonly block: RamBlock;
  /** Of the pages, as `WriteNotes` numbers them: by their place in the machine's memory. */
  readonly first: number;
  readonly end: number;
}

/** Memory as a source of frames; pages are numbered as in `WriteNotes`. */
export class PageSource {
  readonly #blocks: readonly PlacedBlock[];
  readonly #kernels: Kernels;
  readonly #numbers: FrameNumbers;

  /** @param numbers of the stream's frames */
  constructor(
    machine: { readonly blocks: readonly RamBlock[]; readonly memory: WebAssembly.Memory },
    numbers: FrameNumbers,
  ) {
    this.#kernels = kernelsOver(machine.memory);
    this.#numbers = numbers;
    this.#blocks = machine.blocks.map((block, index) => {
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
    const room: Room = { memory, at, zeroPages: 0, normalPages: 0 };
    let next = from;
    for (let left = PAGES_PER_ROOM; left > 0;) {
      const first = pending.next(next);
      if (first === -1) break;
      const placed = this.#blocks.find(({ first: low, end }) => first >= low && first < end)!;
      const runEnd = pending.runEnd(first, Math.min(placed.end, first + MAX_ZERO_PAGES_PER_FRAME));
      const untouched = untouchedPages?.before(runEnd);
      if (untouched?.has(first) === true) {
        next = untouched.runEnd(first, runEnd);
        this.#putZeroes(room, placed, first, next);
        left -= PAGES_PER_LOOK;
      } else {
        const most = Math.min(runEnd, first + left);
        const touchedEnd = untouched?.next(first, most) ?? -1;
        next = touchedEnd === -1 ? most : touchedEnd;
        this.#put(room, placed, first, next);
        left -= next - first;
      }
      pending.delete(first, next - first);
    }
    if (room.at === at) return undefined;
    const { zeroPages, normalPages } = room;
    return { bytes: memory.bytes.subarray(at, room.at), zeroPages, normalPages, next };
  }

  #put(room: Room, placed: PlacedBlock, first: number, end: number): void {
    for (let page = first; page < end;) {
      const zeroEnd = this.#runEnd(page, end, true);
      if (zeroEnd > page) {
        this.#putZeroes(room, placed, page, zeroEnd);
        page = zeroEnd;
        continue;
      }
      const frameEnd = this.#runEnd(page, Math.min(end, page + MAX_PAGES_PER_FRAME), false);
      const { bytes } = placed.block;
      const start = (page - placed.first) * PAGE_BYTES;
      const lengthBytes = (frameEnd - page) * PAGE_BYTES;
      room.memory.bytes.set(bytes.subarray(start, start + lengthBytes), room.at + HEADERS_BYTES);
      room.normalPages += frameEnd - page;
      this.#putFrame(room, { block: placed.index, firstPage: page - placed.first, pageCount: frameEnd - page }, false);
      page = frameEnd;
    }
  }

  #putZeroes(room: Room, placed: PlacedBlock, first: number, end: number): void {
    room.zeroPages += end - first;
    this.#putFrame(room, { block: placed.index, firstPage: first - placed.first, pageCount: end - first }, true);
  }

  /** Where the run of zero pages ends, or of others, that may begin at `first`. */
  #runEnd(first: number, end: number, isZero: boolean): number {
    // What 32 bits cannot hold with a sign comes back with one.
    return (this.#kernels.skipPages(first * PAGE_BYTES, end * PAGE_BYTES, isZero ? 1 : 0) >>> 0) / PAGE_BYTES;
  }

  /** Around pages that are in their place. */
  #putFrame(
    room: Room,
    pages: { readonly block: number; readonly firstPage: number; readonly pageCount: number },
    isZero: boolean,
  ): void {
    const { offsets } = PagesHeader;
    const { memory, at } = room;
    const { view } = memory;
    const header = at + FrameHeader.lengthBytes;
    view.setUint16(header + offsets.block, pages.block, true);
    view.setUint8(header + offsets.encoding, isZero ? PageEncoding.zero : PageEncoding.bytes);
    view.setUint8(header + offsets.pad, 0);
    view.setUint32(header + offsets.firstPage, pages.firstPage, true);
    view.setUint32(header + offsets.pageCount, pages.pageCount, true);
    view.setUint32(header + offsets.reserved, 0, true);
    const payloadBytes = PagesHeader.lengthBytes + (isZero ? 0 : pages.pageCount * PAGE_BYTES);
    const frame = { kind: FrameKind.pages, flags: 0, number: this.#numbers.next(), payloadBytes };
    room.at += sealFrame(memory, at, frame);
  }
}
