// hot: bench/compile.ts
// Writes a region's function: registers come into locals at the entry and go back at the one exit; blocks are nested as
// `ControlFlow` found them.
//
//     load registers                               the budget falls by a block's length at its end; it is checked
//     block exit                                   where paths can repeat: loop heads and indirect jumps
//       block left (pc and budget are stored)
//         loop dispatch: br_table label …
//           blocks
//       end
//     end
//     store registers; where to go on, budget and exit
import { control, memoryOps, numericOps, valueTypeCode, type Local } from "../../wasm/index.ts";
import { exitShift, RegionExit } from "../region-entry.ts";
import { tlbAddendOffset, tlbIndexMask, tlbIndexShift } from "../softmmu.ts";
import { AccessGroups } from "./access-groups.ts";
import type { ControlFlow } from "./control-flow.ts";
import type { RegionFormer } from "./region-former.ts";
import {
  accessLocals,
  baseLocal,
  budgetLocal,
  exitOffsetLocal,
  fieldLocal,
  groupLocal,
  kindLocal,
  labelLocal,
  localRuns,
  tagLocal,
} from "./region-locals.ts";
import { packAccess } from "./slow-paths.ts";
import type { EmitterParts } from "./region-cells.ts";
import { exitLevel, leftLevel, RegionWays } from "./region-ways.ts";
import { Flow, Token } from "./template.ts";

const i64Add = numericOps["i64.add"];
const i32Add = numericOps["i32.add"];
const i32Sub = numericOps["i32.sub"];
const i32And = numericOps["i32.and"];
const i32Or = numericOps["i32.or"];
const i32Shl = numericOps["i32.shl"];
const i32Ne = numericOps["i32.ne"];
const i64Or = numericOps["i64.or"];
const i64Sub = numericOps["i64.sub"];
const i64Eqz = numericOps["i64.eqz"];
const i64Xor = numericOps["i64.xor"];
const i64And = numericOps["i64.and"];
const i64ShrU = numericOps["i64.shr_u"];
const i32Wrap = numericOps["i32.wrap_i64"];
const i32Load = memoryOps["i32.load"].code;
const i64Load = memoryOps["i64.load"].code;

/** Addresses of the TLB's tables for loads and stores. */
export interface Tables {
  readonly load: number;
  readonly store: number;
}

export class RegionEmitter extends RegionWays {
  private readonly groups: AccessGroups;
  /**
   * The instruction that is written: its block and its place there, and how many instructions before it are executed that the
   * budget does not know of yet.
   */
  private block = 0;
  private place = 0;
  private behind = 0;
  private tables: Tables | undefined;

  constructor(former: RegionFormer, flow: ControlFlow, parts: EmitterParts) {
    super(former, flow, parts);
    this.groups = new AccessGroups(former, flow, {
      halves: this.halves,
      zero: parts.zero,
      cells: parts.layout.lengthBytes >>> 3,
    });
  }

  /** Emits the analysed region as the function that will be `tableIndex` in the table. */
  emit(tableIndex: number, tables: Tables | undefined): void {
    const { flow, former, out } = this;
    out.length = 0;
    this.hints.length = 0;
    this.tableIndex = tableIndex;
    this.tables = tables;
    this.depth = 0;
    this.dispatches = former.entryCount > 1;
    this.collectCells();
    this.groups.find();
    this.chooseSlots();
    this.emitHead(tables);
    this.open(control.block);
    this.open(control.block);
    if (tables !== undefined) this.checkTables(tables);
    if (this.dispatches) {
      // Where the region is entered, as if a jump had led there.
      this.loadExitOffset();
      this.open(control.loop);
      this.dispatchLevel = this.depth;
      this.within(flow.root, flow.lastMerge[flow.root]!, 0);
      this.end();
    } else {
      const entry = former.entryBlocks[0]!;
      const next = flow.nest.next(-1, entry);
      if (next !== entry) this.markBudget();
      this.tree(next, 0);
    }
    out.u8(control.unreachable);
    this.end();
    this.emitTail();
  }

  private emitHead(tables: Tables | undefined): void {
    const { out, parts, cells, floatCells } = this;
    out.u32(localRuns.length + 2);
    for (const { count, type } of localRuns) {
      out.u32(count);
      out.u8(valueTypeCode[type]);
    }
    out.u32(cells.length);
    out.u8(valueTypeCode.i64);
    out.u32(floatCells.length);
    out.u8(valueTypeCode.f64);
    if (tables === undefined) {
      this.loadField(i32Load, "tlbLoad", accessLocals.tlbLoad);
      this.loadField(i32Load, "tlbStore", accessLocals.tlbStore);
    }
    for (let i = 0; i < parts.cachedFields.length; i++) this.loadField(i32Load, parts.cachedFields[i]!, fieldLocal(i));
    this.loadRegisters();
  }

  /** The interpreter takes over where other tables are in force than the region was made for. */
  private checkTables({ load, store }: Tables): void {
    const { out, parts } = this;
    this.vcpu();
    this.memory(i32Load, parts.layout.offset("tlbLoad"));
    this.i32(load);
    out.u8(i32Ne);
    this.vcpu();
    this.memory(i32Load, parts.layout.offset("tlbStore"));
    this.i32(store);
    out.u8(i32Ne);
    out.u8(i32Or);
    this.hintNext(0);
    this.open(control.if);
    this.i32(this.tableIndex);
    out.u8(control.call);
    out.u32(parts.misfitImport);
    this.loadExitOffset();
    this.i32(RegionExit.interpret);
    this.set(kindLocal);
    this.br(exitLevel);
    this.end();
  }

  private emitTail(): void {
    const { out } = this;
    // Left with pc and budget stored, and what the slow path answered: 0 is a trap in a load. Nobody asks for the other locals, so
    // that an engine keeps them for nothing.
    this.i64(0);
    this.set(exitOffsetLocal);
    this.loadField(i32Load, "budget", budgetLocal);
    this.get(accessLocals.slot);
    this.i32(RegionExit.again);
    out.u8(i32Or);
    this.set(kindLocal);
    this.end();
    this.storeRegisters();
    this.get(baseLocal);
    this.get(exitOffsetLocal);
    out.u8(i64Add);
    this.get(budgetLocal);
    this.get(kindLocal);
    this.i32(exitShift);
    out.u8(i32Shl);
    out.u8(i32Or);
    out.u8(control.end);
  }

  /** The region is entered where the pc is. */
  private loadExitOffset(): void {
    this.vcpu();
    this.memory(i64Load, this.parts.layout.offset("pc"));
    this.get(baseLocal);
    this.out.u8(i64Sub);
    this.set(exitOffsetLocal);
  }

  private loadField(load: number, name: string, into: Local): void {
    this.vcpu();
    this.memory(load, this.parts.layout.offset(name));
    this.set(into);
  }

  // Structure.

  /** `behind` instructions are executed that the budget does not know of yet. */
  private tree(node: number, behind: number): void {
    const { flow } = this;
    const isLoop = flow.isLoop[node] === 1;
    if (isLoop) {
      this.open(control.loop);
      this.level[node] = this.depth;
    }
    this.within(node, flow.lastMerge[node]!, behind);
    if (isLoop) this.end();
  }

  /** The code of `node` inside the blocks of the merge nodes from `merge` back, each followed by its own code. */
  private within(node: number, merge: number, behind: number): void {
    const { flow } = this;
    if (merge < 0) {
      if (node === flow.root) {
        this.emitDispatch();
      } else {
        if (flow.isLoop[node] === 1) this.checkBudget(node);
        this.emitBlock(node, behind);
      }
      return;
    }
    this.open(control.block);
    // A loop's own level is that of the loop, from where it is entered; until then this block's end is its beginning.
    this.level[merge] = this.depth;
    this.within(node, flow.mergeBefore[merge]!, behind);
    this.end();
    this.tree(merge, 0);
  }

  private emitBlock(block: number, behind: number): void {
    const { former, groups } = this;
    const first = former.first[block]!;
    const length = former.length[block]!;
    const otherPage = former.otherPage[first]!;
    if (otherPage >= 0) {
      this.spendBudget(behind);
      behind = 0;
      this.checkPage(otherPage, former.offset[first]! + 2, former.offset[first]!);
    }
    this.block = block;
    for (let i = 0; i < length; i++) {
      const place = groups.start[block]! + i;
      const group = groups.of[place]!;
      this.place = place;
      this.behind = behind + i;
      this.emitInstruction(first + i, group);
    }
    const { flow: ends } = former.templates[first + length - 1]!;
    if (ends === Flow.jump) {
      this.get(baseLocal);
      this.out.u8(i64Sub);
      this.set(exitOffsetLocal);
      this.spendBudget(behind + length);
      this.emitJump();
      return;
    }
    if (ends === Flow.conditional) {
      this.open(control.if);
      this.goTo(block, 1, behind + length);
      this.out.u8(control.else);
    }
    this.goTo(block, 0, behind + length);
    if (ends === Flow.conditional) this.end();
  }

  /** Takes the edge of a block: 0 onward, 1 taken. */
  private goTo(block: number, edge: 0 | 1, behind: number): void {
    const { former, flow } = this;
    const next = flow.edgeTo[2 * block + edge]!;
    const label = flow.edgeLabel[2 * block + edge]!;
    const offset = edge === 0 ? former.onwardOffset[block]! : former.takenOffset[block]!;
    if (next < 0) {
      this.spendBudget(behind);
      this.leaveTo(offset);
      return;
    }
    const target = label < 0 ? next : flow.labelBlocks[label]!;
    const page = former.page[former.first[target]!]!;
    const otherPage = page !== former.page[former.first[block]!]!;
    if (!otherPage && flow.behind(block, edge) >= 0) {
      this.tree(next, behind);
      return;
    }
    this.spendBudget(behind);
    if (otherPage) this.checkPage(page, offset, offset);
    if (label >= 0) {
      this.i32(label);
      this.set(labelLocal);
      this.markBudget();
    }
    if (flow.isMerge[next] === 1 || flow.order[next]! <= flow.order[block]!) this.br(this.level[next]!);
    else this.tree(next, 0);
  }

  // Instructions.

  /** Pushes whether all of a group lies in one page that the TLB has: its first and its last byte differ from the tag nowhere. */
  private probeGroup(group: number): void {
    const { out, groups } = this;
    const { address, slot } = accessLocals;
    const table = groups.isStore[group]!;
    this.getRegister(groups.base[group]!);
    this.i64(groups.fromBase[group]!);
    out.u8(i64Add);
    this.tee(address);
    this.i64(tlbIndexShift);
    out.u8(i64ShrU);
    out.u8(i32Wrap);
    this.i32(tlbIndexMask);
    out.u8(i32And);
    this.findEntry(table);
    this.tee(slot);
    this.loadFromEntry(table, i64Load, 0);
    this.tee(tagLocal);
    this.get(address);
    out.u8(i64Xor);
    this.get(tagLocal);
    this.get(address);
    this.i64(groups.span[group]! - 1);
    out.u8(i64Add);
    out.u8(i64Xor);
    out.u8(i64Or);
    this.i64(-4096);
    out.u8(i64And);
    out.u8(i64Eqz);
  }

  /** Pushes the host address of a group: with the first member, where it is found. */
  private pushGroup(group: number): void {
    const { out, groups } = this;
    const local = groupLocal(groups.local[group]!);
    if (groups.first[group] !== this.place) {
      this.get(local);
      return;
    }
    this.get(accessLocals.address);
    out.u8(i32Wrap);
    this.get(accessLocals.slot);
    this.loadFromEntry(groups.isStore[group]!, i32Load, tlbAddendOffset);
    out.u8(i32Add);
    this.tee(local);
  }

  /** A slow path may have changed translations: groups that go on behind the place are looked up anew, one by one. */
  private endGroups(): void {
    const { groups, place } = this;
    const tree = groups.tree[this.block]!;
    for (let group = groups.treeFrom[tree]!; group < groups.treeEnd[tree]!; group++) {
      const local = groups.local[group]!;
      if (local < 0 || groups.first[group]! > place || groups.last[group]! <= place) continue;
      this.clearGroup(group);
    }
  }

  private clearGroup(group: number): void {
    this.i32(0);
    this.set(groupLocal(this.groups.local[group]!));
  }

  /** Instruction `i` of the region; `group` is that of its access or -1. */
  private emitInstruction(i: number, group: number): void {
    const { former, out, groups } = this;
    const template = group < 0 ? former.templates[i]! : this.parts.grouped(former.templates[i]!);
    const { tokens, bytes } = template;
    const offset = former.offset[i]!;
    const operand = (former.decoded[i]! >>> 1) + 1;
    for (let at = 0; at < tokens.length; at++) {
      switch (tokens[at]) {
        case Token.bytes:
          out.range(bytes, tokens[at + 1]!, tokens[at + 2]!);
          at += 2;
          break;
        case Token.get:
          this.getRegister(this.halves[operand + tokens[++at]!]!);
          break;
        case Token.set:
          this.setRegister(this.halves[operand]!, 0);
          break;
        case Token.getFloat:
          this.getFloat(this.halves[operand + tokens[++at]!]!);
          break;
        case Token.setFloat:
          this.setRegister(this.halves[operand]!, 1);
          break;
        case Token.vcpu:
          this.vcpu();
          break;
        case Token.isGrouped:
          if (groups.first[group] === this.place) this.probeGroup(group);
          else this.get(groupLocal(groups.local[group]!));
          break;
        case Token.ungrouped:
          if (groups.first[group] === this.place) this.clearGroup(group);
          break;
        case Token.group:
          this.pushGroup(group);
          break;
        case Token.grouped:
          this.memory(tokens[++at]!, groups.displacement[this.place]!);
          break;
        case Token.backToGroup:
          this.i32(groups.displacement[this.place]! + 1);
          out.u8(i32Sub);
          break;
        case Token.table:
          this.findEntry(tokens[++at]!);
          break;
        case Token.entry:
          this.loadFromEntry(tokens[at + 1]!, tokens[at + 2]!, tokens[at + 3]!);
          at += 3;
          break;
        case Token.slowed:
          this.endGroups();
          break;
        case Token.leaveWith:
          this.emitLeaveWith(tokens[++at]!);
          break;
        case Token.imm64:
          this.i64(former.imm[i]!);
          break;
        case Token.imm32:
          this.i32(former.imm[i]!);
          break;
        case Token.pc:
          this.pushPlace(offset);
          break;
        case Token.nextPc:
          this.pushPlace(offset + template.lengthBytes);
          break;
        case Token.whereabouts:
          this.get(baseLocal);
          this.get(budgetLocal);
          this.i32(offset);
          this.i32(packAccess(tokens[++at]!, template.lengthBytes, this.behind + 1));
          if (this.parts.onlyVcpu === undefined) this.vcpu();
          break;
        case Token.leaveIf:
          this.hintNext(0);
          out.u8(control.brIf);
          out.u32(this.depth + tokens[++at]! - leftLevel);
          break;
        case Token.interpret:
          this.emitInterpret(offset, this.behind, tokens[++at]!);
          break;
        default:
          this.hintNext(tokens[++at]!);
          break;
      }
    }
  }

  /** Makes an offset on the stack the address of an entry of the load (0) or store (1) TLB table, or leaves it one. */
  private findEntry(table: number): void {
    if (this.tables !== undefined) return;
    this.get(table === 0 ? accessLocals.tlbLoad : accessLocals.tlbStore);
    this.out.u8(i32Add);
  }

  private loadFromEntry(table: number, op: number, offset: number): void {
    const { tables } = this;
    const base = tables === undefined ? 0 : table === 0 ? tables.load : tables.store;
    this.memory(op, base + offset);
  }

  private emitInterpret(offset: number, behind: number, depthInside: number): void {
    const { out } = this;
    this.exitAt(offset);
    this.i32(RegionExit.interpret);
    this.set(kindLocal);
    this.spendBudget(behind);
    out.u8(control.br);
    out.u32(this.depth + depthInside - exitLevel);
  }

  private emitLeaveWith(depthInside: number): void {
    const { out } = this;
    this.tee(accessLocals.slot);
    this.hintNext(0);
    out.u8(control.brIf);
    out.u32(this.depth + depthInside - leftLevel);
  }
}
