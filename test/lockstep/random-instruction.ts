// Random encodings of the instructions that a CPU has: all bits that its table leaves open are random, but for registers
// that a block needs.
import type { CompressedForm, DecodedOperands } from "../../src/target/riscv/encoding.ts";
import type { LockstepCpu } from "./cpu.ts";
import { unmadeInstructions } from "./exceptions.ts";
import { classify, type InstructionClass } from "./instruction-classes.ts";
import type { Random } from "./random.ts";

export interface RegisterUse {
  /** Hold addresses; nothing writes them. */
  readonly bases: readonly number[];
  /** Those of them whose addresses are aligned to sixteen bytes. */
  readonly aligned: readonly number[];
  /** Not written either. */
  readonly counter: number | undefined;
  /** Of those aligned, one whose address is backed by memory and aligned to a cache block. */
  readonly block: number;
  /** The block may go on in a lower mode. */
  readonly mayFall: boolean;
  /** Bytes of the block's load-reserved and store-conditionals. */
  readonly reservation: 4 | 8;
  /** Loads and stores at once may be made. */
  readonly hasAmos: boolean;
  /** Cache blocks may be managed: the address surely has memory, and PMP says the same of all of a block. */
  readonly hasCacheBlocks: boolean;
  /** mstatus.FS begins as Initial or Clean. */
  readonly isFloatClean: boolean;
}

interface Field {
  readonly shift: number;
  readonly bits: number;
}
const RD: Field = { shift: 7, bits: 5 };
const RS1: Field = { shift: 15, bits: 5 };
const RM: Field = { shift: 12, bits: 3 };
const IMM_I: Field = { shift: 20, bits: 12 };

const TRIES = 20;

interface CompressedClass {
  readonly form: CompressedForm;
  readonly of: InstructionClass;
}

export class RandomInstructions {
  readonly classes: readonly InstructionClass[];
  readonly #random: Random;
  readonly #cpu: LockstepCpu;
  readonly #compressed: readonly CompressedClass[];
  readonly #plain: readonly InstructionClass[];
  readonly #plainOfClean: readonly InstructionClass[];
  readonly #memory: readonly InstructionClass[];
  readonly #branches: readonly InstructionClass[];

  constructor(cpu: LockstepCpu, random: Random) {
    this.#cpu = cpu;
    this.#random = random;
    const isMade = (name: string): boolean => !unmadeInstructions.some((each) => each.names.test(name));
    this.classes = cpu.instructions.filter(({ name }) => isMade(name)).map(classify);
    const byName = new Map(this.classes.map((c) => [c.instruction.name, c]));
    this.#compressed = cpu.forms.flatMap((form) => {
      const of = byName.get(form.expandsTo);
      return of === undefined ? [] : [{ form, of }];
    });
    this.#plain = this.classes.filter((c) => c.kind === "plain");
    this.#plainOfClean = this.#plain.filter((c) => !readsFloats(c));
    this.#memory = this.classes.filter((c) => c.kind === "memory");
    this.#branches = this.classes.filter((c) => c.kind === "branch");
  }

  get hasCompressed(): boolean {
    return this.#compressed.length > 0;
  }

  plain(use: RegisterUse): number {
    return this.#word(this.#random.pick(use.isFloatClean ? this.#plainOfClean : this.#plain), use);
  }

  memory(use: RegisterUse): number {
    const random = this.#random;
    const chosen = random.pick(this.#memory);
    const isUnfit =
      (isReserving(chosen) && chosen.width !== use.reservation) ||
      (isAmo(chosen) && !use.hasAmos) ||
      (chosen.helper === "cacheBlock" && !use.hasCacheBlocks);
    if (isUnfit) return this.memory(use);
    let word = this.#word(chosen, use);
    if (this.#isFree(chosen, RS1)) word = put(word, RS1, random.pick(basesOf(chosen, use)));
    if (chosen.instruction.operands.imm === "i" && random.chance(60)) word &= ~(((chosen.width ?? 1) - 1) << 20);
    if (chosen.instruction.operands.imm === "s" && random.chance(60)) word &= ~(((chosen.width ?? 1) - 1) << 7);
    return word | 0;
  }

  /** Without its offset. */
  branch(use: RegisterUse): { readonly word: number; readonly kind: "b" | "j" } {
    const chosen = this.#random.pick(this.#branches);
    return { word: this.#word(chosen, use), kind: chosen.instruction.operands.imm === "j" ? "j" : "b" };
  }

  /** A system instruction of a kind, by what it asks of its hart. */
  system(helper: string, use: RegisterUse): number | undefined {
    const some = this.classes.filter((c) => c.helper === helper);
    return some.length === 0 ? undefined : this.#word(this.#random.pick(some), use);
  }

  /** Two compressed instructions that change registers or access memory. */
  pair(use: RegisterUse): number {
    return ((this.#half(use) << 16) | this.#half(use)) >>> 0;
  }

  /** A compressed branch or jump in the lower half, without its offset. */
  compressedBranch(use: RegisterUse): { readonly word: number; readonly form: string } | undefined {
    const some = this.#compressed.filter(({ of }) => of.kind === "branch");
    if (some.length === 0) return undefined;
    const { form } = this.#random.pick(some);
    const half = this.#open(form);
    return this.#keeps(form.expand(half), use) ? { word: (1 << 16) | half, form: form.name } : undefined;
  }

  /** Bits that are no instruction, or a plain one that is not in the table's own form; undefined when none was found. */
  odd(use: RegisterUse): number | undefined {
    const random = this.#random;
    for (let i = 0; i < TRIES; i++) {
      const near = this.#word(random.pick(this.classes), use) ^ (1 << random.below(32)) ^ (1 << random.below(32));
      const word = random.chance(50) ? near : random.bits32();
      const { instruction, lengthBytes, ...operands } = this.#cpu.decoder.decode(word);
      const isIllegal = instruction.name === "illegal";
      const pool = use.isFloatClean ? this.#plainOfClean : this.#plain;
      const isHarmless = isIllegal || pool.some((c) => c.instruction === instruction);
      if (!isHarmless || (!isIllegal && !this.#keeps(operands, use))) continue;
      if (lengthBytes === 4) return word;
      // A half that is not an instruction says nothing about the other.
      return ((this.hasCompressed ? 1 << 16 : 0) | (word & 0xffff)) >>> 0;
    }
    return undefined;
  }

  /** A register that may be written. */
  destination(use: RegisterUse): number {
    for (;;) {
      const n = this.#random.below(32);
      if (n !== use.counter && !use.bases.includes(n)) return n;
    }
  }

  #otherThanZero(use: RegisterUse): number {
    for (;;) {
      const n = this.destination(use);
      if (n !== 0) return n;
    }
  }

  #word(chosen: InstructionClass, use: RegisterUse): number {
    const { instruction } = chosen;
    const random = this.#random;
    let word = instruction.match | (random.bits32() & ~instruction.mask);
    const isRaw = instruction.operands.imm === "raw";
    if ((instruction.operands.dst === "x" || isRaw) && this.#isFree(chosen, RD)) {
      word = put(word, RD, instruction.operands.src3 === "rd" ? this.#otherThanZero(use) : this.destination(use));
    }
    if (isRaw && chosen.kind === "memory" && !this.#isFree(chosen, RD) && (instruction.mask & 0xf00) === 0) {
      // A pair: its first register is even. There are more such pairs than a block needs registers.
      const even = [4, 6, 8, 10, 12, 14, 28, 30].filter(
        (n) => this.#isWritable(n, use) && this.#isWritable(n + 1, use),
      );
      word = put(word, RD, random.pick(even));
    }
    if (instruction.operands.imm === "fp" && this.#isFree(chosen, RM)) {
      word = put(
        word,
        RM,
        random.weighted([
          [10, 7],
          [4, 0],
          [1, 1],
          [1, 2],
          [1, 3],
          [1, 4],
          [1, random.pick([5, 6])],
        ]),
      );
    }
    return word | 0;
  }

  #isWritable(n: number, use: RegisterUse): boolean {
    return n !== use.counter && !use.bases.includes(n);
  }

  #isFree({ instruction }: InstructionClass, field: Field): boolean {
    return (instruction.mask & (((1 << field.bits) - 1) << field.shift)) === 0;
  }

  #open(form: CompressedForm): number {
    return form.match | (this.#random.bits32() & 0xffff & ~form.mask);
  }

  #half(use: RegisterUse): number {
    const random = this.#random;
    for (let i = 0; i < TRIES; i++) {
      const { form, of } = random.pick(this.#compressed);
      if (of.kind !== "plain" && of.kind !== "memory") continue;
      const half = this.#open(form);
      // Some encodings of a form are another one, or none.
      const { instruction, ...operands } = this.#cpu.decoder.decode(half);
      if (instruction !== of.instruction || !this.#keeps(operands, use)) continue;
      if (of.kind === "memory" && !use.bases.includes(operands.rs1 ?? 0)) continue;
      return half;
    }
    return 1;
  }

  /** The registers that the block needs stay as they are. */
  #keeps(operands: Partial<DecodedOperands>, use: RegisterUse): boolean {
    const rd = operands.rd ?? 0;
    return rd === 0 || this.#isWritable(rd, use);
  }
}

/** Registers that an instruction's address may be in. */
function basesOf(chosen: InstructionClass, use: RegisterUse): readonly number[] {
  if (chosen.helper === "cacheBlock") return [use.block];
  return isAmo(chosen) || chosen.instruction.name.startsWith("sc.") ? use.aligned : use.bases;
}

const isReserving = ({ instruction }: InstructionClass): boolean => /^(lr|sc)\./.test(instruction.name);
const isAmo = (chosen: InstructionClass): boolean =>
  chosen.aligned === true && chosen.helper !== "cacheBlock" && !isReserving(chosen);

/** May raise flags of fcsr without a write of an f register. */
const readsFloats = ({ instruction: { operands } }: InstructionClass): boolean =>
  operands.dst === "x" && operands.src1 === "f";

export function put(word: number, { shift, bits }: Field, value: number): number {
  const mask = ((1 << bits) - 1) << shift;
  return (word & ~mask) | ((value << shift) & mask);
}

export const csrField: Field = IMM_I;
export const rdField: Field = RD;
