// table: Zicbom and Zicboz, cache-block management and zeroing (unprivileged spec §19). The hints of Zicbop are forms of ORI
// with x0 as destination and need nothing here.
import { field, i32, i64, imm32, type Code } from "../../../accel/index.ts";
import type { Instruction } from "../encoding.ts";
import { CacheBlockOperation } from "../memory-instructions.ts";
import { rs1 } from "../operands.ts";
import { cacheBlockBytes } from "../state.ts";

/** Kernels clear whole pages with it, so what the TLB has is zeroed in generated code. */
function zero(c: Code): void {
  const at = c.findBlock(rs1, cacheBlockBytes);
  c.if(
    i32.and(i32.ne(at, i32.const(0)), field("i32", "zeroing")),
    () => {
      for (let offset = 0; offset < cacheBlockBytes; offset += 8) {
        if (offset > 0) c.set(at, i32.add(at, i32.const(8)));
        c.hostStore(at, 8, i64.const(0));
      }
    },
    () => c.helper("cacheBlock", imm32),
    true,
  );
}

function cacheBlock(
  name: keyof typeof CacheBlockOperation,
  extension: string,
  semantics = (c: Code): void => c.helper("cacheBlock", imm32),
): Instruction {
  return {
    name: `cbo.${name}`,
    extensions: [extension],
    match: 0x0000200f | (CacheBlockOperation[name] << 20),
    mask: 0xfff07fff | 0,
    operands: { src1: "x", imm: "raw" },
    assembly: "(rs1)",
    semantics,
  };
}

export const zicbo: readonly Instruction[] = [
  cacheBlock("inval", "zicbom"),
  cacheBlock("clean", "zicbom"),
  cacheBlock("flush", "zicbom"),
  cacheBlock("zero", "zicboz", zero),
];
