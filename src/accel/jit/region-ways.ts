// hot: bench/compile.ts
// How a region's code gets from one block to another where that is more than a branch: by number from the dispatch node and the
// headers of loops, through indirect jumps, into another page, and out of the region.
import { control, memoryOps, numericOps } from "../../wasm/index.ts";
import { entryBytes, entryOffset } from "../code-cache.ts";
import { recordBytes, recordOffset } from "../region-entry.ts";
import { tlbAddendOffset, tlbIndexMask, tlbIndexShift } from "../softmmu.ts";
import type { ControlFlow } from "./control-flow.ts";
import { blockLimit, type RegionFormer } from "./region-former.ts";
import { accessLocals, baseLocal, budgetLocal, exitOffsetLocal, labelLocal } from "./region-locals.ts";
import { RegionCells, type EmitterParts } from "./region-cells.ts";

/** Nesting levels of the blocks around a region. */
export const exitLevel = 1;
export const leftLevel = 2;
/** Budgets are smaller. */
const budgetMark = -0x80000000;
/** Slots of the table that indirect jumps find entries with, for each entry and at most. */
const slotsPerEntry = 8;
const mostSlots = 512;
/** Bits of an entry's offset that may number its slot: from this one to before that one. */
const firstShift = 1;
const lastShift = 6;

const i64Add = numericOps["i64.add"];
const i32Add = numericOps["i32.add"];
const i32Sub = numericOps["i32.sub"];
const i32And = numericOps["i32.and"];
const i32Or = numericOps["i32.or"];
const i32Mul = numericOps["i32.mul"];
const i32ShrU = numericOps["i32.shr_u"];
const i32LtS = numericOps["i32.lt_s"];
const i32LtU = numericOps["i32.lt_u"];
const i32Ne = numericOps["i32.ne"];
const i64Ne = numericOps["i64.ne"];
const i64And = numericOps["i64.and"];
const i64Sub = numericOps["i64.sub"];
const i64ShrU = numericOps["i64.shr_u"];
const i32Wrap = numericOps["i32.wrap_i64"];
const i32Load = memoryOps["i32.load"].code;
const i32Load16 = memoryOps["i32.load16_u"].code;
const i64Load = memoryOps["i64.load"].code;
const i64Load32 = memoryOps["i64.load32_s"].code;

/** Used by `emitDispatch` alone: the levels to branch to; and by `chooseSlots`. */
const targets = new Int16Array(mostSlots + blockLimit);
const slotUser = new Int16Array(mostSlots);

export abstract class RegionWays extends RegionCells {
  protected readonly flow: ControlFlow;
  protected readonly level: Int16Array = new Int16Array(2048);
  protected tableIndex = 0;
  protected dispatchLevel = 0;
  /** There is a dispatch node: several ways in. */
  protected dispatches = false;
  /** How many slots, a power of two, and from which bit of an offset on its slot is numbered. */
  private slotCount = 0;
  private slotShift = 0;

  constructor(former: RegionFormer, flow: ControlFlow, parts: EmitterParts) {
    super(former, parts);
    this.flow = flow;
  }

  // The dispatch node and the headers of loops.

  /** Chooses the slots so that the fewest entries share one: of those, only the first is found without a look-up. */
  protected chooseSlots(): void {
    const { former } = this;
    let slots = 16;
    while (slots < Math.min(mostSlots, slotsPerEntry * former.entryCount)) slots *= 2;
    this.slotCount = slots;
    let most = 0;
    for (let shift = firstShift; shift < lastShift; shift++) {
      slotUser.fill(-1, 0, slots);
      let found = 0;
      for (let i = 0; i < former.entryCount; i++) {
        const slot = (this.entryAt(i) >>> shift) & (slots - 1);
        if (slotUser[slot] === -1) found++;
        slotUser[slot] = i;
      }
      if (found <= most) continue;
      most = found;
      this.slotShift = shift;
    }
  }

  private entryAt(i: number): number {
    const { former } = this;
    return former.offset[former.first[former.entryBlocks[i]!]!]!;
  }

  /** Goes on by `labelLocal`: a label, or behind the labels the slot of `exitOffsetLocal`. */
  protected emitDispatch(): void {
    const { flow, former, out, slotCount, slotShift } = this;
    const { entryCount } = former;
    this.open(control.block);
    const general = this.depth;
    for (let i = 0; i < entryCount; i++) this.open(control.block);
    const stubs = this.depth;
    const count = flow.labelCount + slotCount;
    targets.fill(general, 0, count);
    for (let i = entryCount - 1; i >= 0; i--) {
      const block = former.entryBlocks[i]!;
      const isFar = flow.nest.next(-1, block) !== block;
      targets[flow.label[block]!] = isFar ? stubs - i : this.level[block]!;
      targets[flow.labelCount + ((this.entryAt(i) >>> slotShift) & (slotCount - 1))] = stubs - i;
    }
    this.get(labelLocal);
    out.u8(control.brTable);
    out.u32(count);
    for (let i = 0; i < count; i++) out.u32(this.depth - targets[i]!);
    out.u32(this.depth - general);
    for (let i = 0; i < entryCount; i++) this.emitStub(former.entryBlocks[i]!, general);
    this.end();
    this.lookUpJump();
  }

  /** The way on to an entry from its slot, which other addresses have, too; from its label, where that passes a header. */
  private emitStub(block: number, general: number): void {
    const { flow, former, out } = this;
    const next = flow.nest.next(-1, block);
    const offset = former.offset[former.first[block]!]!;
    this.end();
    this.get(exitOffsetLocal);
    this.i64(offset);
    out.u8(i64Ne);
    this.brIf(general);
    if (former.pageCount > 1) this.checkPage(former.page[former.first[block]!]!, offset, offset);
    if (next !== block) {
      this.i32(flow.label[block]!);
      this.set(labelLocal);
      this.markBudget();
    }
    this.br(this.level[next]!);
  }

  /** Goes on to the block of the label, or to the next header on the way there from that of `loop`. */
  private branchByLabel(loop: number): void {
    const { flow, out } = this;
    let other = -1;
    for (let i = 0; other < 0; i++) if (flow.leadsTo(loop, i)) other = i;
    this.get(labelLocal);
    out.u8(control.brTable);
    out.u32(flow.labelCount - 1);
    for (let i = 0; i < flow.labelCount; i++) {
      const to = flow.leadsTo(loop, i) ? i : other;
      out.u32(this.depth - this.level[flow.nest.next(loop, flow.labelBlocks[to]!)]!);
    }
  }

  /** Makes the budget negative, so that the check of a loop's header fails: the block to go to is that of the label. */
  protected markBudget(): void {
    this.get(budgetLocal);
    this.i32(budgetMark);
    this.out.u8(i32Or);
    this.set(budgetLocal);
  }

  /**
   * Leaves before the header of a loop when a run has too little left. Where the budget is marked, somebody is on the way to
   * another block of the loop.
   */
  protected checkBudget(header: number): void {
    const { flow, former, out } = this;
    this.get(budgetLocal);
    this.i32(flow.need[header]!);
    out.u8(i32LtS);
    this.hintNext(0);
    this.open(control.if);
    const loop = flow.nest.of[header]!;
    let leads = false;
    for (let i = 0; i < flow.labelCount && !leads; i++) leads = flow.leadsTo(loop, i);
    if (leads) {
      this.get(budgetLocal);
      this.i32(0);
      out.u8(i32LtS);
      this.open(control.if);
      this.unmarkBudget(flow.labelsWithin(flow.nest.depth[loop]!));
      this.branchByLabel(loop);
      this.end();
    }
    this.leaveTo(former.offset[former.first[header]!]!);
    this.end();
  }

  /** For the labels below `direct`; those from there on have more headers before them. */
  private unmarkBudget(direct: number): void {
    const { out } = this;
    this.get(budgetLocal);
    this.i32(~budgetMark);
    if (direct < this.flow.labelCount) {
      this.i32(-1);
      this.get(labelLocal);
      this.i32(direct);
      out.u8(i32LtU);
      out.u8(control.select);
    }
    out.u8(i32And);
    this.set(budgetLocal);
  }

  protected spendBudget(instructions: number): void {
    if (instructions === 0) return;
    this.get(budgetLocal);
    this.i32(instructions);
    this.out.u8(i32Sub);
    this.set(budgetLocal);
  }

  // Indirect jumps.

  /** On at `exitOffsetLocal` from the base: inside the region where it has an entry there, else outside. */
  protected emitJump(): void {
    const { flow, out } = this;
    if (!this.dispatches) {
      this.br(exitLevel);
      return;
    }
    this.get(budgetLocal);
    this.i32(flow.greatestNeed);
    out.u8(i32LtS);
    this.brIf(exitLevel);
    this.get(exitOffsetLocal);
    out.u8(i32Wrap);
    this.i32(this.slotShift);
    out.u8(i32ShrU);
    this.i32(this.slotCount - 1);
    out.u8(i32And);
    this.i32(flow.labelCount);
    out.u8(i32Add);
    this.set(labelLocal);
    this.br(this.dispatchLevel);
  }

  /** Dispatches anew by the record of the entry at `exitOffsetLocal` from the base, or leaves when that is not this region's. */
  private lookUpJump(): void {
    const { out, parts } = this;
    const { slot } = accessLocals;
    this.pushExitPc();
    this.pushFetchEntry();
    this.tee(slot);
    this.memory(i64Load, 0);
    this.pushExitPc();
    this.i64(-4096);
    out.u8(i64And);
    out.u8(i64Ne);
    this.brIf(exitLevel);
    // The decoded entry's record.
    this.get(slot);
    this.memory(i32Load, tlbAddendOffset);
    this.pushExitPc();
    out.u8(i32Wrap);
    this.i32(0xfff);
    out.u8(i32And);
    this.i32(entryBytes / 2);
    out.u8(i32Mul);
    out.u8(i32Add);
    this.memory(i32Load16, entryOffset.count);
    this.i32(recordBytes);
    out.u8(i32Mul);
    this.i32(parts.records);
    out.u8(i32Add);
    this.tee(slot);
    this.memory(i32Load, recordOffset.function);
    this.i32(this.tableIndex);
    out.u8(i32Ne);
    this.brIf(exitLevel);
    // The same page may be mapped elsewhere, too.
    this.pushExitPc();
    this.get(slot);
    this.memory(i64Load32, recordOffset.offset);
    this.tee(exitOffsetLocal);
    out.u8(i64Sub);
    this.set(baseLocal);
    this.get(slot);
    this.memory(i32Load16, recordOffset.label);
    this.set(labelLocal);
    this.br(this.dispatchLevel);
  }

  /** Pops an address and pushes that of its entry in the fetch TLB. */
  private pushFetchEntry(): void {
    const { out, parts } = this;
    this.i64(tlbIndexShift);
    out.u8(i64ShrU);
    out.u8(i32Wrap);
    this.i32(tlbIndexMask);
    out.u8(i32And);
    this.vcpu();
    this.memory(i32Load, parts.layout.offset("tlbFetch"));
    out.u8(i32Add);
  }

  /** Leaves for `leaveAt` unless the page of `offset` is mapped as it was when the region was formed. */
  protected checkPage(page: number, offset: number, leaveAt: number): void {
    const { out, former } = this;
    const { slot } = accessLocals;
    this.exitAt(leaveAt);
    this.pushPlace(offset & ~0xfff);
    this.pushFetchEntry();
    this.tee(slot);
    this.memory(i64Load, 0);
    this.pushPlace(offset & ~0xfff);
    out.u8(i64Ne);
    this.get(slot);
    this.memory(i32Load, tlbAddendOffset);
    this.i32(former.pageEntries[page]!);
    out.u8(i32Ne);
    out.u8(i32Or);
    this.brIf(exitLevel);
  }

  protected leaveTo(offset: number): void {
    this.exitAt(offset);
    this.br(exitLevel);
  }

  /** If the region is left by the following branch, it is at `offset`. */
  protected exitAt(offset: number): void {
    this.i64(offset);
    this.set(exitOffsetLocal);
  }

  private pushExitPc(): void {
    this.get(baseLocal);
    this.get(exitOffsetLocal);
    this.out.u8(i64Add);
  }

  protected pushPlace(offset: number): void {
    this.get(baseLocal);
    this.i64(offset);
    this.out.u8(i64Add);
  }
}
