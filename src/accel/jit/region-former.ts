// hot: bench/compile.ts
// Collects the decoded instructions that a region is made of, from a hot one along all paths, and cuts them into blocks.
//
// Places are offsets from the region's base, the virtual address of the page it was begun in, so that a region holds for
// every address space that maps its pages at the same distances. A page is part of it when the fetch TLB has it now; edges
// from one page to another look into the TLB again when they are taken.
import { codePageBytes, entryBytes, entryOffset, entryScale, Handler } from "../code-cache.ts";
import { tlbAddendOffset, tlbIndexMask, tlbIndexShift } from "../softmmu.ts";
import { Flow, type Template } from "./template.ts";

export const instructionLimit = 600;
export const pageLimit = 8;
/** Instructions of the copies that `unroll` makes. */
export const copiedLimit = 300;
/** Blocks, and instructions that are written: with copies. */
export const blockLimit: number = instructionLimit + copiedLimit;
export const emittedLimit: number = instructionLimit + copiedLimit;
const queueLimit = 4 * instructionLimit;
const entriesPerPage = 2048;

export interface FormerParts {
  readonly buffer: ArrayBufferLike;
  /** Templates of the handlers from `Handler.first` on. */
  readonly templateOf: (handler: number) => Template;
  /** The handler that stands under a region's entry. */
  readonly handlerUnder: (entry: number) => number;
  /** Where an instruction that lies in two pages can be decoded to: as many as there are pages. */
  readonly scratch: number;
  /** Decodes the word of such an instruction into the entry at `entry`. */
  readonly decodeWord: (word: number, entry: number) => void;
  /** Offset in the memory of the code that an entry stands for. */
  readonly codeAt: (entry: number) => number;
  /** Says that the first bytes of the page at `entries` belong to a region. */
  readonly watchStart: (entries: number) => void;
  /** Whether the region entered there is small enough to be a part of others, too; larger ones are left to themselves. */
  readonly isSmall: (entry: number) => boolean;
  /** Where decoded entries lie. */
  readonly cacheBase: number;
  readonly cacheEnd: number;
}

export class RegionFormer {
  // Instructions, in runs of those that follow each other.
  count = 0;
  readonly entry: Int32Array = new Int32Array(instructionLimit);
  /** The entry that has the operands: another one where an instruction lies in two pages. */
  readonly decoded: Int32Array = new Int32Array(instructionLimit);
  /** The other page of such an instruction, else -1. */
  readonly otherPage: Int8Array = new Int8Array(instructionLimit);
  readonly offset: Int32Array = new Int32Array(instructionLimit);
  readonly templates: Template[] = [];
  readonly imm: Int32Array = new Int32Array(instructionLimit);
  readonly page: Uint8Array = new Uint8Array(instructionLimit);
  private readonly leads: Uint8Array = new Uint8Array(instructionLimit);
  private readonly ends: Uint8Array = new Uint8Array(instructionLimit);

  // Pages: address of their entries, offset from the base.
  pageCount = 0;
  readonly pageEntries: Int32Array = new Int32Array(pageLimit);
  readonly pageOffset: Int32Array = new Int32Array(pageLimit);
  /** Instruction + 1 of each entry of each page. */
  private readonly known: Int16Array = new Int16Array(pageLimit * entriesPerPage);

  // Blocks: runs of instructions with one way in and ways out at the end.
  blockCount = 0;
  readonly first: Int16Array = new Int16Array(blockLimit);
  readonly length: Int16Array = new Int16Array(blockLimit);
  /** Where a block goes on without a branch or by one that is always taken, and by one taken under a condition: blocks or -1. */
  readonly onward: Int16Array = new Int16Array(blockLimit);
  readonly taken: Int16Array = new Int16Array(blockLimit);
  /** The same as offsets. */
  readonly onwardOffset: Int32Array = new Int32Array(blockLimit);
  readonly takenOffset: Int32Array = new Int32Array(blockLimit);
  private readonly blockOf: Int16Array = new Int16Array(instructionLimit);

  /** Blocks where the region can be entered, the hot one first. */
  entryCount = 0;
  readonly entryBlocks: Int16Array = new Int16Array(instructionLimit);
  private readonly entryOffsets: Int32Array = new Int32Array(queueLimit);
  private entryOffsetCount = 0;

  private readonly parts: FormerParts;
  private readonly halves: Uint16Array;
  private readonly words: Int32Array;
  private readonly queue: Int32Array = new Int32Array(queueLimit);
  private queued = 0;
  /** Calls and jumps into other pages come after everything nearer. */
  private readonly farQueue: Int32Array = new Int32Array(queueLimit);
  private farQueued = 0;
  private baseLow = 0;
  private baseHigh = 0;
  private tlbFetch = 0;
  private acrossCount = 0;

  constructor(parts: FormerParts) {
    this.parts = parts;
    this.halves = new Uint16Array(parts.buffer);
    this.words = new Int32Array(parts.buffer);
  }

  /**
   * Forms the region that is entered at the offsets `roots` from the page at `low`, `high`, seen through the fetch table at
   * `tlbFetch`. False when there is nothing to be made of it.
   */
  form(tlbFetch: number, low: number, high: number, roots: readonly number[]): boolean {
    this.forget();
    this.tlbFetch = tlbFetch;
    this.baseLow = low;
    this.baseHigh = high;
    for (let i = 0; i < roots.length; i++) this.wantEntry(roots[i]!);
    for (;;) {
      if (this.queued > 0) this.run(this.queue[--this.queued]!);
      else if (this.farQueued > 0) this.run(this.farQueue[--this.farQueued]!);
      else break;
    }
    if (this.count === 0) return false;
    this.cut();
    return this.entryCount > 0;
  }

  /** The instruction at an offset, or -1. */
  private find(offset: number): number {
    const pageOffset = offset & ~0xfff;
    for (let page = 0; page < this.pageCount; page++) {
      if (this.pageOffset[page] === pageOffset) {
        return this.known[page * entriesPerPage + ((offset & 0xfff) >>> 1)]! - 1;
      }
    }
    return -1;
  }

  private forget(): void {
    for (let i = 0; i < this.count; i++) {
      this.known[this.page[i]! * entriesPerPage + ((this.offset[i]! & 0xfff) >>> 1)] = 0;
    }
    this.count = 0;
    this.pageCount = 0;
    this.queued = 0;
    this.farQueued = 0;
    this.entryOffsetCount = 0;
    this.acrossCount = 0;
  }

  private wantEntry(offset: number): void {
    if (this.entryOffsetCount === queueLimit) return;
    this.entryOffsets[this.entryOffsetCount++] = offset;
    this.want(offset);
  }

  private want(offset: number): void {
    if (this.queued < queueLimit) this.queue[this.queued++] = offset;
  }

  private wantFar(offset: number): void {
    if (this.farQueued < queueLimit) this.farQueue[this.farQueued++] = offset;
  }

  /** The number of the page of an offset, taken in when the fetch TLB has it; or -1. */
  private pageAt(offset: number): number {
    const pageOffset = offset & ~0xfff;
    for (let page = 0; page < this.pageCount; page++) if (this.pageOffset[page] === pageOffset) return page;
    if (this.pageCount === pageLimit) return -1;
    const sum = (this.baseLow >>> 0) + pageOffset;
    const low = sum | 0;
    const high = (this.baseHigh + Math.floor(sum / 0x1_0000_0000)) | 0;
    const tag = (this.tlbFetch + ((low >>> tlbIndexShift) & tlbIndexMask)) >>> 2;
    if (this.words[tag] !== low || this.words[tag + 1] !== high) return -1;
    const entries = this.words[tag + tlbAddendOffset / 4]!;
    if (entries < this.parts.cacheBase || entries + codePageBytes > this.parts.cacheEnd) return -1;
    const page = this.pageCount++;
    this.pageOffset[page] = pageOffset;
    this.pageEntries[page] = entries;
    return page;
  }

  /** Takes in the instructions from `start` on, as far as one follows the other. */
  private run(start: number): void {
    const page = this.pageAt(start);
    if (page < 0) return;
    const entries = this.pageEntries[page]!;
    let offset = start;
    for (;;) {
      const place = (offset & 0xfff) >>> 1;
      const known = this.known[page * entriesPerPage + place]!;
      if (known !== 0) {
        this.leads[known - 1] = 1;
        break;
      }
      const entry = entries + place * entryBytes;
      let handler = this.halves[entry >>> 1]!;
      if (handler === Handler.region) {
        if (!this.parts.isSmall(entry)) break;
        handler = this.parts.handlerUnder(entry);
      }
      if (this.count === instructionLimit) break;
      let decoded = entry;
      let otherPage = -1;
      if (handler === Handler.step) {
        otherPage = this.decodeAcross(entry, offset);
        if (otherPage < 0) break;
        decoded = this.parts.scratch + (this.acrossCount - 1) * entryBytes;
        handler = this.halves[decoded >>> 1]!;
      }
      if (handler < Handler.first) break;
      const template = this.parts.templateOf(handler);
      const next = offset + template.lengthBytes;
      if (template.flow === Flow.barrier) {
        this.wantEntry(next);
        break;
      }
      const i = this.count++;
      this.known[page * entriesPerPage + place] = i + 1;
      this.entry[i] = entry;
      this.decoded[i] = decoded;
      this.otherPage[i] = otherPage;
      // Alone in its block, which begins with a look at the other page.
      if (otherPage >= 0 && offset !== start) this.ends[i - 1] = 1;
      // The interpreter steps over it, so the way in is behind it.
      if (otherPage >= 0 && this.entryOffsets[0] === offset) this.wantEntry(next);
      this.offset[i] = offset;
      this.page[i] = page;
      this.templates[i] = template;
      const imm = this.words[(decoded + entryOffset.imm) >>> 2]!;
      // Branches within a page hold the distance of entries.
      this.imm[i] = template.near ? imm / entryScale : imm;
      this.leads[i] = offset === start ? 1 : 0;
      this.ends[i] = 0;
      if (template.flow === Flow.next) {
        if (((next ^ start) & ~0xfff) !== 0) {
          this.want(next);
          break;
        }
      } else if (template.flow === Flow.conditional) {
        this.branchTo(offset + this.imm[i], !template.near);
        this.want(next);
        break;
      } else {
        if (template.flow === Flow.branch) this.branchTo(offset + this.imm[i], !template.near || template.links);
        if (template.links) this.wantEntry(next);
        break;
      }
      offset = next;
    }
    if (this.count > 0) this.ends[this.count - 1] = 1;
  }

  /** Decodes the instruction over the end of a page; the number of its other page, or -1 when that is not there. */
  private decodeAcross(entry: number, offset: number): number {
    if ((offset & 0xfff) !== 0xffe || this.acrossCount === pageLimit) return -1;
    const page = this.pageAt(offset + 2);
    if (page < 0) return -1;
    const { codeAt, decodeWord, scratch, watchStart } = this.parts;
    const entries = this.pageEntries[page]!;
    const word = this.halves[codeAt(entry) >>> 1]! | (this.halves[codeAt(entries) >>> 1]! << 16);
    watchStart(entries);
    decodeWord(word, scratch + this.acrossCount++ * entryBytes);
    return page;
  }

  private branchTo(target: number, isFar: boolean): void {
    if (isFar) this.wantFar(target);
    else this.want(target);
  }

  /** Cuts runs into blocks. */
  private cut(): void {
    this.blockCount = 0;
    let block = -1;
    for (let i = 0; i < this.count; i++) {
      if (block < 0 || this.leads[i] === 1 || this.ends[i - 1] === 1) {
        block = this.blockCount++;
        this.first[block] = i;
        this.length[block] = 0;
      }
      this.blockOf[i] = block;
      this.length[block]!++;
    }
    for (block = 0; block < this.blockCount; block++) this.connect(block);
    this.entryCount = 0;
    for (let i = 0; i < this.entryOffsetCount; i++) {
      const at = this.find(this.entryOffsets[i]!);
      if (at < 0 || this.otherPage[at]! >= 0) continue;
      block = this.blockOf[at]!;
      let there = false;
      for (let j = 0; j < this.entryCount; j++) if (this.entryBlocks[j] === block) there = true;
      if (!there) this.entryBlocks[this.entryCount++] = block;
    }
  }

  /** Makes a new block of the same instructions: `to` is one of the numbers behind the last one. */
  copyBlock(block: number, to: number): void {
    this.blockCount = Math.max(this.blockCount, to + 1);
    this.first[to] = this.first[block]!;
    this.length[to] = this.length[block]!;
    this.onwardOffset[to] = this.onwardOffset[block]!;
    this.takenOffset[to] = this.takenOffset[block]!;
  }

  private connect(block: number): void {
    const last = this.first[block]! + this.length[block]! - 1;
    const { flow, lengthBytes } = this.templates[last]!;
    const next = this.offset[last]! + lengthBytes;
    const target = this.offset[last]! + this.imm[last]!;
    this.onwardOffset[block] = flow === Flow.branch ? target : next;
    this.takenOffset[block] = target;
    this.onward[block] = flow === Flow.jump ? -1 : this.blockAt(this.onwardOffset[block]);
    this.taken[block] = flow === Flow.conditional ? this.blockAt(target) : -1;
  }

  private blockAt(offset: number): number {
    const at = this.find(offset);
    return at < 0 ? -1 : this.blockOf[at]!;
  }
}
