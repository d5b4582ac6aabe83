// Lowers one instruction's IR into its handler: operands come from the decoded entry.
import type { FunctionBuilder, FunctionIndex, Label, Local } from "../../wasm/index.ts";
import { entryOffset, entryScale } from "../code-cache.ts";
import { declared, IrLowering, type AccessLocals } from "../ir-lowering.ts";
import {
  HelperStatus,
  type Expr,
  type InstructionSemantics,
  type IrType,
  type Slot,
  type Stmt,
  type Width,
} from "../ir.ts";
import type { VcpuLayout } from "../vcpu-layout.ts";

/**
 * Where an instruction's pc-relative branch leads, as far as its entry says: out of its page, or within it, forwards or
 * backwards.
 */
export type Reach = "far" | "ahead" | "back";

/** The function around the handlers: its locals, labels and callables. */
export interface Frame extends AccessLocals {
  readonly layout: VcpuLayout;
  /** Address of the vCPU's block: a constant of the generated code, so that fields and registers need no base. */
  readonly vcpu: number;
  /** Address of the entry being executed. */
  readonly entry: Local;
  /** Where `goto` continues. */
  readonly target: Local;
  readonly labels: {
    readonly next: Label;
    /** As `next`, for the targets of jumps: counts them. */
    readonly jumped: Label;
    readonly goto: Label;
    readonly again: Label;
    readonly leave: Label;
  };
  readonly callables: {
    readonly host: {
      readonly loadSlow: FunctionIndex;
      readonly storeSlow: FunctionIndex;
      readonly atomicSlow: FunctionIndex;
    };
    readonly helpers: ReadonlyMap<string, FunctionIndex>;
    readonly library: ReadonlyMap<string, FunctionIndex>;
  };
  pushPc(): void;
  storePc(): void;
}

export class Lowering extends IrLowering {
  private readonly frame: Frame;
  /** Locals by type, reused from instruction to instruction. */
  private readonly pools: Record<IrType, Local[]> = { i32: [], i64: [], f32: [], f64: [] };
  private lengthBytes = 4;
  private reach: Reach = "far";

  constructor(f: FunctionBuilder, frame: Frame) {
    super(f, frame);
    this.frame = frame;
  }

  instruction(instruction: InstructionSemantics, lengthBytes: number, reach: Reach): void {
    this.begin();
    this.lengthBytes = lengthBytes;
    this.reach = reach;
    this.statements(instruction.code);
    this.advance();
  }

  /** Ends a handler: on to the following entry. */
  private advance(): void {
    const { f, frame } = this;
    f.get(frame.entry);
    f.i32(this.lengthBytes * entryScale);
    f.op("i32.add");
    f.set(frame.entry);
    f.br(frame.labels.next);
  }

  protected branch(when: Expr<"i32"> | undefined): void {
    const { f, frame } = this;
    if (when !== undefined) {
      this.push(when);
      f.if();
    }
    if (this.reach === "far") {
      frame.pushPc();
      f.get(frame.entry);
      f.memory("i64.load32_s", entryOffset.imm);
      f.op("i64.add");
      f.set(frame.target);
      f.br(frame.labels.goto);
    } else {
      f.get(frame.entry);
      f.get(frame.entry);
      f.memory("i32.load", entryOffset.imm);
      f.op("i32.add");
      f.set(frame.entry);
      f.br(this.reach === "back" ? frame.labels.jumped : frame.labels.next);
    }
    if (when !== undefined) f.end();
  }

  protected jump(target: Expr<"i64">): void {
    this.push(target);
    this.f.set(this.frame.target);
    this.f.br(this.frame.labels.goto);
  }

  protected helper(name: string, arg: Expr<"i32">): void {
    const { f, frame } = this;
    frame.storePc();
    this.push(arg);
    f.call(declared(frame.callables.helpers, name));
    f.tee(frame.slot);
    f.i32(HelperStatus.goto);
    f.op("i32.eq");
    f.brIf(frame.labels.again);
    f.get(frame.slot);
    f.brIf(frame.labels.leave, "unlikely");
  }

  protected call(name: string, args: readonly Expr[]): void {
    for (const arg of args) this.push(arg);
    this.f.call(declared(this.frame.callables.library, name));
  }

  private storeAddressField(): void {
    const { f, frame } = this;
    f.i32(frame.vcpu);
    f.get(frame.address);
    f.memory("i64.store", frame.layout.offset("memVa"));
  }

  protected loadMissed({ access, width }: Extract<Stmt, { kind: "translate" }>): void {
    const { f, frame } = this;
    frame.storePc();
    this.storeAddressField();
    f.i32(width);
    if (access === "load") {
      f.call(frame.callables.host.loadSlow);
    } else {
      f.i32(access === "atomic" ? 1 : 0);
      f.call(frame.callables.host.atomicSlow);
    }
    f.tee(frame.slot);
    f.op("i32.eqz");
    f.brIf(frame.labels.again);
    f.get(frame.slot);
  }

  protected storeMissed(width: Width): void {
    const { f, frame } = this;
    frame.storePc();
    this.storeAddressField();
    f.i32(frame.vcpu);
    f.get(frame.value);
    f.memory("i64.store", frame.layout.offset("memValue"));
    f.i32(width);
    f.call(frame.callables.host.storeSlow);
    f.tee(frame.slot);
    f.i32(HelperStatus.goto);
    f.op("i32.eq");
    f.brIf(frame.labels.again);
    f.get(frame.slot);
    f.if(undefined, "unlikely"); // the store is done, but somebody wants the vCPU: leave behind this instruction
    f.i32(frame.vcpu);
    this.pushNextPc();
    f.memory("i64.store", frame.layout.offset("pc"));
    f.br(frame.labels.leave);
    f.end();
  }

  private pushOperand(slot: Slot): void {
    this.f.get(this.frame.entry);
    this.f.memory("i32.load16_u", entryOffset[slot]);
  }

  protected pushRegister(slot: Slot, type: IrType): void {
    this.pushOperand(slot);
    this.f.memory(`${type}.load`, this.frame.vcpu);
  }

  protected setRegister(slot: Slot, value: Expr): void {
    this.pushOperand(slot);
    this.push(value);
    this.f.memory(`${value.type}.store`, this.frame.vcpu);
  }

  protected pushImmediate(type: IrType): void {
    this.f.get(this.frame.entry);
    this.f.memory(type === "i64" ? "i64.load32_s" : "i32.load", entryOffset.imm);
  }

  protected pushPc(): void {
    this.frame.pushPc();
  }

  protected pushNextPc(): void {
    this.frame.pushPc();
    this.f.i64(BigInt(this.lengthBytes));
    this.f.op("i64.add");
  }

  protected pushField(name: string, type: IrType): void {
    this.f.i32(this.frame.vcpu);
    this.f.memory(`${type}.load`, this.frame.layout.offset(name));
  }

  protected setField(name: string, value: Expr): void {
    this.f.i32(this.frame.vcpu);
    this.push(value);
    this.f.memory(`${value.type}.store`, this.frame.layout.offset(name));
  }

  protected temporary(type: IrType, index: number): Local {
    return (this.pools[type][index] ??= this.f.local(type));
  }
}
