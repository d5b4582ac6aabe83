// hot: bench/boot.ts
// A module of several regions: they are collected one by one, then encoded at once, which costs an engine far less than a
// module for each.
import { ByteWriter, valueTypeCode, type FunctionType } from "../../wasm/index.ts";
import { regionType } from "../region-entry.ts";
import type { RegionEmitter } from "./region-emitter.ts";
import type { RegionImport } from "./slow-paths.ts";

const section = { custom: 0, type: 1, import: 2, function: 3, export: 7, code: 10 } as const;

export class RegionModule {
  regionCount = 0;
  /** The functions' bodies, each behind its length. */
  private readonly bodies: ByteWriter = new ByteWriter(1 << 17);
  /** The entries of the branch hint section. */
  private readonly hints: ByteWriter = new ByteWriter(1 << 14);
  private hintedCount = 0;
  private readonly head: Uint8Array;
  private readonly importCount: number;
  private readonly out: ByteWriter = new ByteWriter(1 << 17);
  private readonly part: ByteWriter = new ByteWriter(1 << 14);

  constructor(imports: readonly RegionImport[], memory: { readonly pages: number; readonly shared: boolean }) {
    this.importCount = imports.length;
    this.head = encodeHead(imports, memory);
  }

  get lengthBytes(): number {
    return this.bodies.length;
  }

  add({ out, hints }: RegionEmitter): void {
    const index = this.importCount + this.regionCount++;
    this.bodies.u32(out.length);
    this.bodies.raw(out.written());
    if (hints.length === 0) return;
    this.hintedCount++;
    this.hints.u32(index);
    this.hints.u32(hints.length / 2);
    for (let i = 0; i < hints.length; i += 2) {
      this.hints.u32(hints[i]!);
      this.hints.u32(1);
      this.hints.u8(hints[i + 1]!);
    }
  }

  /** The module's bytes; its regions are exported by their number. Valid until the next call; empties this. */
  finish(): Uint8Array<ArrayBuffer> {
    const { out, part, regionCount } = this;
    out.length = 0;
    out.raw(this.head);
    part.length = 0;
    part.u32(regionCount);
    for (let i = 0; i < regionCount; i++) part.u32(0);
    this.section(section.function);
    part.length = 0;
    part.u32(regionCount);
    for (let i = 0; i < regionCount; i++) {
      writeName(part, String(i));
      part.u8(0);
      part.u32(this.importCount + i);
    }
    this.section(section.export);
    if (this.hintedCount > 0) {
      part.length = 0;
      writeName(part, "metadata.code.branch_hint");
      part.u32(this.hintedCount);
      part.raw(this.hints.written());
      this.section(section.custom);
    }
    part.length = 0;
    part.u32(regionCount);
    out.u8(section.code);
    out.u32(part.length + this.bodies.length);
    out.raw(part.written());
    out.raw(this.bodies.written());
    this.bodies.length = 0;
    this.hints.length = 0;
    this.hintedCount = 0;
    this.regionCount = 0;
    return out.written();
  }

  private section(id: number): void {
    this.out.u8(id);
    this.out.u32(this.part.length);
    this.out.raw(this.part.written());
  }
}

/** Everything before the functions: types (that of regions first) and imports. */
function encodeHead(
  imports: readonly RegionImport[],
  memory: { readonly pages: number; readonly shared: boolean },
): Uint8Array {
  const out = new ByteWriter();
  out.raw(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
  const types: FunctionType[] = [regionType, ...imports.map(({ type }) => type)];
  const part = new ByteWriter();
  part.u32(types.length);
  for (const { params, results } of types) {
    part.u8(0x60);
    part.u32(params.length);
    for (const param of params) part.u8(valueTypeCode[param]);
    part.u32(results.length);
    for (const result of results) part.u8(valueTypeCode[result]);
  }
  out.u8(section.type);
  out.u32(part.length);
  out.raw(part.written());
  part.length = 0;
  part.u32(imports.length + 1);
  imports.forEach(({ name }, i) => {
    writeName(part, "slow");
    writeName(part, name);
    part.u8(0);
    part.u32(1 + i);
  });
  writeName(part, "env");
  writeName(part, "memory");
  part.u8(2);
  part.u8(memory.shared ? 3 : 1);
  part.u32(memory.pages);
  part.u32(memory.pages);
  out.u8(section.import);
  out.u32(part.length);
  out.raw(part.written());
  return out.written().slice();
}

/** ASCII. */
function writeName(w: ByteWriter, name: string): void {
  w.u32(name.length);
  for (let i = 0; i < name.length; i++) w.u8(name.charCodeAt(i));
}
