// table: Zicbom and Zicboz, cache-block management and zeroing (unprivileged spec §19). The hints of Zicbop are forms of ORI
// with x0 as destination and need nothing here.
import { imm32 } from "../../../accel/index.ts";
import type { Instruction } from "../encoding.ts";
import { CacheBlockOperation } from "../memory-instructions.ts";

function cacheBlock(name: keyof typeof CacheBlockOperation, extension: string): Instruction {
  return {
    name: `cbo.${name}`,
    extensions: [extension],
    match: 0x0000200f | (CacheBlockOperation[name] << 20),
    mask: 0xfff07fff | 0,
    operands: { imm: "raw" },
    assembly: "(rs1)",
    semantics: (c) => c.helper("cacheBlock", imm32),
  };
}

export const zicbo: readonly Instruction[] = [
  cacheBlock("inval", "zicbom"),
  cacheBlock("clean", "zicbom"),
  cacheBlock("flush", "zicbom"),
  cacheBlock("zero", "zicboz"),
];
