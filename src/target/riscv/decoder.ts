// hot: bench/kernels.ts
// Finds the instruction for a word, by tables derived from the instruction table.
import {
  immediate,
  rd,
  rs1,
  rs2,
  rs3,
  type CompressedForm,
  type DecodedOperands,
  type Instruction,
} from "./encoding.ts";
import { enabledForms, enabledInstructions, illegal } from "./instruction-set.ts";

/** The result of the last `decode`; one object, overwritten each time. */
export interface Decoded {
  instruction: Instruction;
  lengthBytes: 2 | 4;
  rd: number;
  rs1: number;
  rs2: number;
  rs3: number;
  imm: number;
}

export class Decoder {
  readonly result: Decoded = { instruction: illegal, lengthBytes: 4, rd: 0, rs1: 0, rs2: 0, rs3: 0, imm: 0 };
  /** Candidates by opcode and funct3 (bits 6:2 and 14:12). */
  private readonly words: (readonly Instruction[])[];
  /** Candidates by quadrant and funct3 (bits 1:0 and 15:13). */
  private readonly halves: (readonly CompressedForm[])[];
  private readonly byName: ReadonlyMap<string, Instruction>;

  constructor(has: (extension: string) => boolean) {
    const enabled = enabledInstructions(has);
    const forms = enabledForms(has);
    this.byName = new Map(enabled.map((i) => [i.name, i]));
    this.words = Array.from({ length: 256 }, (_, key) => {
      const bits = ((key & 31) << 2) | 3 | ((key >>> 5) << 12);
      return enabled.filter((i) => ((bits ^ i.match) & i.mask & 0x707f) === 0);
    });
    this.halves = Array.from({ length: 32 }, (_, key) => {
      const bits = (key & 3) | ((key >>> 2) << 13);
      return forms.filter((f) => ((bits ^ f.match) & f.mask & 0xe003) === 0);
    });
  }

  /** Decodes the instruction at the low end of `word`; for a 16-bit one the upper half is ignored. */
  decode(word: number): Decoded {
    return (word & 3) === 3 ? this.decodeWord(word) : this.decodeHalf(word & 0xffff);
  }

  private decodeWord(word: number): Decoded {
    const result = this.result;
    result.lengthBytes = 4;
    const candidates = this.words[((word >>> 2) & 31) | (((word >>> 12) & 7) << 5)]!;
    for (let i = 0; i < candidates.length; i++) {
      const instruction = candidates[i]!;
      if (((word ^ instruction.match) & instruction.mask) !== 0) continue;
      if (instruction.reserved?.(word) === true) break;
      result.instruction = instruction;
      result.rd = rd(word);
      result.rs1 = rs1(word);
      result.rs2 = rs2(word);
      result.rs3 = instruction.operands.src3 === "rd" ? result.rd : rs3(word);
      result.imm = immediate(instruction.operands.imm, word);
      return result;
    }
    return this.notFound(word);
  }

  private decodeHalf(half: number): Decoded {
    const result = this.result;
    result.lengthBytes = 2;
    const candidates = this.halves[(half & 3) | ((half >>> 13) << 2)]!;
    for (let i = 0; i < candidates.length; i++) {
      const form = candidates[i]!;
      if (((half ^ form.match) & form.mask) !== 0) continue;
      const instruction = this.byName.get(form.expandsTo);
      if (instruction === undefined || form.reserved?.(half) === true) break;
      this.take(instruction, form.expand(half));
      return result;
    }
    return this.notFound(half);
  }

  private take(instruction: Instruction, operands: Partial<DecodedOperands>): void {
    const result = this.result;
    result.instruction = instruction;
    result.rd = operands.rd ?? 0;
    result.rs1 = operands.rs1 ?? 0;
    result.rs2 = operands.rs2 ?? 0;
    result.rs3 = operands.rs3 ?? 0;
    result.imm = operands.imm ?? 0;
  }

  private notFound(word: number): Decoded {
    const result = this.result;
    result.instruction = illegal;
    result.rd = 0;
    result.rs1 = 0;
    result.rs2 = 0;
    result.rs3 = 0;
    result.imm = word;
    return result;
  }
}
