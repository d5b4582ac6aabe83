// An instruction's IR lowered once for regions: WebAssembly bytes with holes for what is known only where the instruction
// stands. Regions are put together by copying bytes and filling holes.
import { assert } from "../../base/index.ts";
import {
  FunctionBuilder,
  memoryOps,
  type BranchHint,
  type FunctionIndex,
  type Local,
  type MemoryOp,
} from "../../wasm/index.ts";
import type { HandlerVariant } from "../interpreter/interpreter.ts";
import { declared, hostStores, IrLowering, type LibraryFunction, type TlbTable } from "../ir-lowering.ts";
import type { Expr, IrType, Slot, Stmt, Width } from "../ir.ts";
import type { VcpuLayout } from "../vcpu-layout.ts";
import { accessOf, callsHelper, hoistHelpers, isForInterpreter, sumOf } from "./ir-shape.ts";
import { accessLocals, fieldLocal, temporaryLimit, temporaryLocal } from "./region-locals.ts";

/** Kinds of holes, and of the runs of bytes between them; each is followed by its operands in `tokens`. */
export const Token = {
  /** Bytes: from, count. */
  bytes: 0,
  /** Pushes the register of an operand: slot. */
  get: 1,
  /** Pops into the destination. */
  set: 2,
  imm64: 3,
  imm32: 4,
  pc: 5,
  nextPc: 6,
  /** Pushes what a slow path must know of where the region is: the access's width. */
  whereabouts: 7,
  /**
   * Leaves the region when the top of the stack is not zero, with pc and budget stored by a slow path and its answer in
   * `accessLocals.slot`: depth inside.
   */
  leaveIf: 8,
  /** Leaves the region before this instruction, which is the interpreter's: depth inside. */
  interpret: 9,
  /** Hints at the following branch: 1 when it is usually taken. */
  hint: 10,
  /** The same when the answer, on the stack, is not zero: depth inside. */
  leaveWith: 11,
  /** Pushes the address of the vCPU's block. */
  vcpu: 12,
  /** As `get` and `set`, for a value of type f64. */
  getFloat: 13,
  setFloat: 14,
  /** Pushes the host address of the group that the access belongs to. */
  group: 15,
  /** Loads from there or stores there, as far behind it as the access is: opcode. */
  grouped: 16,
  /** A slow path was taken: groups that are begun hold no longer. */
  slowed: 17,
  /** Adds the address of a TLB table to the offset on the stack: which table. */
  table: 18,
  /** Pops what the former left and pushes a part of that entry: which table, opcode, offset. */
  entry: 19,
  /** Pushes whether the group has a host address: the first member looks for it. And: it has none. */
  isGrouped: 20,
  ungrouped: 21,
  /** Takes off a host address what `grouped` is going to add, and 1: the least host address is beyond the widest group. */
  backToGroup: 22,
} as const;

/** The tables that tokens name. */
export const tokenTables: readonly TlbTable[] = ["tlbLoad", "tlbStore"];

/** How an instruction ends. */
export const Flow = {
  /** On with the next one. */
  next: 0,
  /** To pc + imm. */
  branch: 1,
  /** To pc + imm when the top of the stack is not zero, else to the next one. */
  conditional: 2,
  /** To the address on the stack. */
  jump: 3,
  /** Not for regions: it calls the target, which may change anything. */
  barrier: 4,
} as const;
export type Flow = (typeof Flow)[keyof typeof Flow];

export const slots: readonly Slot[] = ["dst", "src1", "src2", "src3"];

export interface Template {
  readonly lengthBytes: number;
  readonly flow: Flow;
  /** Its branch stays in its page. */
  readonly near: boolean;
  /** It leaves the address behind it in its destination: a call, if anything is. */
  readonly links: boolean;
  /** Bit per slot that is read; `writes` is for the destination. */
  readonly reads: number;
  readonly writes: boolean;
  /** Its one access, when it is a load or store at its first operand plus its immediate: how many bytes. */
  readonly access: "load" | "store" | undefined;
  readonly widthBytes: number;
  /** It does nothing but add to its first operand: its immediate or its second operand. */
  readonly sum: "immediate" | "register" | undefined;
  readonly tokens: Int32Array;
  readonly bytes: Uint8Array;
}

/** What templates need to know of the target. */
export interface TemplateContext {
  readonly layout: VcpuLayout;
  /** Fields that no IR sets, by the number of their local. */
  readonly cachedFields: readonly string[];
  readonly library: ReadonlyMap<string, LibraryFunction>;
  /** Indexes of the library functions that are not inlined, and of the slow paths. */
  readonly imports: ReadonlyMap<string, FunctionIndex>;
}

/** Records tokens; also stands in for the function of a library function that is inlined. */
class TemplateBuilder extends FunctionBuilder {
  readonly tokens: number[] = [];
  parameters: readonly Local[] = [];
  freshLocal: (type: IrType) => Local = () => 0 as Local;
  private from = 0;

  constructor() {
    super({ params: [], results: [] });
  }

  /** How many blocks of the template are open. */
  get depthInside(): number {
    return this.depth;
  }

  token(...token: readonly number[]): void {
    if (this.body.length > this.from) this.tokens.push(Token.bytes, this.from, this.body.length - this.from);
    this.from = this.body.length;
    this.tokens.push(...token);
  }

  override param(index: number): Local {
    return this.parameters[index]!;
  }

  override local(type: IrType): Local {
    return this.freshLocal(type);
  }

  protected override hint(hint?: BranchHint): void {
    if (hint !== undefined) this.token(Token.hint, hint === "likely" ? 1 : 0);
  }
}

export function makeTemplate(variant: HandlerVariant, context: TemplateContext): Template {
  return new TemplateLowering(context, variant).template(variant.instruction.code);
}

/** The same for an instruction with an `access` that is a member of a group. */
export function makeGroupedTemplate(variant: HandlerVariant, context: TemplateContext): Template {
  return new GroupedLowering(context, variant).template(variant.instruction.code);
}

class TemplateLowering extends IrLowering<TemplateBuilder> {
  private readonly context: TemplateContext;
  private readonly lengthBytes: number;
  private readonly near: boolean;
  private reads = 0;
  private writes = false;
  private links = false;
  private flow: Flow = Flow.next;
  /** Temporaries that hold the bits of an operand, and those whose bits are those of a float in a local. */
  private readonly operandOf = new Map<number, Slot>();
  private readonly floatOf = new Map<number, Local>();

  constructor(context: TemplateContext, { lengthBytes, reach }: HandlerVariant) {
    super(new TemplateBuilder(), accessLocals);
    this.context = context;
    this.lengthBytes = lengthBytes;
    this.near = reach !== "far";
    this.f.freshLocal = (type) => this.freshTemporary(type);
  }

  template(code: readonly Stmt[]): Template {
    const { hoisted, kept } = isForInterpreter(code) ? { hoisted: [], kept: [] } : hoistHelpers(code);
    const barrier = code.length > 0 && kept.length === 0;
    for (const when of hoisted) {
      this.push(when);
      this.f.if(undefined, "unlikely");
      this.f.token(Token.interpret, this.f.depthInside);
      this.f.end();
    }
    this.statements(kept);
    this.f.token();
    return {
      lengthBytes: this.lengthBytes,
      flow: barrier ? Flow.barrier : this.flow,
      near: this.near,
      links: this.links,
      reads: this.reads,
      writes: this.writes,
      ...accessOf(code),
      sum: sumOf(code),
      tokens: Int32Array.from(this.f.tokens),
      bytes: this.f.body.written().slice(),
    };
  }

  protected override statement(stmt: Stmt): void {
    if (stmt.kind === "set") return this.setTemporary(stmt);
    // A branch of an `if` that calls a helper is the interpreter's, from the beginning of the instruction.
    if (stmt.kind !== "if" || !(callsHelper(stmt.then) || callsHelper(stmt.otherwise))) return super.statement(stmt);
    const { f } = this;
    this.push(stmt.when);
    f.if(undefined, callsHelper(stmt.then) ? "unlikely" : "likely");
    this.armOf(stmt.then);
    f.else();
    this.armOf(stmt.otherwise);
    f.end();
  }

  /** Floats and their bits live in different registers of the processor: values stay floats where they can. */
  private setTemporary(stmt: Extract<Stmt, { kind: "set" }>): void {
    const { f } = this;
    const { temp, value } = stmt;
    if (value.kind === "reg") this.operandOf.set(temp.id, value.slot);
    if (value.kind === "op" && value.op === "i64.reinterpret_f64") {
      const float = this.freshTemporary("f64");
      this.push(value.args[0]!);
      f.tee(float);
      f.op("i64.reinterpret_f64");
      f.set(this.local(temp));
      this.floatOf.set(temp.id, float);
      return;
    }
    super.statement(stmt);
  }

  protected override push(expr: Expr): void {
    if (expr.kind === "op" && expr.op === "f64.reinterpret_i64") {
      const [bits] = expr.args;
      const slot = bits?.kind === "temp" ? this.operandOf.get(bits.id) : undefined;
      if (slot !== undefined) return this.f.token(Token.getFloat, slots.indexOf(slot));
    }
    super.push(expr);
  }

  private armOf(code: readonly Stmt[]): void {
    if (callsHelper(code)) this.f.token(Token.interpret, this.f.depthInside);
    else this.statements(code);
  }

  protected pushRegister(slot: Slot): void {
    this.reads |= 1 << slots.indexOf(slot);
    this.f.token(Token.get, slots.indexOf(slot));
  }

  protected setRegister(slot: Slot, value: Expr): void {
    assert(slot === "dst" && value.type === "i64", "instructions write 64 bits to their destination");
    this.writes = true;
    this.links ||= value.kind === "nextPc";
    // What operands held is no longer sure.
    this.operandOf.clear();
    const float = value.kind === "temp" ? this.floatOf.get(value.id) : undefined;
    if (float !== undefined) {
      this.f.get(float);
      this.f.token(Token.setFloat);
      return;
    }
    this.push(value);
    this.f.token(Token.set);
  }

  protected pushImmediate(type: IrType): void {
    this.f.token(type === "i64" ? Token.imm64 : Token.imm32);
  }

  protected pushPc(): void {
    this.f.token(Token.pc);
  }

  protected pushNextPc(): void {
    this.f.token(Token.nextPc);
  }

  protected pushField(name: string, type: IrType): void {
    const cached = this.context.cachedFields.indexOf(name);
    if (cached >= 0) return this.f.get(fieldLocal(cached));
    this.f.token(Token.vcpu);
    this.f.memory(`${type}.load`, this.context.layout.offset(name));
  }

  protected setField(name: string, value: Expr): void {
    this.f.token(Token.vcpu);
    this.push(value);
    this.f.memory(`${value.type}.store`, this.context.layout.offset(name));
  }

  protected override findEntry(table: TlbTable): void {
    this.f.token(Token.table, tokenTables.indexOf(table));
  }

  protected override loadFromEntry(table: TlbTable, op: "i32.load" | "i64.load", offset: number): void {
    this.f.token(Token.entry, tokenTables.indexOf(table), memoryOps[op].code, offset);
  }

  protected loadMissed({ access, width }: Extract<Stmt, { kind: "translate" }>): void {
    const { f } = this;
    if (access !== "load") return f.token(Token.interpret, f.depthInside);
    f.get(accessLocals.address);
    f.token(Token.whereabouts, width);
    f.call(declared(this.context.imports, "load"));
    f.tee(accessLocals.slot);
    f.op("i32.eqz");
    f.token(Token.leaveIf, f.depthInside);
    f.token(Token.slowed);
    f.get(accessLocals.slot);
    this.takeMark();
  }

  /** Makes a host address of what a slow path answered. As a sum, it needs no extension to 64 bits, like that of the hit. */
  protected takeMark(): void {
    this.f.i32(1);
    this.f.op("i32.sub");
  }

  protected storeMissed(width: Width): void {
    const { f } = this;
    f.get(accessLocals.address);
    f.get(accessLocals.value);
    f.token(Token.whereabouts, width);
    f.call(declared(this.context.imports, "store"));
    f.token(Token.leaveWith, f.depthInside);
    f.token(Token.slowed);
  }

  protected branch(when: Expr<"i32"> | undefined): void {
    if (when !== undefined) this.push(when);
    this.flow = when === undefined ? Flow.branch : Flow.conditional;
  }

  protected jump(target: Expr<"i64">): void {
    this.push(target);
    this.flow = Flow.jump;
  }

  protected helper(name: string): void {
    assert(false, "helpers are not called by regions", name);
  }

  protected call(name: string, args: readonly Expr[]): void {
    const { f } = this;
    for (const arg of args) this.push(arg);
    const entry = declared(this.context.library, name);
    if (entry.inline !== true) return f.call(declared(this.context.imports, name));
    const parameters = entry.type.params.map((type) => this.freshTemporary(type as IrType));
    for (const parameter of [...parameters].reverse()) f.set(parameter);
    f.parameters = parameters;
    entry.build(f);
  }

  protected temporary(type: IrType, index: number): Local {
    assert(index < temporaryLimit[type], "there are locals for an instruction's temporaries", type, index);
    return temporaryLocal(type, index);
  }
}

/** Accesses relative to a host address that was found for all of a group. */
class GroupedLowering extends TemplateLowering {
  protected override translate(stmt: Extract<Stmt, { kind: "translate" }>): void {
    const { f } = this;
    f.token(Token.isGrouped);
    f.if("i32", "likely");
    f.token(Token.group);
    f.else();
    f.token(Token.ungrouped);
    this.push(stmt.address);
    f.set(accessLocals.address);
    this.loadMissed(stmt);
    f.end();
    f.set(this.local(stmt.temp));
  }

  protected override store(stmt: Extract<Stmt, { kind: "store" }>): void {
    const { f } = this;
    this.push(stmt.value);
    f.set(accessLocals.value);
    f.token(Token.isGrouped);
    f.if(undefined, "likely");
    f.token(Token.group);
    f.get(accessLocals.value);
    f.token(Token.grouped, memoryOps[hostStores[stmt.width]].code);
    f.else();
    f.token(Token.ungrouped);
    this.push(stmt.address);
    f.set(accessLocals.address);
    this.storeMissed(stmt.width);
    f.end();
  }

  protected override hostLoad(load: MemoryOp): void {
    this.f.token(Token.grouped, memoryOps[load].code);
  }

  protected override takeMark(): void {
    this.f.token(Token.backToGroup);
  }
}
