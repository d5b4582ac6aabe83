// hot: bench/kernels.ts
// Where the lowest page tables lie, so that most walks read one entry. Entries above those may be kept from one sfence.vma to
// the next (privileged spec §10.2.1); only valid ones are, so that a table that is put in place is seen at once.
import type { SoftMmu } from "../../accel/index.ts";

/** A power of two. */
const slotCount = 64;
/** What the lowest table maps. */
const reachMask = ~0x1fffff;

export class WalkCache {
  private readonly tlb: SoftMmu;
  private readonly low: Int32Array = new Int32Array(slotCount);
  private readonly high: Int32Array = new Int32Array(slotCount);
  private readonly tables: Float64Array = new Float64Array(slotCount);
  /** Of the TLB when the slot was filled; what was before its last flush holds no longer. */
  private readonly generations: Float64Array = new Float64Array(slotCount).fill(-1);

  constructor(tlb: SoftMmu) {
    this.tlb = tlb;
  }

  /** Guest-physical address of the lowest table for a virtual address, or -1. */
  find(low: number, high: number): number {
    const slot = slotOf(low, high);
    const isKnown =
      this.low[slot] === (low & reachMask) &&
      this.high[slot] === high &&
      this.generations[slot] === this.tlb.generation;
    return isKnown ? this.tables[slot]! : -1;
  }

  note(low: number, high: number, table: number): void {
    const slot = slotOf(low, high);
    this.low[slot] = low & reachMask;
    this.high[slot] = high;
    this.tables[slot] = table;
    this.generations[slot] = this.tlb.generation;
  }
}

const slotOf = (low: number, high: number): number => ((low >>> 21) ^ high) & (slotCount - 1);
