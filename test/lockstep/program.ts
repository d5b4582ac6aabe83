// A random program as data: concrete enough to be kept as a test, loose enough to leave parts of it out.
import { assert } from "../../src/base/index.ts";

/** Where an item speaks of a later one: `skip` items on, or of the block's end when there are not so many. */
export interface Reference {
  /** The word that is completed. */
  readonly at: number;
  /**
   * `b` and `j`: a branch or jump to it. `c`: the same in the lower half, by the compressed form's name. `add`: the immediate of
   * an addition gets the distance from the item's start, less `less`. `patch`: the same, but where it is no item
   * of one word, it is this one's last word.
   */
  readonly kind: "b" | "j" | "c" | "add" | "patch";
  readonly skip: number;
  readonly form?: string;
  readonly less?: number;
}

/** Instructions that stay together. Every four bytes are a slot that can be entered by itself. */
export interface Item {
  readonly words: readonly number[];
  readonly reference?: Reference;
}

export type Mode = "U" | "S" | "M";

export interface Block {
  readonly mode: Mode;
  /** Number of the world that lower modes see; without one their addresses are physical. */
  readonly world?: number;
  /** Its slots begin so many bytes behind a multiple of four. */
  readonly phase: 0 | 2;
  readonly mstatus: bigint;
  readonly vectored: boolean;
  /** Written before it begins, by number, in this order. */
  readonly csrs: readonly (readonly [number, bigint])[];
  /** Registers that begin with these values: x by number, f from 32 on. All others go on with what they have. */
  readonly registers: readonly (readonly [number, bigint])[];
  readonly items: readonly Item[];
  /** Repeats while this register, counted down, is positive. */
  readonly counter?: number;
}

/** Page tables, and where lower modes find things under them. */
export interface World {
  readonly satp: bigint;
  readonly userCode: bigint;
  readonly supervisorCode: bigint;
  readonly supervisorTraps: bigint;
}

export interface Program {
  readonly cpu: string;
  /** What data begins with. */
  readonly fill: bigint;
  readonly worlds: readonly World[];
  /** Words of page tables by physical address. */
  readonly tables: readonly (readonly [number, bigint])[];
  readonly blocks: readonly Block[];
}

export function programText(program: Program): string {
  const hex = (_: string, value: unknown): unknown => (typeof value === "bigint" ? `0x${value.toString(16)}` : value);
  return JSON.stringify(program, hex);
}

export function parseProgram(text: string): Program {
  const isBig = (value: unknown): value is string => typeof value === "string" && value.startsWith("0x");
  const program = JSON.parse(text, (_, value: unknown) => (isBig(value) ? BigInt(value) : value)) as Program;
  assert(Array.isArray(program.blocks), "a kept program has blocks");
  return program;
}
