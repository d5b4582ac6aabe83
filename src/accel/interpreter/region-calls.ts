// hot: bench/boot.ts
// The interpreter's way into regions and from one to the next.
import type { FunctionBuilder, FunctionIndex, Label, Local, ModuleBuilder, TypeIndex } from "../../wasm/index.ts";
import { entryOffset, Handler } from "../code-cache.ts";
import { exitShift, recordBytes, recordOffset, RegionExit, regionTableLength, regionType } from "../region-entry.ts";
import type { VcpuLayout } from "../vcpu-layout.ts";

/** How an interpreter gets into regions. */
export interface RegionEntries {
  readonly table: WebAssembly.Table;
  /** Address of the records of entries into regions. */
  readonly records: number;
  /** At most the constant of that name. */
  readonly hotCount: number;
  /** A power of two. */
  readonly oftenFollowed: number;
  /** The entry at `entry`, whose address is in the pc field, was jumped to `hotCount` times. */
  readonly hot: (entry: number) => void;
  /**
   * The region at `entry`, whose address is in the pc field, was entered `oftenFollowed` times right behind another one:
   * now behind that of the record at `from`, from whose base the entry is `offset` bytes away.
   */
  readonly followed: (entry: number, from: number, offset: number) => void;
}

export interface ImportedRegions {
  readonly records: number;
  readonly hotCount: number;
  readonly oftenFollowed: number;
  readonly hot: FunctionIndex;
  readonly followed: FunctionIndex;
  readonly type: TypeIndex;
}

export function importRegions(
  module: ModuleBuilder,
  { records, hotCount, oftenFollowed }: RegionEntries,
): ImportedRegions {
  module.importTable({ module: "region", name: "table", length: regionTableLength });
  const hot = module.importFunction("region", "hot", { params: ["i32"], results: [] });
  const followed = module.importFunction("region", "followed", { params: ["i32", "i32", "i32"], results: [] });
  return { records, hotCount, oftenFollowed, hot, followed, type: module.type(regionType) };
}

/** What the function around it has. */
export interface RegionFrame {
  readonly layout: VcpuLayout;
  readonly vcpu: number;
  readonly budget: Local;
  readonly entry: Local;
  readonly slot: Local;
  readonly target: Local;
  readonly pushPc: () => void;
  readonly refundBudget: () => void;
  /** Makes `entry` that of the address `target`, or goes where the fetch TLB does not have it. */
  readonly lookUp: (missed: Label) => void;
}

export interface RegionLabels {
  /** To `target`. */
  readonly goto: Label;
  /** To `entry`, after a jump. */
  readonly jumped: Label;
  readonly next: Label;
  /** To the pc field. */
  readonly again: Label;
  readonly leave: Label;
  /** The handlers of instructions. */
  readonly instructions: readonly Label[];
}

export class RegionCalls {
  private readonly f: FunctionBuilder;
  private readonly frame: RegionFrame;
  private readonly imported: ImportedRegions;
  /** The pc whose instruction must be interpreted although a region begins there. */
  private readonly bypass: Local;
  /** The record and base of the region that was entered last. */
  private readonly from: Local;
  private readonly base: Local;
  private readonly calls: Local;
  private readonly instructions: Local;

  constructor(f: FunctionBuilder, frame: RegionFrame, imported: ImportedRegions) {
    this.f = f;
    this.frame = frame;
    this.imported = imported;
    this.bypass = f.local("i64");
    this.from = f.local("i32");
    this.base = f.local("i64");
    this.calls = f.local("i64");
    this.instructions = f.local("i64");
  }

  /** At the beginning of a run. */
  begin(): void {
    this.f.i64(-1n);
    this.f.set(this.bypass);
  }

  /** At the end of a run. */
  end(): void {
    this.addToField("regionCalls", this.calls);
    this.addToField("regionInstructions", this.instructions);
  }

  /** Counts a jump to `entry`. */
  countJump(): void {
    const { f, imported } = this;
    const { layout, vcpu, entry, slot, pushPc } = this.frame;
    f.get(entry);
    f.memory("i32.load16_u", entryOffset.count);
    f.tee(slot);
    f.i32(imported.hotCount);
    f.op("i32.lt_u");
    f.if();
    f.get(entry);
    f.get(slot);
    f.i32(1);
    f.op("i32.add");
    f.tee(slot);
    f.memory("i32.store16", entryOffset.count);
    f.get(slot);
    f.i32(imported.hotCount);
    f.op("i32.eq");
    f.if(undefined, "unlikely");
    f.i32(vcpu);
    pushPc();
    f.memory("i64.store", layout.offset("pc"));
    f.get(entry);
    f.call(imported.hot);
    f.end();
    f.end();
  }

  /** A region begins at `entry`: calls it and those that follow it, unless it must be interpreted now. */
  enter(labels: RegionLabels): void {
    const { f } = this;
    const { budget, entry, slot, target, pushPc, refundBudget, lookUp } = this.frame;
    refundBudget();
    pushPc();
    f.set(target);
    this.pushRecord();
    f.set(slot);
    const entering = f.loop(); // the region at `entry`, whose record is at `slot`
    this.bypassRegion(labels);
    this.callRegion();
    f.get(slot);
    f.op("i32.eqz");
    f.if(undefined, "likely");
    lookUp(labels.goto);
    f.get(budget);
    f.op("i32.eqz");
    f.brIf(labels.jumped, "unlikely");
    f.get(entry);
    f.memory("i32.load16_u", entryOffset.handler);
    f.i32(Handler.region);
    f.op("i32.ne");
    f.brIf(labels.jumped);
    this.countFollowed(labels);
    f.br(entering);
    f.end();
    f.get(slot);
    f.i32(RegionExit.leave);
    f.op("i32.eq");
    f.brIf(labels.leave);
    f.get(slot);
    f.i32(RegionExit.again);
    f.op("i32.eq");
    f.brIf(labels.again);
    f.get(target);
    f.set(this.bypass);
    f.br(labels.goto);
    f.end(); // entering
    f.unreachable();
  }

  private pushRecord(): void {
    const { f } = this;
    f.i32(this.imported.records);
    f.get(this.frame.entry);
    f.memory("i32.load16_u", entryOffset.count);
    f.i32(recordBytes);
    f.op("i32.mul");
    f.op("i32.add");
  }

  /** To the instruction under the region's entry, where the budget may end in the region or it was just left for that. */
  private bypassRegion({ instructions }: RegionLabels): void {
    const { f, bypass } = this;
    const { budget, slot, target } = this.frame;
    f.get(target);
    f.get(bypass);
    f.op("i64.eq");
    f.get(budget);
    f.get(slot);
    f.memory("i32.load", recordOffset.budget);
    f.op("i32.lt_s");
    f.op("i32.or");
    f.if(undefined, "unlikely");
    f.i64(-1n);
    f.set(bypass);
    f.get(budget);
    f.i32(1);
    f.op("i32.sub");
    f.set(budget);
    f.get(slot);
    f.memory("i32.load16_u", recordOffset.handler);
    f.i32(Handler.first);
    f.op("i32.sub");
    f.brTable(instructions, instructions[0]!);
    f.end();
  }

  /** Calls the region of the record at `slot`; leaves there how it was left, and in `target` where to. */
  private callRegion(): void {
    const { f } = this;
    const { layout, vcpu, budget, slot, target } = this.frame;
    // For a region that finds other tables than it was made for.
    f.i32(vcpu);
    f.get(target);
    f.memory("i64.store", layout.offset("pc"));
    f.get(slot);
    f.tee(this.from);
    f.i32(1);
    f.memory("i32.store", recordOffset.entered);
    f.get(this.calls);
    f.i64(1n);
    f.op("i64.add");
    f.set(this.calls);
    f.get(this.instructions);
    f.get(budget);
    f.op("i64.extend_i32_u");
    f.op("i64.add");
    f.set(this.instructions);
    f.i32(vcpu);
    f.get(slot);
    f.memory("i32.load16_u", recordOffset.label);
    f.get(budget);
    f.get(target);
    f.get(slot);
    f.memory("i64.load32_s", recordOffset.offset);
    f.op("i64.sub");
    f.tee(this.base);
    f.get(slot);
    f.memory("i32.load", recordOffset.function);
    f.callIndirect(this.imported.type);
    f.set(slot);
    f.set(target);
    f.get(this.instructions);
    f.get(slot);
    f.i32((1 << exitShift) - 1);
    f.op("i32.and");
    f.tee(budget);
    f.op("i64.extend_i32_u");
    f.op("i64.sub");
    f.set(this.instructions);
    f.get(slot);
    f.i32(exitShift);
    f.op("i32.shr_u");
    f.set(slot);
  }

  /** A region goes on in another one, whose record is at `slot` now: every so often the compiler hears of it. */
  private countFollowed({ next }: RegionLabels): void {
    const { f, imported } = this;
    const { layout, vcpu, entry, slot, target } = this.frame;
    this.pushRecord();
    f.tee(slot);
    f.get(slot);
    f.memory("i32.load", recordOffset.followed);
    f.i32(1);
    f.op("i32.add");
    f.memory("i32.store", recordOffset.followed);
    f.get(slot);
    f.memory("i32.load", recordOffset.followed);
    f.i32(imported.oftenFollowed - 1);
    f.op("i32.and");
    f.op("i32.eqz");
    f.if(undefined, "unlikely");
    f.i32(vcpu);
    f.get(target);
    f.memory("i64.store", layout.offset("pc"));
    f.get(entry);
    f.get(this.from);
    f.get(target);
    f.get(this.base);
    f.op("i64.sub");
    f.op("i32.wrap_i64");
    f.call(imported.followed);
    f.br(next); // the region may be another one now
    f.end();
  }

  private addToField(name: string, addend: Local): void {
    const { f } = this;
    const { layout, vcpu } = this.frame;
    f.i32(vcpu);
    f.i32(vcpu);
    f.memory("i64.load", layout.offset(name));
    f.get(addend);
    f.op("i64.add");
    f.memory("i64.store", layout.offset(name));
  }
}
