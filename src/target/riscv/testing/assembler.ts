// A small assembler with labels for machine code that tests bring along, over the instruction table.
import { assert } from "../../../base/index.ts";
import { csrs } from "../csr/table.ts";
import { assemble, type Operand } from "./assemble.ts";

export const reg = {
  zero: 0,
  ra: 1,
  sp: 2,
  t0: 5,
  t1: 6,
  t2: 7,
  s0: 8,
  s1: 9,
  a0: 10,
  a1: 11,
  a2: 12,
  a3: 13,
  a4: 14,
  a5: 15,
  s2: 18,
  s3: 19,
  s4: 20,
  s5: 21,
  t3: 28,
  t4: 29,
  t5: 30,
  t6: 31,
} as const;

const csrNumbers: ReadonlyMap<string, number> = new Map(csrs.map((csr) => [csr.name, csr.number]));

/** The number of a CSR by its name in the target's table. */
export function csrNamed(name: string): number {
  const number = csrNumbers.get(name);
  assert(number !== undefined, "a CSR of the table is named", name);
  return number;
}

/** Words that put `value` into `rd`, without memory or other registers. */
export function loadImmediate(rd: number, value: bigint): number[] {
  const signed = BigInt.asIntN(64, value);
  if (signed >= -2048n && signed < 2048n) return [assemble("addi", { rd, rs1: 0, imm: Number(signed) })];
  const low = BigInt.asIntN(12, signed);
  const add = (name: "addi" | "addiw"): number[] =>
    low === 0n && name === "addi" ? [] : [assemble(name, { rd, rs1: rd, imm: Number(low) })];
  if (signed === BigInt.asIntN(32, signed)) {
    return [assemble("lui", { rd, imm: Number(BigInt.asIntN(32, signed - low)) }), ...add("addiw")];
  }
  let upper = (signed - low) >> 12n;
  let shift = 12;
  while ((upper & 1n) === 0n) {
    upper >>= 1n;
    shift++;
  }
  return [...loadImmediate(rd, upper), assemble("slli", { rd, rs1: rd, imm: shift }), ...add("addi")];
}

interface Fixup {
  readonly at: number;
  readonly label: string;
  /** The words, by the distance of the label from the first. */
  readonly words: (distance: number) => readonly number[];
}

/** Bytes that a branch or a jump reaches. */
const reach = (name: string): number => (name === "jal" ? 1 << 20 : 1 << 12);

/** `rd` = pc + distance. */
function pcRelative(rd: number, distance: number): number[] {
  const low = (distance << 20) >> 20;
  return [assemble("auipc", { rd, imm: distance - low }), assemble("addi", { rd, rs1: rd, imm: low })];
}

export class Assembler {
  readonly base: number;
  readonly #words: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #fixups: Fixup[] = [];
  #unique = 0;

  constructor(base: number) {
    this.base = base;
  }

  get here(): number {
    return this.base + this.#words.length * 4;
  }

  label(name: string): void {
    assert(!this.#labels.has(name), "a label is placed once", name);
    this.#labels.set(name, this.here);
  }

  /** A label that nothing else is called. */
  fresh(name: string): string {
    return `${name}.${this.#unique++}`;
  }

  word(...words: readonly number[]): void {
    this.#words.push(...words);
  }

  op(name: string, operand: Operand = {}): void {
    this.#words.push(assemble(name, operand));
  }

  /** A branch or `jal` to a label. */
  to(name: string, label: string, operand: Operand = {}): void {
    const words = (distance: number): number[] => {
      assert(Math.abs(distance) < reach(name), "a label is within reach", label);
      return [assemble(name, { ...operand, imm: distance })];
    };
    this.#fixups.push({ at: this.#words.length, label, words });
    this.#words.push(0);
  }

  /** A branch to a label that may be far. */
  far(opposite: string, label: string, operand: Operand): void {
    this.op(opposite, { ...operand, imm: 8 });
    this.jump(label);
  }

  /** The address of a label. */
  labelAddress(rd: number, label: string): void {
    this.#fixups.push({ at: this.#words.length, label, words: (distance) => pcRelative(rd, distance) });
    this.#words.push(0, 0);
  }

  jump(label: string): void {
    this.to("jal", label);
  }

  li(rd: number, value: number | bigint): void {
    this.word(...loadImmediate(rd, BigInt(value)));
  }

  /** An address, relative to the pc. */
  la(rd: number, address: number): void {
    this.word(...pcRelative(rd, address - this.here));
  }

  load(rd: number, base: number, offset: number): void {
    this.op("ld", { rd, rs1: base, imm: offset });
  }

  store(source: number, base: number, offset: number): void {
    this.op("sd", { rs2: source, rs1: base, imm: offset });
  }

  readCsr(rd: number, csr: string | number): void {
    this.op("csrrs", { rd, rs1: 0, csr: typeof csr === "string" ? csrNamed(csr) : csr });
  }

  writeCsr(csr: string | number, source: number): void {
    this.op("csrrw", { rd: 0, rs1: source, csr: typeof csr === "string" ? csrNamed(csr) : csr });
  }

  setCsrBits(csr: string, source: number): void {
    this.op("csrrs", { rd: 0, rs1: source, csr: csrNamed(csr) });
  }

  clearCsrBits(csr: string, source: number): void {
    this.op("csrrc", { rd: 0, rs1: source, csr: csrNamed(csr) });
  }

  addressOf(label: string): number {
    const address = this.#labels.get(label);
    assert(address !== undefined, "a label that is used is placed", label);
    return address;
  }

  finish(): Uint8Array {
    const words = Int32Array.from(this.#words);
    for (const { at, label, words: make } of this.#fixups) {
      words.set(make(this.addressOf(label) - (this.base + at * 4)), at);
    }
    return new Uint8Array(words.buffer);
  }
}
