// Lowers IR to WebAssembly instructions. Where operands, fields and the pc come from, and what happens where an instruction
// leaves the straight path, is the affair of the two lowerings that extend this: the interpreter's and the regions'.
import { assert } from "../base/index.ts";
import type { FunctionBuilder, FunctionType, Local, MemoryOp } from "../wasm/index.ts";
import type { Expr, IrType, Slot, Stmt, Temp, Width } from "./ir.ts";
import { tlbAddendOffset, tlbIndexMask, tlbIndexShift } from "./softmmu.ts";

/** A function of the target that IR may call: pure. */
export interface LibraryFunction {
  readonly name: string;
  readonly type: FunctionType;
  /** Short enough to stand in the place of its calls. */
  readonly inline?: boolean;
  build(f: FunctionBuilder): void;
}

const hostLoads: Readonly<Record<`${Width}${"s" | "u"}`, MemoryOp>> = {
  "1s": "i64.load8_s",
  "1u": "i64.load8_u",
  "2s": "i64.load16_s",
  "2u": "i64.load16_u",
  "4s": "i64.load32_s",
  "4u": "i64.load32_u",
  "8s": "i64.load",
  "8u": "i64.load",
};
export const hostStores: Readonly<Record<Width, MemoryOp>> = {
  1: "i64.store8",
  2: "i64.store16",
  4: "i64.store32",
  8: "i64.store",
};

/** Locals that accesses are made with. */
export interface AccessLocals {
  /** Guest address and value of the access (i64). */
  readonly address: Local;
  readonly value: Local;
  /** The TLB entry looked at, and statuses (i32). */
  readonly slot: Local;
  /** Bases of the tables in force (i32). */
  readonly tlbLoad: Local;
  readonly tlbStore: Local;
}

export type TlbTable = "tlbLoad" | "tlbStore";

export abstract class IrLowering<F extends FunctionBuilder = FunctionBuilder> {
  protected readonly f: F;
  protected readonly locals: AccessLocals;
  private readonly used: Record<IrType, number> = { i32: 0, i64: 0, f32: 0, f64: 0 };
  private temps = new Map<number, Local>();

  constructor(f: F, locals: AccessLocals) {
    this.f = f;
    this.locals = locals;
  }

  protected abstract pushRegister(slot: Slot, type: IrType): void;
  protected abstract setRegister(slot: Slot, value: Expr): void;
  protected abstract pushImmediate(type: IrType): void;
  protected abstract pushPc(): void;
  protected abstract pushNextPc(): void;
  protected abstract pushField(name: string, type: IrType): void;
  protected abstract setField(name: string, value: Expr): void;
  /** Where the address in `locals.address` missed the TLB: leaves its host address on the stack, or goes elsewhere. */
  protected abstract loadMissed(stmt: Extract<Stmt, { kind: "translate" }>): void;
  /** Stores `locals.value` at `locals.address`, which missed the TLB. */
  protected abstract storeMissed(width: Width): void;
  protected abstract branch(when: Expr<"i32"> | undefined): void;
  protected abstract jump(target: Expr<"i64">): void;
  protected abstract helper(name: string, arg: Expr<"i32">): void;
  protected abstract call(name: string, args: readonly Expr[]): void;
  /** The local of temporary number `index` of its type in the present instruction. */
  protected abstract temporary(type: IrType, index: number): Local;

  /** Temporaries are free again. */
  protected begin(): void {
    this.temps = new Map();
    for (const type of ["i32", "i64", "f32", "f64"] as const) this.used[type] = 0;
  }

  protected statements(code: readonly Stmt[]): void {
    for (const stmt of code) this.statement(stmt);
  }

  protected statement(stmt: Stmt): void {
    const { f } = this;
    switch (stmt.kind) {
      case "set":
        this.push(stmt.value);
        f.set(this.local(stmt.temp));
        return;
      case "setReg":
        this.setRegister(stmt.slot, stmt.value);
        return;
      case "setField":
        this.setField(stmt.field, stmt.value);
        return;
      case "translate":
        this.translate(stmt);
        return;
      case "findBlock":
        this.findBlock(stmt);
        return;
      case "store":
        this.store(stmt);
        return;
      case "hostStore":
        f.get(this.local(stmt.at));
        this.push(stmt.value);
        f.memory(hostStores[stmt.width]);
        return;
      case "if":
        this.push(stmt.when);
        f.if(undefined, stmt.likely === undefined ? undefined : stmt.likely ? "likely" : "unlikely");
        this.statements(stmt.then);
        if (stmt.otherwise.length > 0) {
          f.else();
          this.statements(stmt.otherwise);
        }
        f.end();
        return;
      case "branch":
        this.branch(stmt.when);
        return;
      case "jump":
        this.jump(stmt.target);
        return;
      case "helper":
        this.helper(stmt.name, stmt.arg);
        return;
    }
  }

  /** Makes the offset on the stack the address of an entry of the table, as `loadFromEntry` takes it. */
  protected findEntry(table: TlbTable): void {
    this.f.get(this.locals[table]);
    this.f.op("i32.add");
  }

  protected loadFromEntry(_table: TlbTable, op: "i32.load" | "i64.load", offset: number): void {
    this.f.memory(op, offset);
  }

  /** Leaves 1 on the stack when the TLB entry for the address hits. */
  private probe(table: TlbTable, lengthBytes: number): void {
    const { f, locals } = this;
    f.get(locals.address);
    f.i64(BigInt(tlbIndexShift));
    f.op("i64.shr_u");
    f.op("i32.wrap_i64");
    f.i32(tlbIndexMask);
    f.op("i32.and");
    this.findEntry(table);
    f.tee(locals.slot);
    this.loadFromEntry(table, "i64.load", 0);
    f.get(locals.address);
    f.op("i64.xor");
    f.i64(~0xfffn | BigInt(lengthBytes - 1));
    f.op("i64.and");
    f.op("i64.eqz");
  }

  private pushHostAddress(table: TlbTable): void {
    const { f, locals } = this;
    f.get(locals.address);
    f.op("i32.wrap_i64");
    f.get(locals.slot);
    this.loadFromEntry(table, "i32.load", tlbAddendOffset);
    f.op("i32.add");
  }

  protected translate(stmt: Extract<Stmt, { kind: "translate" }>): void {
    const { f, locals } = this;
    const host = this.local(stmt.temp);
    const table = stmt.access === "atomic" ? "tlbStore" : "tlbLoad";
    this.push(stmt.address);
    f.set(locals.address);
    this.probe(table, stmt.width);
    f.if("i32", "likely");
    this.pushHostAddress(table);
    f.else();
    this.loadMissed(stmt);
    f.end();
    f.set(host);
  }

  private findBlock({ temp, lengthBytes, address }: Extract<Stmt, { kind: "findBlock" }>): void {
    const { f, locals } = this;
    this.push(address);
    f.set(locals.address);
    this.probe("tlbStore", lengthBytes);
    f.if("i32", "likely");
    this.pushHostAddress("tlbStore");
    f.else();
    f.i32(0);
    f.end();
    f.set(this.local(temp));
  }

  protected store(stmt: Extract<Stmt, { kind: "store" }>): void {
    const { f, locals } = this;
    this.push(stmt.address);
    f.set(locals.address);
    this.push(stmt.value);
    f.set(locals.value);
    this.probe("tlbStore", stmt.width);
    f.if(undefined, "likely");
    this.pushHostAddress("tlbStore");
    f.get(locals.value);
    f.memory(hostStores[stmt.width]);
    f.else();
    this.storeMissed(stmt.width);
    f.end();
  }

  protected push(expr: Expr): void {
    const { f } = this;
    switch (expr.kind) {
      case "const":
        if (expr.type === "i64") f.i64(BigInt(expr.value));
        else if (expr.type === "i32") f.i32(Number(expr.value));
        else if (expr.type === "f32") f.f32(Number(expr.value));
        else f.f64(Number(expr.value));
        return;
      case "reg":
        this.pushRegister(expr.slot, expr.type);
        return;
      case "imm":
        this.pushImmediate(expr.type);
        return;
      case "pc":
        this.pushPc();
        return;
      case "nextPc":
        this.pushNextPc();
        return;
      case "field":
        this.pushField(expr.field, expr.type);
        return;
      case "op":
        for (const arg of expr.args) this.push(arg);
        f.op(expr.op);
        return;
      case "select":
        this.push(expr.then);
        this.push(expr.otherwise);
        this.push(expr.when);
        f.select();
        return;
      case "call":
        this.call(expr.name, expr.args);
        return;
      case "hostLoad":
        f.get(this.local(expr.at));
        this.hostLoad(hostLoads[`${expr.width}${expr.signed ? "s" : "u"}`]);
        return;
      case "temp":
        f.get(this.local(expr));
        return;
    }
  }

  /** Loads from the host address on the stack, which `translate` found. */
  protected hostLoad(load: MemoryOp): void {
    this.f.memory(load);
  }

  protected local(temp: Temp): Local {
    let local = this.temps.get(temp.id);
    if (local === undefined) {
      local = this.freshTemporary(temp.type);
      this.temps.set(temp.id, local);
    }
    return local;
  }

  protected freshTemporary(type: IrType): Local {
    return this.temporary(type, this.used[type]++);
  }
}

/** What a name stands for, which its target has declared. */
export function declared<T>(map: ReadonlyMap<string, T>, name: string): T {
  const found = map.get(name);
  assert(found !== undefined, "what IR names is declared by its target", name);
  return found;
}
