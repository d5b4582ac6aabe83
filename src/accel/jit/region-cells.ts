// hot: bench/compile.ts
// The guest's registers in a region's function: those that it uses are locals, loaded when it is entered and stored when it
// is left.
import { control, memoryOps, numericOps, type Local } from "../../wasm/index.ts";
import type { VcpuLayout } from "../vcpu-layout.ts";
import type { RegionFormer } from "./region-former.ts";
import { firstCell, vcpuLocal } from "./region-locals.ts";
import { RegionWriter } from "./region-writer.ts";
import type { Template } from "./template.ts";

const floatOfBits = numericOps["f64.reinterpret_i64"];
const bitsOfFloat = numericOps["i64.reinterpret_f64"];
const i64Load = memoryOps["i64.load"].code;
const i64Store = memoryOps["i64.store"].code;
const f64Load = memoryOps["f64.load"].code;
const f64Store = memoryOps["f64.store"].code;

export interface EmitterParts {
  readonly layout: VcpuLayout;
  readonly cachedFields: readonly string[];
  /** Offset of a register that reads as zero, and of one that nobody reads. */
  readonly zero: number;
  readonly sink: number;
  /** Address of the records of entries. */
  readonly records: number;
  readonly buffer: ArrayBufferLike;
  /** Address of the vCPU's block where there is only one. */
  readonly onlyVcpu: number | undefined;
  /** Index of the import that is told of a misfit. */
  readonly misfitImport: number;
  /** The template of the same instruction as a member of a group. */
  readonly grouped: (template: Template) => Template;
}

export abstract class RegionCells extends RegionWriter {
  protected readonly former: RegionFormer;
  protected readonly parts: EmitterParts;
  protected readonly halves: Uint16Array;
  /** Local of each register, by its offset in units of 8 bytes; 0 when it has none yet. */
  private readonly localOf: Int16Array;
  /** Registers in locals: those of 64 bits, then those that hold floats. */
  protected readonly cells: number[] = [];
  protected readonly floatCells: number[] = [];
  private readonly isDirty: Uint8Array;
  private readonly isFloat: Uint8Array;

  constructor(former: RegionFormer, parts: EmitterParts) {
    super();
    this.former = former;
    this.parts = parts;
    this.halves = new Uint16Array(parts.buffer);
    this.localOf = new Int16Array(parts.layout.lengthBytes >>> 3);
    this.isDirty = new Uint8Array(parts.layout.lengthBytes >>> 3);
    this.isFloat = new Uint8Array(parts.layout.lengthBytes >>> 3);
    for (const name of parts.layout.names) {
      const { type, offset, count } = parts.layout.get(name);
      if (type === "f64") this.isFloat.fill(1, offset >>> 3, (offset >>> 3) + count);
    }
  }

  /** Pushes the address of the vCPU's block: a constant where there is only one. */
  protected vcpu(): void {
    const { onlyVcpu } = this.parts;
    if (onlyVcpu === undefined) this.get(vcpuLocal);
    else this.i32(onlyVcpu);
  }

  /** Finds the registers that the region reads and writes. */
  protected collectCells(): void {
    const { former, parts, cells, floatCells, localOf, isDirty } = this;
    for (const list of [cells, floatCells]) {
      for (const cell of list) {
        localOf[cell] = 0;
        isDirty[cell] = 0;
      }
      list.length = 0;
    }
    for (let i = 0; i < former.count; i++) {
      const { reads, writes } = former.templates[i]!;
      for (let slot = writes ? 0 : 1; slot < 4; slot++) {
        if (slot > 0 && ((reads >>> slot) & 1) === 0) continue;
        const offset = this.halves[(former.decoded[i]! >>> 1) + 1 + slot]!;
        if (offset === parts.zero || offset === parts.sink) continue;
        const cell = offset >>> 3;
        if (localOf[cell] === 0) {
          localOf[cell] = 1;
          (this.isFloat[cell] === 1 ? floatCells : cells).push(cell);
        }
        if (slot === 0) isDirty[cell] = 1;
      }
    }
    for (let i = 0; i < cells.length; i++) localOf[cells[i]!] = firstCell + i;
    for (let i = 0; i < floatCells.length; i++) localOf[floatCells[i]!] = firstCell + cells.length + i;
  }

  protected loadRegisters(): void {
    this.loadCells(this.cells, i64Load);
    this.loadCells(this.floatCells, f64Load);
  }

  /** Those that may have changed. */
  protected storeRegisters(): void {
    this.storeCells(this.cells, i64Store);
    this.storeCells(this.floatCells, f64Store);
  }

  private loadCells(cells: readonly number[], load: number): void {
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i]!;
      this.vcpu();
      this.memory(load, cell * 8);
      this.set(this.localOf[cell] as Local);
    }
  }

  private storeCells(cells: readonly number[], store: number): void {
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i]!;
      if (this.isDirty[cell] === 0) continue;
      this.vcpu();
      this.get(this.localOf[cell] as Local);
      this.memory(store, cell * 8);
    }
  }

  protected getRegister(offset: number): void {
    if (offset === this.parts.zero) {
      this.i64(0);
      return;
    }
    this.get(this.localOf[offset >>> 3] as Local);
    if (this.isFloat[offset >>> 3] === 1) this.out.u8(bitsOfFloat);
  }

  protected getFloat(offset: number): void {
    if (this.isFloat[offset >>> 3] === 1) {
      this.get(this.localOf[offset >>> 3] as Local);
      return;
    }
    this.getRegister(offset);
    this.out.u8(floatOfBits);
  }

  /** Pops bits (0) or a float (1). */
  protected setRegister(offset: number, valueIsFloat: 0 | 1): void {
    if (offset === this.parts.sink) {
      this.out.u8(control.drop);
      return;
    }
    if (valueIsFloat !== this.isFloat[offset >>> 3]) this.out.u8(valueIsFloat === 1 ? bitsOfFloat : floatOfBits);
    this.set(this.localOf[offset >>> 3] as Local);
  }
}
