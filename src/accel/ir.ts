// The typed IR in which a target states what an instruction does. Built once per instruction at start; the interpreter
// and the region compiler lower the same statements. Operations are WebAssembly's own, by name.
import { assert } from "../base/index.ts";
import { resultType, type NumericOp, type ValueType } from "../wasm/index.ts";

/** Types that guest values have; vectors are an engine's detail. */
export type IrType = Exclude<ValueType, "v128">;

/** Operand positions of an instruction; which register stands there is known when it is decoded. */
export type Slot = "dst" | "src1" | "src2" | "src3";

export type Expr<T extends IrType = IrType> =
  | { readonly kind: "const"; readonly type: T; readonly value: number | bigint }
  | { readonly kind: "reg"; readonly type: T; readonly slot: Slot }
  | { readonly kind: "imm"; readonly type: T }
  | { readonly kind: "pc"; readonly type: T }
  | { readonly kind: "nextPc"; readonly type: T }
  | { readonly kind: "field"; readonly type: T; readonly field: string; readonly live?: true }
  | { readonly kind: "op"; readonly type: T; readonly op: NumericOp; readonly args: readonly Expr[] }
  | { readonly kind: "select"; readonly type: T; readonly when: Expr; readonly then: Expr; readonly otherwise: Expr }
  | { readonly kind: "call"; readonly type: T; readonly name: string; readonly args: readonly Expr[] }
  | { readonly kind: "hostLoad"; readonly type: T; readonly width: Width; readonly signed: boolean; readonly at: Temp }
  | Temp<T>;

/** A value named once and read many times. */
export interface Temp<T extends IrType = IrType> {
  readonly kind: "temp";
  readonly type: T;
  readonly id: number;
}

/** Width of a guest memory access in bytes. */
export type Width = 1 | 2 | 4 | 8;

/** How a guest address is going to be used; `atomic` is a store that must be naturally aligned. */
export type Access = "load" | "store" | "atomicLoad" | "atomic";

export type Stmt =
  | { readonly kind: "set"; readonly temp: Temp; readonly value: Expr }
  | { readonly kind: "setReg"; readonly slot: Slot; readonly value: Expr }
  | { readonly kind: "setField"; readonly field: string; readonly value: Expr }
  /** The host address of a guest access, or a trap. Loads from devices come as the address of their value. */
  | {
      readonly kind: "translate";
      readonly temp: Temp<"i32">;
      readonly access: Exclude<Access, "store">;
      readonly width: Width;
      readonly address: Expr<"i64">;
    }
  /** The host address of a naturally aligned block of a power of two of bytes that the TLB has for stores, or 0. */
  | {
      readonly kind: "findBlock";
      readonly temp: Temp<"i32">;
      readonly lengthBytes: number;
      readonly address: Expr<"i64">;
    }
  | { readonly kind: "store"; readonly width: Width; readonly address: Expr<"i64">; readonly value: Expr<"i64"> }
  | { readonly kind: "hostStore"; readonly width: Width; readonly at: Temp; readonly value: Expr<"i64"> }
  | {
      readonly kind: "if";
      readonly when: Expr<"i32">;
      readonly then: readonly Stmt[];
      readonly otherwise: readonly Stmt[];
      readonly likely: boolean | undefined;
    }
  /** To pc + imm when the condition holds; always when it is absent. */
  | { readonly kind: "branch"; readonly when: Expr<"i32"> | undefined }
  | { readonly kind: "jump"; readonly target: Expr<"i64"> }
  /** Calls the target outside generated code, with pc stored; its status says how to go on (`HelperStatus`). */
  | { readonly kind: "helper"; readonly name: string; readonly arg: Expr<"i32"> };

/** What a helper answers. */
export const HelperStatus = {
  /** Go on with the next instruction. */
  next: 0,
  /** The pc field (and perhaps the mode) changed: go on there. */
  goto: 1,
  /** Leave generated code; the pc field is where to go on later. */
  leave: 2,
} as const;
export type HelperStatus = (typeof HelperStatus)[keyof typeof HelperStatus];

const i64Const = (value: bigint | number): Expr<"i64"> => ({ kind: "const", type: "i64", value: BigInt(value) });
const i32Const = (value: number): Expr<"i32"> => ({ kind: "const", type: "i32", value });

/** One numeric operation, typed by its name. */
export function op<T extends IrType>(name: NumericOp, ...args: readonly Expr[]): Expr<T> {
  return { kind: "op", type: resultType(name) as T, op: name, args };
}

type Binary<T extends IrType> = (a: Expr<T>, b: Expr<T>) => Expr<T>;
type Compare<T extends IrType> = (a: Expr<T>, b: Expr<T>) => Expr<"i32">;
const binary =
  <T extends IrType>(name: NumericOp): Binary<T> =>
  (a, b) =>
    op<T>(name, a, b);
const compare =
  <T extends IrType>(name: NumericOp): Compare<T> =>
  (a, b) =>
    op<"i32">(name, a, b);

interface IntegerOps<T extends "i32" | "i64"> {
  readonly const: (value: number) => Expr<T>;
  readonly add: Binary<T>;
  readonly sub: Binary<T>;
  readonly mul: Binary<T>;
  readonly and: Binary<T>;
  readonly or: Binary<T>;
  readonly xor: Binary<T>;
  readonly shl: Binary<T>;
  readonly shrS: Binary<T>;
  readonly shrU: Binary<T>;
  readonly eq: Compare<T>;
  readonly ne: Compare<T>;
  readonly ltS: Compare<T>;
  readonly ltU: Compare<T>;
  readonly geS: Compare<T>;
  readonly geU: Compare<T>;
  readonly eqz: (a: Expr<T>) => Expr<"i32">;
}

function integerOps<T extends "i32" | "i64">(type: T, constant: (value: number) => Expr<T>): IntegerOps<T> {
  return {
    const: constant,
    add: binary(`${type}.add`),
    sub: binary(`${type}.sub`),
    mul: binary(`${type}.mul`),
    and: binary(`${type}.and`),
    or: binary(`${type}.or`),
    xor: binary(`${type}.xor`),
    shl: binary(`${type}.shl`),
    shrS: binary(`${type}.shr_s`),
    shrU: binary(`${type}.shr_u`),
    eq: compare(`${type}.eq`),
    ne: compare(`${type}.ne`),
    ltS: compare(`${type}.lt_s`),
    ltU: compare(`${type}.lt_u`),
    geS: compare(`${type}.ge_s`),
    geU: compare(`${type}.ge_u`),
    eqz: (a) => op<"i32">(`${type}.eqz`, a),
  };
}

export const i32: IntegerOps<"i32"> = integerOps("i32", i32Const);
export const i64: IntegerOps<"i64"> & { readonly big: (value: bigint) => Expr<"i64"> } = {
  ...integerOps("i64", i64Const),
  big: i64Const,
};

export const wrap = (a: Expr<"i64">): Expr<"i32"> => op("i32.wrap_i64", a);
export const extend32 = (a: Expr<"i64">): Expr<"i64"> => op("i64.extend32_s", a);
/** A word, sign-extended or zero-extended. */
export const extendS = (a: Expr<"i32">): Expr<"i64"> => op("i64.extend_i32_s", a);
export const extendU = (a: Expr<"i32">): Expr<"i64"> => op("i64.extend_i32_u", a);
export const select = <T extends IrType>(when: Expr<"i32">, then: Expr<T>, otherwise: Expr<T>): Expr<T> => ({
  kind: "select",
  type: then.type,
  when,
  then,
  otherwise,
});

export const reg = <T extends IrType>(type: T, slot: Slot): Expr<T> => ({ kind: "reg", type, slot });
/** The instruction's immediate, sign-extended. */
export const imm: Expr<"i64"> = { kind: "imm", type: "i64" };
export const imm32: Expr<"i32"> = { kind: "imm", type: "i32" };
/** Address of the instruction, and of the one after it. */
export const pc: Expr<"i64"> = { kind: "pc", type: "i64" };
export const nextPc: Expr<"i64"> = { kind: "nextPc", type: "i64" };
export const field = <T extends IrType>(type: T, name: string): Expr<T> => ({ kind: "field", type, field: name });
/** A field that more than IR and helpers change: accesses to devices may. */
export const liveField = <T extends IrType>(type: T, name: string): Expr<T> => ({
  kind: "field",
  type,
  field: name,
  live: true,
});
/** A pure function of the target's library (multiply high, fused multiply-add). */
export const call = <T extends IrType>(type: T, name: string, ...args: Expr[]): Expr<T> => ({
  kind: "call",
  type,
  name,
  args,
});

/** Collects the statements of one instruction. */
export class Code {
  private current: Stmt[] = [];
  private tempCount = 0;

  /** All statements so far. */
  get statements(): readonly Stmt[] {
    return this.current;
  }

  let<T extends IrType>(value: Expr<T>): Temp<T> {
    const temp = this.temp(value.type);
    this.current.push({ kind: "set", temp, value });
    return temp;
  }

  temp<T extends IrType>(type: T): Temp<T> {
    return { kind: "temp", type, id: this.tempCount++ };
  }

  set<T extends IrType>(temp: Temp<T>, value: Expr<T>): void {
    this.current.push({ kind: "set", temp, value });
  }

  setReg(slot: Slot, value: Expr): void {
    this.current.push({ kind: "setReg", slot, value });
  }

  setField(name: string, value: Expr): void {
    this.current.push({ kind: "setField", field: name, value });
  }

  /** Loads from guest memory; traps before anything is written. */
  load(address: Expr<"i64">, width: Width, signed: boolean): Expr<"i64"> {
    return this.hostLoad(this.translate(address, width, "load"), width, signed);
  }

  store(address: Expr<"i64">, width: Width, value: Expr<"i64">): void {
    this.current.push({ kind: "store", width, address, value });
  }

  translate(address: Expr<"i64">, width: Width, access: Exclude<Access, "store">): Temp<"i32"> {
    const temp = this.temp("i32");
    this.current.push({ kind: "translate", temp, access, width, address });
    return temp;
  }

  findBlock(address: Expr<"i64">, lengthBytes: number): Temp<"i32"> {
    const temp = this.temp("i32");
    this.current.push({ kind: "findBlock", temp, lengthBytes, address });
    return temp;
  }

  hostLoad(at: Temp<"i32">, width: Width, signed: boolean): Temp<"i64"> {
    return this.let<"i64">({ kind: "hostLoad", type: "i64", width, signed, at });
  }

  hostStore(at: Temp<"i32">, width: Width, value: Expr<"i64">): void {
    this.current.push({ kind: "hostStore", width, at, value });
  }

  if(when: Expr<"i32">, then: () => void, otherwise?: () => void, likely?: boolean): void {
    this.current.push({
      kind: "if",
      when,
      then: this.nested(then),
      otherwise: otherwise === undefined ? [] : this.nested(otherwise),
      likely,
    });
  }

  branch(when?: Expr<"i32">): void {
    this.current.push({ kind: "branch", when });
  }

  jump(target: Expr<"i64">): void {
    this.current.push({ kind: "jump", target });
  }

  helper(name: string, arg: Expr<"i32">): void {
    this.current.push({ kind: "helper", name, arg });
  }

  private nested(build: () => void): Stmt[] {
    const outer = this.current;
    const inner: Stmt[] = [];
    this.current = inner;
    build();
    assert(this.current === inner, "nested statements are closed in order");
    this.current = outer;
    return inner;
  }
}

/** One instruction of a target, as the lowerings see it. */
export interface InstructionSemantics {
  readonly name: string;
  /** Encoded lengths it occurs in, in bytes (2 for compressed forms). */
  readonly lengths: readonly number[];
  readonly code: readonly Stmt[];
}

/** True when the instruction may go on elsewhere than behind itself. */
export function endsBlock(code: readonly Stmt[]): boolean {
  return code.some(
    (s) =>
      s.kind === "branch" || s.kind === "jump" || (s.kind === "if" && (endsBlock(s.then) || endsBlock(s.otherwise))),
  );
}

/** True when the instruction holds a pc-relative branch, which the interpreter specialises for targets in its page. */
export function hasBranch(code: readonly Stmt[]): boolean {
  return code.some((s) => s.kind === "branch" || (s.kind === "if" && (hasBranch(s.then) || hasBranch(s.otherwise))));
}
