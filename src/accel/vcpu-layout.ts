// Where a vCPU's state lies in the machine's WebAssembly memory. Generated code reaches fields by constant offset from the
// vCPU's block; TypeScript through typed arrays over the same bytes.
import { alignUp, assert } from "../base/index.ts";
import type { IrType } from "./ir.ts";

export interface LayoutField {
  readonly name: string;
  readonly type: IrType;
  /** Byte offset from the start of the vCPU's block. */
  readonly offset: number;
  readonly count: number;
}

/** Operand offsets are 16 bits wide in decoded entries, so the block of registers stays below this. */
const registerReach = 0x10000;

export class VcpuLayout {
  private readonly fields = new Map<string, LayoutField>();
  private length = 0;

  add(name: string, type: IrType, count = 1): number {
    assert(!this.fields.has(name), "a vCPU field is declared once", name);
    const width = type === "i32" || type === "f32" ? 4 : 8;
    const offset = alignUp(this.length, width);
    this.fields.set(name, { name, type, offset, count });
    this.length = offset + width * count;
    assert(this.length < registerReach, "vCPU fields are within reach of operand offsets", name);
    return offset;
  }

  get(name: string): LayoutField {
    const found = this.fields.get(name);
    assert(found !== undefined, "a vCPU field is declared", name);
    return found;
  }

  offset(name: string): number {
    return this.get(name).offset;
  }

  get names(): readonly string[] {
    return [...this.fields.keys()];
  }

  get lengthBytes(): number {
    return alignUp(this.length, 16);
  }
}

/** Fields that every vCPU has, whatever its target. */
export const commonFields: readonly { readonly name: string; readonly type: IrType; readonly count?: number }[] = [
  /** Address of the next instruction while generated code is not running, and during helpers that of the current one. */
  { name: "pc", type: "i64" },
  /** Instructions left of the budget when a helper or a slow path was called. */
  { name: "budget", type: "i32" },
  /** Guest address of the access that a slow path is asked to make, and its value. */
  { name: "memVa", type: "i64" },
  { name: "memValue", type: "i64" },
  /** How often regions were entered from the interpreter, and how many instructions they executed. */
  { name: "regionCalls", type: "i64" },
  { name: "regionInstructions", type: "i64" },
  /** Bases of the TLB tables in force. */
  { name: "tlbFetch", type: "i32" },
  { name: "tlbLoad", type: "i32" },
  { name: "tlbStore", type: "i32" },
];
