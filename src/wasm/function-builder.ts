// The body of one function: instructions in order, structured labels, locals, branch hints.
import { assert } from "../base/index.ts";
import { ByteWriter } from "./byte-writer.ts";
import {
  control,
  memoryOps,
  numericOps,
  valueTypeCode,
  vectorOps,
  type MemoryOp,
  type NumericOp,
  type ValueType,
  type VectorOp,
} from "./opcodes.ts";

/** A branch target: the nesting level it was opened at. */
export type Label = number & { readonly label: unique symbol };
/** A local variable's index. */
export type Local = number & { readonly local: unique symbol };
/** A function's index in the module. */
export type FunctionIndex = number & { readonly functionIndex: unique symbol };

/** A function type's index in the module. */
export type TypeIndex = number & { readonly typeIndex: unique symbol };

/** What a conditional branch usually does; written to `metadata.code.branch_hint`. */
export type BranchHint = "unlikely" | "likely";

export interface FunctionType {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

const emptyBlockType = 0x40;

export class FunctionBuilder {
  readonly type: FunctionType;
  readonly body: ByteWriter = new ByteWriter(1024);
  /** Offsets of hinted instructions in `body`, with their hint, ascending. */
  readonly hints: { offset: number; taken: boolean }[] = [];
  private readonly localTypes: ValueType[] = [];
  /** How many blocks are open. */
  protected depth = 0;

  constructor(type: FunctionType) {
    this.type = type;
  }

  param(index: number): Local {
    assert(index < this.type.params.length, "a parameter is declared", index);
    return index as Local;
  }

  local(type: ValueType): Local {
    this.localTypes.push(type);
    return (this.type.params.length + this.localTypes.length - 1) as Local;
  }

  get(local: Local): void {
    this.body.u8(control.localGet);
    this.body.u32(local);
  }

  set(local: Local): void {
    this.body.u8(control.localSet);
    this.body.u32(local);
  }

  tee(local: Local): void {
    this.body.u8(control.localTee);
    this.body.u32(local);
  }

  i32(value: number): void {
    this.body.u8(control.i32Const);
    this.body.s32(value);
  }

  i64(value: bigint): void {
    this.body.u8(control.i64Const);
    this.body.s64(value);
  }

  f32(value: number): void {
    this.body.u8(control.f32Const);
    this.body.f32(value);
  }

  f64(value: number): void {
    this.body.u8(control.f64Const);
    this.body.f64(value);
  }

  op(name: NumericOp): void {
    const code = numericOps[name];
    if (code > 0xff) {
      this.body.u8(code >> 8);
      this.body.u32(code & 0xff);
    } else {
      this.body.u8(code);
    }
  }

  /** A vector instruction; `lane` for those that extract. */
  vector(name: VectorOp, lane?: number): void {
    this.body.u8(control.simdPrefix);
    this.body.u32(vectorOps[name]);
    if (lane !== undefined) this.body.u8(lane);
  }

  /** A load or store; `offset` is added to the address on the stack. Alignment is stated as 1: guests need not keep any. */
  memory(name: MemoryOp, offset = 0): void {
    this.body.u8(memoryOps[name].code);
    this.body.u8(0);
    this.body.u32(offset);
  }

  block(result?: ValueType): Label {
    return this.open(control.block, result);
  }

  loop(result?: ValueType): Label {
    return this.open(control.loop, result);
  }

  if(result?: ValueType, hint?: BranchHint): Label {
    this.hint(hint);
    return this.open(control.if, result);
  }

  else(): void {
    this.body.u8(control.else);
  }

  end(): void {
    assert(this.depth > 0, "every end closes a block");
    this.depth--;
    this.body.u8(control.end);
  }

  br(label: Label): void {
    this.body.u8(control.br);
    this.body.u32(this.depth - label);
  }

  brIf(label: Label, hint?: BranchHint): void {
    this.hint(hint);
    this.body.u8(control.brIf);
    this.body.u32(this.depth - label);
  }

  brTable(labels: readonly Label[], otherwise: Label): void {
    this.body.u8(control.brTable);
    this.body.u32(labels.length);
    for (const label of labels) this.body.u32(this.depth - label);
    this.body.u32(this.depth - otherwise);
  }

  call(target: FunctionIndex): void {
    this.body.u8(control.call);
    this.body.u32(target);
  }

  /** Calls entry `i32` on the stack of the module's table 0, which must have the type `type` (`ModuleBuilder.type`). */
  callIndirect(type: TypeIndex): void {
    this.body.u8(control.callIndirect);
    this.body.u32(type);
    this.body.u8(0);
  }

  return(): void {
    this.body.u8(control.return);
  }

  drop(): void {
    this.body.u8(control.drop);
  }

  select(): void {
    this.body.u8(control.select);
  }

  unreachable(): void {
    this.body.u8(control.unreachable);
  }

  private open(code: number, result?: ValueType): Label {
    this.body.u8(code);
    this.body.u8(result === undefined ? emptyBlockType : valueTypeCode[result]);
    return ++this.depth as Label;
  }

  protected hint(hint?: BranchHint): void {
    if (hint !== undefined) this.hints.push({ offset: this.body.length, taken: hint === "likely" });
  }

  /** The function as the code section holds it, without its length; `headerBytes` precede the instructions. */
  finish(): { code: Uint8Array; headerBytes: number } {
    assert(this.depth === 0, "every block is closed", this.depth);
    const out = new ByteWriter(this.body.length + 64);
    const runs: { type: ValueType; count: number }[] = [];
    for (const type of this.localTypes) {
      const last = runs.at(-1);
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    out.u32(runs.length);
    for (const run of runs) {
      out.u32(run.count);
      out.u8(valueTypeCode[run.type]);
    }
    const headerBytes = out.length;
    out.raw(this.body.written());
    out.u8(control.end);
    return { code: out.written(), headerBytes };
  }
}
