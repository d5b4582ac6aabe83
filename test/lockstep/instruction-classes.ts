// What an instruction does to memory, control and privilege, as far as random programs must mind: read off its semantics.
import { Code, type Stmt, type Width } from "../../src/accel/ir.ts";
import type { Instruction } from "../../src/target/riscv/encoding.ts";

export interface InstructionClass {
  readonly instruction: Instruction;
  /**
   * `plain` changes registers only; `memory` accesses where rs1 says; `branch` is relative and `jump` is not; all else is named
   * by what it asks of its hart.
   */
  readonly kind: "plain" | "memory" | "branch" | "jump" | "system";
  readonly helper?: string;
  /** Bytes of an access. */
  readonly width?: Width;
  /** The address must be naturally aligned. */
  readonly aligned?: boolean;
}

/** Helpers that are not more than a part of a computation. */
const harmless = /^fp/;
/** Helpers whose instruction accesses memory at rs1. */
const accessing = /^(cacheBlock|compareAndSwapPair)$/;

export function classify(instruction: Instruction): InstructionClass {
  const code = new Code();
  instruction.semantics(code);
  const statements = flat(code.statements);
  const find = <K extends Stmt["kind"]>(kind: K): Extract<Stmt, { kind: K }> | undefined =>
    statements.find((s): s is Extract<Stmt, { kind: K }> => s.kind === kind);
  const translate = find("translate");
  const store = find("store");
  if (translate !== undefined || store !== undefined) {
    const aligned = translate !== undefined && translate.access !== "load";
    return { instruction, kind: "memory", width: translate?.width ?? store!.width, aligned };
  }
  if (find("branch") !== undefined) return { instruction, kind: "branch" };
  if (find("jump") !== undefined) return { instruction, kind: "jump" };
  const helper = statements.find((s) => s.kind === "helper" && !harmless.test(s.name));
  if (helper?.kind !== "helper") return { instruction, kind: "plain" };
  if (accessing.test(helper.name)) return { instruction, kind: "memory", helper: helper.name, width: 8, aligned: true };
  return { instruction, kind: "system", helper: helper.name };
}

function flat(statements: readonly Stmt[]): Stmt[] {
  return statements.flatMap((s) => (s.kind === "if" ? [s, ...flat(s.then), ...flat(s.otherwise)] : [s]));
}
