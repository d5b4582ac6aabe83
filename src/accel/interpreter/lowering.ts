// Lowers one instruction's IR into its handler: operands come from the decoded entry.
import { assert } from "../../base/index.ts";
import type { FunctionBuilder, FunctionIndex, Label, Local, MemoryOp } from "../../wasm/index.ts";
import { entryOffset, entryScale } from "../code-cache.ts";
import {
  HelperStatus,
  type Expr,
  type InstructionSemantics,
  type IrType,
  type Stmt,
  type Temp,
  type Width,
} from "../ir.ts";
import { tlbAddendOffset, tlbIndexMask, tlbIndexShift } from "../softmmu.ts";
import type { VcpuLayout } from "../vcpu-layout.ts";

/** The function around the handlers: its locals, labels and callables. */
export interface Frame {
  readonly layout: VcpuLayout;
  /** Address of the vCPU's block: a constant of the generated code, so that fields and registers need no base. */
  readonly vcpu: number;
  /** Address of the entry being executed. */
  readonly entry: Local;
  readonly tlbLoad: Local;
  readonly tlbStore: Local;
  /** Scratch for TLB entries and statuses. */
  readonly slot: Local;
  /** Where `goto` continues. */
  readonly target: Local;
  readonly labels: { readonly next: Label; readonly goto: Label; readonly again: Label; readonly leave: Label };
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
const hostStores: Readonly<Record<Width, MemoryOp>> = {
  1: "i64.store8",
  2: "i64.store16",
  4: "i64.store32",
  8: "i64.store",
};

export class Lowering {
  private readonly f: FunctionBuilder;
  private readonly frame: Frame;
  /** Locals by type, reused from instruction to instruction. */
  private readonly pools: Record<IrType, Local[]> = { i32: [], i64: [], f32: [], f64: [] };
  private readonly used: Record<IrType, number> = { i32: 0, i64: 0, f32: 0, f64: 0 };
  private temps = new Map<number, Local>();
  private readonly address: Local;
  private readonly value: Local;
  private lengthBytes = 4;
  private near = false;

  constructor(f: FunctionBuilder, frame: Frame) {
    this.f = f;
    this.frame = frame;
    this.address = f.local("i64");
    this.value = f.local("i64");
  }

  instruction(instruction: InstructionSemantics, lengthBytes: number, near: boolean): void {
    this.temps = new Map();
    for (const type of ["i32", "i64", "f32", "f64"] as const) this.used[type] = 0;
    this.lengthBytes = lengthBytes;
    this.near = near;
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

  private statements(code: readonly Stmt[]): void {
    for (const stmt of code) this.statement(stmt);
  }

  private statement(stmt: Stmt): void {
    const { f, frame } = this;
    switch (stmt.kind) {
      case "set":
        this.push(stmt.value);
        f.set(this.local(stmt.temp));
        return;
      case "setReg":
        this.pushOperand(stmt.slot);
        this.push(stmt.value);
        f.memory(`${stmt.value.type}.store`, frame.vcpu);
        return;
      case "setField":
        f.i32(frame.vcpu);
        this.push(stmt.value);
        f.memory(`${stmt.value.type}.store`, frame.layout.offset(stmt.field));
        return;
      case "translate":
        this.translate(stmt);
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
        this.push(stmt.target);
        f.set(frame.target);
        f.br(frame.labels.goto);
        return;
      case "helper":
        this.helper(stmt.name, stmt.arg);
        return;
    }
  }

  private branch(when: Expr<"i32"> | undefined): void {
    const { f, frame } = this;
    if (when !== undefined) {
      this.push(when);
      f.if();
    }
    if (this.near) {
      f.get(frame.entry);
      f.get(frame.entry);
      f.memory("i32.load", entryOffset.imm);
      f.op("i32.add");
      f.set(frame.entry);
      f.br(frame.labels.next);
    } else {
      frame.pushPc();
      f.get(frame.entry);
      f.memory("i64.load32_s", entryOffset.imm);
      f.op("i64.add");
      f.set(frame.target);
      f.br(frame.labels.goto);
    }
    if (when !== undefined) f.end();
  }

  private helper(name: string, arg: Expr<"i32">): void {
    const { f, frame } = this;
    const index = frame.callables.helpers.get(name);
    assert(index !== undefined, "a helper is declared by its target", name);
    frame.storePc();
    this.push(arg);
    f.call(index);
    f.tee(frame.slot);
    f.i32(HelperStatus.goto);
    f.op("i32.eq");
    f.brIf(frame.labels.again);
    f.get(frame.slot);
    f.brIf(frame.labels.leave, "unlikely");
  }

  /** Leaves on the stack the TLB entry's tag compared with the address: 1 when it hits. */
  private probe(table: Local, width: Width): void {
    const { f, frame } = this;
    f.get(table);
    f.get(this.address);
    f.i64(BigInt(tlbIndexShift));
    f.op("i64.shr_u");
    f.op("i32.wrap_i64");
    f.i32(tlbIndexMask);
    f.op("i32.and");
    f.op("i32.add");
    f.tee(frame.slot);
    f.memory("i64.load");
    f.get(this.address);
    f.i64(~0xfffn | BigInt(width - 1));
    f.op("i64.and");
    f.op("i64.eq");
  }

  private pushHostAddress(): void {
    const { f, frame } = this;
    f.get(this.address);
    f.op("i32.wrap_i64");
    f.get(frame.slot);
    f.memory("i32.load", tlbAddendOffset);
    f.op("i32.add");
  }

  private storeAddressField(): void {
    const { f, frame } = this;
    f.i32(frame.vcpu);
    f.get(this.address);
    f.memory("i64.store", frame.layout.offset("memVa"));
  }

  private translate(stmt: Extract<Stmt, { kind: "translate" }>): void {
    const { f, frame } = this;
    const host = this.local(stmt.temp);
    this.push(stmt.address);
    f.set(this.address);
    this.probe(stmt.access === "atomic" ? frame.tlbStore : frame.tlbLoad, stmt.width);
    f.if("i32", "likely");
    this.pushHostAddress();
    f.else();
    frame.storePc();
    this.storeAddressField();
    f.i32(stmt.width);
    if (stmt.access === "load") {
      f.call(frame.callables.host.loadSlow);
    } else {
      f.i32(stmt.access === "atomic" ? 1 : 0);
      f.call(frame.callables.host.atomicSlow);
    }
    f.tee(host);
    f.op("i32.eqz");
    f.brIf(frame.labels.again);
    f.get(host);
    f.end();
    f.set(host);
  }

  private store(stmt: Extract<Stmt, { kind: "store" }>): void {
    const { f, frame } = this;
    this.push(stmt.address);
    f.set(this.address);
    this.push(stmt.value);
    f.set(this.value);
    this.probe(frame.tlbStore, stmt.width);
    f.if(undefined, "likely");
    this.pushHostAddress();
    f.get(this.value);
    f.memory(hostStores[stmt.width]);
    f.else();
    frame.storePc();
    this.storeAddressField();
    f.i32(frame.vcpu);
    f.get(this.value);
    f.memory("i64.store", frame.layout.offset("memValue"));
    f.i32(stmt.width);
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
    f.end();
  }

  private pushNextPc(): void {
    this.frame.pushPc();
    this.f.i64(BigInt(this.lengthBytes));
    this.f.op("i64.add");
  }

  private pushOperand(slot: "dst" | "src1" | "src2" | "src3"): void {
    const { f, frame } = this;
    f.get(frame.entry);
    f.memory("i32.load16_u", entryOffset[slot]);
  }

  private push(expr: Expr): void {
    const { f, frame } = this;
    switch (expr.kind) {
      case "const":
        if (expr.type === "i64") f.i64(BigInt(expr.value));
        else if (expr.type === "i32") f.i32(Number(expr.value));
        else if (expr.type === "f32") f.f32(Number(expr.value));
        else f.f64(Number(expr.value));
        return;
      case "reg":
        this.pushOperand(expr.slot);
        f.memory(`${expr.type}.load`, frame.vcpu);
        return;
      case "imm":
        f.get(frame.entry);
        f.memory(expr.type === "i64" ? "i64.load32_s" : "i32.load", entryOffset.imm);
        return;
      case "pc":
        frame.pushPc();
        return;
      case "nextPc":
        this.pushNextPc();
        return;
      case "field":
        f.i32(frame.vcpu);
        f.memory(`${expr.type}.load`, frame.layout.offset(expr.field));
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
      case "call": {
        for (const arg of expr.args) this.push(arg);
        const index = frame.callables.library.get(expr.name);
        assert(index !== undefined, "a library function is declared by its target", expr.name);
        f.call(index);
        return;
      }
      case "hostLoad":
        f.get(this.local(expr.at));
        f.memory(hostLoads[`${expr.width}${expr.signed ? "s" : "u"}`]);
        return;
      case "temp":
        f.get(this.local(expr));
        return;
    }
  }

  private local(temp: Temp): Local {
    let local = this.temps.get(temp.id);
    if (local === undefined) {
      const pool = this.pools[temp.type];
      const index = this.used[temp.type]++;
      local = pool[index] ??= this.f.local(temp.type);
      this.temps.set(temp.id, local);
    }
    return local;
  }
}
