// hot: bench/boot.ts
// Groups of accesses in a block that go through one unchanged register: one look into the TLB finds the host address for all
// of them when they lie in one page. Sound because a translation can change only where a slow path is taken, which ends all
// groups that are begun.
import { entryOffset } from "../code-cache.ts";
import { groupLimit } from "./region-locals.ts";
import type { RegionFormer } from "./region-former.ts";
import { instructionLimit } from "./region-former.ts";

/** Wider groups cross a page too often. */
const spanLimit = 256;
const groupsOfBlock = 64;

export class AccessGroups {
  /** Group of each instruction of the block, -1 without one. */
  readonly of: Int8Array = new Int8Array(instructionLimit);
  /** Offset of the base register, first byte and length relative to it. */
  readonly base: Int32Array = new Int32Array(groupsOfBlock);
  readonly least: Int32Array = new Int32Array(groupsOfBlock);
  readonly span: Int32Array = new Int32Array(groupsOfBlock);
  readonly isStore: Uint8Array = new Uint8Array(groupsOfBlock);
  /** Places of the first and the last member, and the number of the local for its host address. */
  readonly first: Int16Array = new Int16Array(groupsOfBlock);
  readonly last: Int16Array = new Int16Array(groupsOfBlock);
  readonly local: Int8Array = new Int8Array(groupsOfBlock);
  count = 0;
  private readonly members: Int16Array = new Int16Array(groupsOfBlock);
  private readonly isOpen: Uint8Array = new Uint8Array(groupsOfBlock);
  private readonly localEnd: Int16Array = new Int16Array(groupLimit);

  /** Finds the groups of a block; registers are named by their offsets in the decoded entries. */
  find(former: RegionFormer, halves: Uint16Array, firstInstruction: number, length: number, zero: number): void {
    this.count = 0;
    for (let place = 0; place < length; place++) {
      const i = firstInstruction + place;
      const template = former.templates[i]!;
      const half = former.decoded[i]! >>> 1;
      this.of[place] = -1;
      if (template.access !== undefined) {
        const base = halves[half + entryOffset.src1 / 2]!;
        const isStore = template.access === "store" ? 1 : 0;
        if (base !== zero) this.of[place] = this.join(base, isStore, former.imm[i]!, template.widthBytes, place);
      }
      if (template.writes) this.closeAll(halves[half + entryOffset.dst / 2]!);
    }
    this.assignLocals(length);
  }

  private join(base: number, isStore: number, imm: number, width: number, place: number): number {
    for (let group = this.count - 1; group >= 0; group--) {
      if (this.isOpen[group] === 0 || this.base[group] !== base || this.isStore[group] !== isStore) continue;
      const least = Math.min(this.least[group]!, imm);
      const span = Math.max(this.least[group]! + this.span[group]!, imm + width) - least;
      if (span > spanLimit) {
        this.isOpen[group] = 0;
        break;
      }
      this.least[group] = least;
      this.span[group] = span;
      this.last[group] = place;
      this.members[group]!++;
      return group;
    }
    if (this.count === groupsOfBlock) return -1;
    const group = this.count++;
    this.isOpen[group] = 1;
    this.base[group] = base;
    this.isStore[group] = isStore;
    this.least[group] = imm;
    this.span[group] = width;
    this.first[group] = place;
    this.last[group] = place;
    this.members[group] = 1;
    return group;
  }

  private closeAll(base: number): void {
    for (let group = 0; group < this.count; group++) if (this.base[group] === base) this.isOpen[group] = 0;
  }

  /** Groups of one are none; the others get a local for the time from their first to their last member. */
  private assignLocals(length: number): void {
    this.localEnd.fill(-1);
    for (let group = 0; group < this.count; group++) {
      this.local[group] = -1;
      if (this.members[group]! < 2) continue;
      for (let local = 0; local < groupLimit; local++) {
        if (this.localEnd[local]! >= this.first[group]!) continue;
        this.localEnd[local] = this.last[group]!;
        this.local[group] = local;
        break;
      }
    }
    for (let place = 0; place < length; place++) {
      if (this.of[place]! >= 0 && this.local[this.of[place]!]! < 0) this.of[place] = -1;
    }
  }
}
