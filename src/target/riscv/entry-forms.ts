// hot: bench/boot.ts
// What an encoding becomes in a decoded entry, whatever its place. Code repeats itself, so forms are kept for encodings that
// were met lately.
import type { Handlers, HandlerTable } from "../../accel/index.ts";
import type { Decoded, Decoder } from "./decoder.ts";
import type { Instruction } from "./encoding.ts";
import { illegal, instructions, stop } from "./instruction-set.ts";
import { fOffset, xDestination, xOffset } from "./state.ts";

export interface EntryForm {
  /** The encoding, of 16 or 32 bits. */
  readonly word: number;
  readonly lengthBytes: 2 | 4;
  readonly handlers: Handlers;
  readonly dst: number;
  readonly src1: number;
  readonly src2: number;
  readonly src3: number;
  readonly imm: number;
  /** Its immediate is the distance of a branch. */
  readonly isRelative: boolean;
  /** What follows it in memory is perhaps never executed. */
  readonly endsRun: boolean;
}

/** A power of two. */
const formCount = 4096;

export class EntryForms {
  private readonly decoder: Decoder;
  private readonly wide: ReadonlyMap<Instruction, Handlers>;
  private readonly short: ReadonlyMap<Instruction, Handlers>;
  private readonly recent: EntryForm[];

  constructor(decoder: Decoder, handlers: HandlerTable) {
    this.decoder = decoder;
    const known = [...instructions, illegal, stop];
    this.wide = new Map(known.map((instruction) => [instruction, handlers.lookup(instruction.name, 4)]));
    const short = known.filter(({ name }) => handlers.has(name, 2));
    this.short = new Map(short.map((instruction) => [instruction, handlers.lookup(instruction.name, 2)]));
    this.recent = new Array<EntryForm>(formCount).fill(this.make(0));
  }

  /** The handler of the instruction that leaves generated code. */
  get stopHandler(): number {
    return this.wide.get(stop)!.far;
  }

  /** For a 16-bit encoding the upper half of `word` is zero. */
  of(word: number): EntryForm {
    const place = (word ^ (word >>> 11) ^ (word >>> 20)) & (formCount - 1);
    const recent = this.recent[place]!;
    return recent.word === word ? recent : (this.recent[place] = this.make(word));
  }

  private make(word: number): EntryForm {
    const decoded: Decoded = this.decoder.decode(word);
    const { instruction, lengthBytes, imm } = decoded;
    const { operands } = instruction;
    const handlers = (lengthBytes === 4 ? this.wide : this.short).get(instruction)!;
    return {
      word,
      lengthBytes,
      handlers,
      dst: operands.dst === "f" ? fOffset(decoded.rd) : xDestination(decoded.rd),
      src1: operands.src1 === "f" ? fOffset(decoded.rs1) : xOffset(decoded.rs1),
      src2: operands.src2 === "f" ? fOffset(decoded.rs2) : xOffset(decoded.rs2),
      src3: operands.src3 === "f" ? fOffset(decoded.rs3) : xOffset(decoded.rs3),
      imm,
      isRelative: operands.imm === "b" || operands.imm === "j",
      endsRun: instruction === illegal || handlers.endsBlock,
    };
  }
}
