// A module: imports, functions, exports, branch hints (core specification 2.0, §5.5).
import { assert } from "../base/index.ts";
import { ByteWriter } from "./byte-writer.ts";
import { FunctionBuilder, type FunctionIndex, type FunctionType, type TypeIndex } from "./function-builder.ts";
import { valueTypeCode } from "./opcodes.ts";

const section = { custom: 0, type: 1, import: 2, function: 3, export: 7, code: 10 } as const;
const sharedMemory = 0x03;
const unsharedMemory = 0x01;
const funcref = 0x70;
const limited = 0x01;

export interface ImportedMemory {
  readonly module: string;
  readonly name: string;
  readonly minimumPages: number;
  readonly maximumPages: number;
  readonly shared: boolean;
}

export interface ImportedTable {
  readonly module: string;
  readonly name: string;
  /** Exactly so many entries. */
  readonly length: number;
}

export class ModuleBuilder {
  private readonly types: FunctionType[] = [];
  private readonly typeIndexes = new Map<string, TypeIndex>();
  private readonly imports: { module: string; name: string; type: number }[] = [];
  private readonly functions: { type: number; builder: FunctionBuilder }[] = [];
  private readonly exports: { name: string; index: number }[] = [];
  private memory: ImportedMemory | undefined;
  private table: ImportedTable | undefined;

  importMemory(memory: ImportedMemory): void {
    this.memory = memory;
  }

  /** Table 0, of functions. */
  importTable(table: ImportedTable): void {
    this.table = table;
  }

  /** All imports come before the first `define`. */
  importFunction(module: string, name: string, type: FunctionType): FunctionIndex {
    assert(this.functions.length === 0, "imports precede definitions", name);
    this.imports.push({ module, name, type: this.type(type) });
    return (this.imports.length - 1) as FunctionIndex;
  }

  define(type: FunctionType, exportName?: string): { builder: FunctionBuilder; index: FunctionIndex } {
    const builder = new FunctionBuilder(type);
    const index = this.imports.length + this.functions.length;
    this.functions.push({ type: this.type(type), builder });
    if (exportName !== undefined) this.exports.push({ name: exportName, index });
    return { builder, index: index as FunctionIndex };
  }

  /** Index of a function type, made on first use. */
  type(type: FunctionType): TypeIndex {
    const key = `${type.params.join()}>${type.results.join()}`;
    let index = this.typeIndexes.get(key);
    if (index === undefined) {
      index = (this.types.push(type) - 1) as TypeIndex;
      this.typeIndexes.set(key, index);
    }
    return index;
  }

  encode(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter(4096);
    out.raw(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    this.section(out, section.type, (w) => {
      w.u32(this.types.length);
      for (const type of this.types) {
        w.u8(0x60);
        w.u32(type.params.length);
        for (const param of type.params) w.u8(valueTypeCode[param]);
        w.u32(type.results.length);
        for (const result of type.results) w.u8(valueTypeCode[result]);
      }
    });
    this.section(out, section.import, (w) => this.writeImports(w));
    this.section(out, section.function, (w) => {
      w.u32(this.functions.length);
      for (const f of this.functions) w.u32(f.type);
    });
    this.section(out, section.export, (w) => {
      w.u32(this.exports.length);
      for (const e of this.exports) {
        writeName(w, e.name);
        w.u8(0x00);
        w.u32(e.index);
      }
    });
    const bodies = this.functions.map((f) => f.builder.finish());
    this.writeHints(out, bodies);
    this.section(out, section.code, (w) => {
      w.u32(bodies.length);
      for (const body of bodies) {
        w.u32(body.code.length);
        w.raw(body.code);
      }
    });
    return out.written().slice();
  }

  private writeImports(w: ByteWriter): void {
    const others = (this.memory === undefined ? 0 : 1) + (this.table === undefined ? 0 : 1);
    w.u32(this.imports.length + others);
    for (const entry of this.imports) {
      writeName(w, entry.module);
      writeName(w, entry.name);
      w.u8(0x00);
      w.u32(entry.type);
    }
    if (this.memory !== undefined) {
      writeName(w, this.memory.module);
      writeName(w, this.memory.name);
      w.u8(0x02);
      w.u8(this.memory.shared ? sharedMemory : unsharedMemory);
      w.u32(this.memory.minimumPages);
      w.u32(this.memory.maximumPages);
    }
    if (this.table !== undefined) {
      writeName(w, this.table.module);
      writeName(w, this.table.name);
      w.u8(0x01);
      w.u8(funcref);
      w.u8(limited);
      w.u32(this.table.length);
      w.u32(this.table.length);
    }
  }

  /** Branch hinting proposal: per function the offsets, counted from the start of its locals, and 0 or 1. */
  private writeHints(out: ByteWriter, bodies: readonly { headerBytes: number }[]): void {
    const hinted = this.functions.map((f, i) => ({ i, hints: f.builder.hints })).filter((f) => f.hints.length > 0);
    if (hinted.length === 0) return;
    this.section(out, section.custom, (w) => {
      writeName(w, "metadata.code.branch_hint");
      w.u32(hinted.length);
      for (const { i, hints } of hinted) {
        w.u32(this.imports.length + i);
        w.u32(hints.length);
        for (const hint of hints) {
          w.u32(bodies[i]!.headerBytes + hint.offset);
          w.u32(1);
          w.u8(hint.taken ? 1 : 0);
        }
      }
    });
  }

  private section(out: ByteWriter, id: number, fill: (w: ByteWriter) => void): void {
    const w = new ByteWriter(1024);
    fill(w);
    out.u8(id);
    out.u32(w.length);
    out.raw(w.written());
  }
}

function writeName(w: ByteWriter, name: string): void {
  const bytes = new TextEncoder().encode(name);
  w.u32(bytes.length);
  w.raw(bytes);
}
