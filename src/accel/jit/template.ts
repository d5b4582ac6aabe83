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
import type { Expr, InstructionSemantics, IrType, Slot, Stmt, Width } from "../ir.ts";
import type { VcpuLayout } from "../vcpu-layout.ts";
import { accessLocals, cachedFieldLimit, fieldLocal, temporaryLimit, temporaryLocal } from "./region-locals.ts";

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

/** Fields that IR reads and never sets, and nothing but helpers changes. */
export function cachedFields(instructions: readonly InstructionSemantics[]): readonly string[] {
  const read = new Set<string>();
  const set = new Set<string>();
  const visitExpr = (expr: Expr): void => {
    if (expr.kind === "field" && expr.live !== true) read.add(expr.field);
    else if (expr.kind === "op" || expr.kind === "call") expr.args.forEach(visitExpr);
    else if (expr.kind === "select") [expr.when, expr.then, expr.otherwise].forEach(visitExpr);
  };
  const visit = (stmt: Stmt): void => {
    if (stmt.kind === "setField") set.add(stmt.field);
    expressionsOf(stmt).forEach(visitExpr);
    if (stmt.kind === "if") [...stmt.then, ...stmt.otherwise].forEach(visit);
  };
  for (const { code } of instructions) code.forEach(visit);
  const found = [...read].filter((name) => !set.has(name));
  assert(found.length <= cachedFieldLimit, "there are locals for fields that only helpers change", found.join());
  return found;
}

function expressionsOf(stmt: Stmt): readonly Expr[] {
  switch (stmt.kind) {
    case "set":
    case "setReg":
    case "setField":
    case "hostStore":
      return [stmt.value];
    case "translate":
    case "findBlock":
      return [stmt.address];
    case "store":
      return [stmt.address, stmt.value];
    case "if":
      return [stmt.when];
    case "branch":
      return stmt.when === undefined ? [] : [stmt.when];
    case "jump":
      return [stmt.target];
    case "helper":
      return [stmt.arg];
  }
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

function accessOf(code: readonly Stmt[]): Pick<Template, "access" | "widthBytes"> {
  const accesses = code.filter((stmt) => stmt.kind === "translate" || stmt.kind === "store");
  const [only] = accesses;
  const none = { access: undefined, widthBytes: 0 };
  if (only === undefined || accesses.length > 1 || !isBaseAndImmediate(only.address)) return none;
  if (only.kind === "store") return { access: "store", widthBytes: only.width };
  return only.access === "load" ? { access: "load", widthBytes: only.width } : none;
}

const isBaseAndImmediate = (expr: Expr): boolean =>
  expr.kind === "op" &&
  expr.op === "i64.add" &&
  expr.args[0]?.kind === "reg" &&
  expr.args[0].slot === "src1" &&
  expr.args[1]?.kind === "imm";

function sumOf(code: readonly Stmt[]): Template["sum"] {
  const [only] = code;
  if (code.length !== 1 || only?.kind !== "setReg" || only.value.kind !== "op" || only.value.op !== "i64.add") return;
  if (isBaseAndImmediate(only.value)) return "immediate";
  const [a, b] = only.value.args;
  return a?.kind === "reg" && a.slot === "src1" && b?.kind === "reg" && b.slot === "src2" ? "register" : undefined;
}

const callsHelper = (code: readonly Stmt[]): boolean => code.some(({ kind }) => kind === "helper");
const isBranch = (stmt: Stmt): boolean => stmt.kind === "branch" || stmt.kind === "jump";
const armsOf = (stmt: Stmt): readonly (readonly Stmt[])[] => (stmt.kind === "if" ? [stmt.then, stmt.otherwise] : []);
/** Somewhere inside it a helper is called. */
const asksHelper = (stmt: Stmt): boolean => armsOf(stmt).some((arm) => callsHelper(arm) || arm.some(asksHelper));

/** True when the instruction always calls a helper, or leaves the straight path anywhere but at its end. */
function isForInterpreter(code: readonly Stmt[]): boolean {
  return code.some((stmt, i) => {
    if (stmt.kind === "helper" || (isBranch(stmt) && i !== code.length - 1)) return true;
    return armsOf(stmt).some((arm) => arm.some(branchesDeeper) || (!callsHelper(arm) && asksAfterEffect(arm)));
  });
}

const branchesDeeper = (stmt: Stmt): boolean => isBranch(stmt) || armsOf(stmt).some((arm) => arm.some(branchesDeeper));

/** True when a helper would be called where something has happened already. */
function asksAfterEffect(code: readonly Stmt[]): boolean {
  let effects = false;
  return code.some((stmt) => {
    if (asksHelper(stmt) && (effects || armsOf(stmt).some((arm) => !callsHelper(arm) && asksAfterEffect(arm))))
      return true;
    effects ||= hasEffect(stmt);
    return false;
  });
}

/**
 * The interpreter takes over from the beginning of an instruction, so nothing may have happened by then: an `if` with a
 * helper behind such an effect is tested first, which is the same where its condition is made of cached fields alone;
 * otherwise (`kept` is empty) the whole instruction is the interpreter's.
 */
function hoistHelpers(code: readonly Stmt[]): { hoisted: Expr<"i32">[]; kept: readonly Stmt[] } {
  const hoisted: Expr<"i32">[] = [];
  const kept: Stmt[] = [];
  let effects = false;
  for (const stmt of code) {
    if (effects && stmt.kind === "if" && asksHelper(stmt)) {
      const isPlain = callsHelper(stmt.then) && stmt.otherwise.length === 0 && isPure(stmt.when);
      if (!isPlain) return { hoisted: [], kept: [] };
      hoisted.push(stmt.when);
      continue;
    }
    if (effects && missesToInterpreter(stmt)) return { hoisted: [], kept: [] };
    effects ||= hasEffect(stmt);
    kept.push(stmt);
  }
  return { hoisted, kept };
}

const isPure = (expr: Expr): boolean =>
  expr.kind === "const" ||
  expr.kind === "imm" ||
  (expr.kind === "field" && expr.live !== true) ||
  (expr.kind === "op" && expr.args.every(isPure));

const missesToInterpreter = (stmt: Stmt): boolean =>
  (stmt.kind === "translate" && stmt.access !== "load") || armsOf(stmt).some((arm) => arm.some(missesToInterpreter));

/** The arm of an `if` that calls a helper is left before it has done anything. */
const hasEffect = (stmt: Stmt): boolean =>
  stmt.kind === "if"
    ? armsOf(stmt).some((arm) => !callsHelper(arm) && arm.some(hasEffect))
    : stmt.kind !== "set" && stmt.kind !== "findBlock";
