// The host's physical memory as IOMMUs see it: page frame numbers for pages of callers' backings, and their pin counts.
// Each backing gets a wide, aligned slot of frame numbers, so that what is contiguous in a backing is contiguous here.
import type { PageBacking } from "../port.ts";

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 4096;

/** A slot spans 2^47 bytes: a whole user address space. */
const SLOT_PAGES = 2 ** 35;
const CHUNK_PAGES = 1024;

interface Slot {
  readonly index: number;
  readonly key: string;
  backing: PageBacking;
  pinnedPages: number;
}

export class FrameSpace {
  /** How much can be pinned at once: the host's memory. */
  readonly capacityPages: number;
  readonly #byKey = new Map<string, Slot>();
  readonly #slots: (Slot | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #pins = new Map<number, Int32Array>();
  readonly #chunkPins = new Map<number, number>();
  #pinnedPages = 0;

  constructor(capacityPages: number) {
    this.capacityPages = capacityPages;
  }

  /** Pins `pageCount` pages of a backing and returns the frame number of the first. */
  pin(backing: PageBacking, offset: number, pageCount: number): number {
    let slot = this.#byKey.get(backing.key);
    if (slot === undefined) {
      const index = this.#free.pop() ?? this.#slots.length;
      slot = { index, key: backing.key, backing, pinnedPages: 0 };
      this.#byKey.set(backing.key, slot);
      this.#slots[index] = slot;
      backing.pinned?.(true);
    } else if (slot.backing !== backing) {
      backing.pinned?.(true);
      slot.backing.pinned?.(false);
      slot.backing = backing;
    }
    slot.pinnedPages += pageCount;
    this.#pinnedPages += pageCount;
    const frame = slot.index * SLOT_PAGES + offset / PAGE_SIZE;
    this.#count(frame, pageCount, 1);
    return frame;
  }

  unpin(frame: number, pageCount: number): void {
    const slot = this.#slots[Math.floor(frame / SLOT_PAGES)]!;
    slot.pinnedPages -= pageCount;
    this.#pinnedPages -= pageCount;
    this.#count(frame, pageCount, -1);
    if (slot.pinnedPages === 0) {
      this.#byKey.delete(slot.key);
      this.#slots[slot.index] = undefined;
      this.#free.push(slot.index);
      slot.backing.pinned?.(false);
    }
  }

  /** Backings with pinned pages, by their place, and how many. */
  snapshot(): object {
    return [...this.#byKey.values()].map(({ index, pinnedPages }) => ({ index, pinnedPages }));
  }

  /** The frame of a page that is pinned, or undefined. */
  frameOf(backing: PageBacking, offset: number): number | undefined {
    const slot = this.#byKey.get(backing.key);
    return slot === undefined ? undefined : slot.index * SLOT_PAGES + offset / PAGE_SIZE;
  }

  pinCount(frame: number): number {
    return this.#pins.get(Math.floor(frame / CHUNK_PAGES))?.[frame % CHUNK_PAGES] ?? 0;
  }

  /** Pages pinned now, over all backings. */
  get pinnedPages(): number {
    return this.#pinnedPages;
  }

  /** Reads at a physical byte address given as frame and offset from its start; false when the bytes are out of reach. */
  read(frame: number, offset: number, into: Uint8Array): boolean {
    const slot = this.#slots[Math.floor(frame / SLOT_PAGES)];
    return slot !== undefined && slot.backing.read((frame % SLOT_PAGES) * PAGE_SIZE + offset, into);
  }

  write(frame: number, offset: number, from: Uint8Array): boolean {
    const slot = this.#slots[Math.floor(frame / SLOT_PAGES)];
    return slot !== undefined && slot.backing.write((frame % SLOT_PAGES) * PAGE_SIZE + offset, from);
  }

  window(frame: number, offset: number, lengthBytes: number): Uint8Array | undefined {
    const slot = this.#slots[Math.floor(frame / SLOT_PAGES)];
    return slot?.backing.window?.((frame % SLOT_PAGES) * PAGE_SIZE + offset, lengthBytes);
  }

  #count(frame: number, pageCount: number, by: 1 | -1): void {
    let at = frame;
    let left = pageCount;
    while (left > 0) {
      const chunk = Math.floor(at / CHUNK_PAGES);
      const from = at % CHUNK_PAGES;
      const n = Math.min(left, CHUNK_PAGES - from);
      let counts = this.#pins.get(chunk);
      if (counts === undefined) {
        counts = new Int32Array(CHUNK_PAGES);
        this.#pins.set(chunk, counts);
      }
      for (let i = from; i < from + n; i++) counts[i]! += by;
      const live = (this.#chunkPins.get(chunk) ?? 0) + n * by;
      if (live === 0) {
        this.#pins.delete(chunk);
        this.#chunkPins.delete(chunk);
      } else {
        this.#chunkPins.set(chunk, live);
      }
      at += n;
      left -= n;
    }
  }
}
