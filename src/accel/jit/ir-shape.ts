// What can be told of an instruction from its IR alone: which fields it caches, what it accesses, where it asks a helper.
import { assert } from "../../base/index.ts";
import type { Expr, InstructionSemantics, Stmt } from "../ir.ts";
import { cachedFieldLimit } from "./region-locals.ts";

/** Fields that IR reads and never sets, and nothing but helpers changes. */
export function cachedFields(instructions: readonly InstructionSemantics[]): readonly string[] {
  const read = new Set<string>();
  const set = new Set<string>();
  const visitExpr = (expr: Expr): void => {
    if (expr.kind === "field" && expr.live !== true) read.add(expr.field);
    else if (expr.kind === "op" || expr.kind === "call") expr.args.forEach(visitExpr);
    else if (expr.kind === "select") [expr.when, expr.then, expr.otherwise].forEach(visitExpr);
  };
  const visit = (stmt: Stmt): void => {
    if (stmt.kind === "setField") set.add(stmt.field);
    expressionsOf(stmt).forEach(visitExpr);
    if (stmt.kind === "if") [...stmt.then, ...stmt.otherwise].forEach(visit);
  };
  for (const { code } of instructions) code.forEach(visit);
  const found = [...read].filter((name) => !set.has(name));
  assert(found.length <= cachedFieldLimit, "there are locals for fields that only helpers change", found.join());
  return found;
}

function expressionsOf(stmt: Stmt): readonly Expr[] {
  switch (stmt.kind) {
    case "set":
    case "setReg":
    case "setField":
    case "hostStore":
      return [stmt.value];
    case "translate":
    case "findBlock":
      return [stmt.address];
    case "store":
      return [stmt.address, stmt.value];
    case "if":
      return [stmt.when];
    case "branch":
      return stmt.when === undefined ? [] : [stmt.when];
    case "jump":
      return [stmt.target];
    case "helper":
      return [stmt.arg];
  }
}

/** Its one access, when it is a load or store at its first operand plus its immediate: how many bytes. */
export function accessOf(code: readonly Stmt[]): {
  readonly access: "load" | "store" | undefined;
  readonly widthBytes: number;
} {
  const accesses = code.filter((stmt) => stmt.kind === "translate" || stmt.kind === "store");
  const [only] = accesses;
  const none = { access: undefined, widthBytes: 0 };
  if (only === undefined || accesses.length > 1 || !isBaseAndImmediate(only.address)) return none;
  if (only.kind === "store") return { access: "store", widthBytes: only.width };
  return only.access === "load" ? { access: "load", widthBytes: only.width } : none;
}

const isBaseAndImmediate = (expr: Expr): boolean =>
  expr.kind === "op" &&
  expr.op === "i64.add" &&
  expr.args[0]?.kind === "reg" &&
  expr.args[0].slot === "src1" &&
  expr.args[1]?.kind === "imm";

/** It does nothing but add to its first operand: its immediate or its second operand. */
export function sumOf(code: readonly Stmt[]): "immediate" | "register" | undefined {
  const [only] = code;
  if (code.length !== 1 || only?.kind !== "setReg" || only.value.kind !== "op" || only.value.op !== "i64.add") return;
  if (isBaseAndImmediate(only.value)) return "immediate";
  const [a, b] = only.value.args;
  return a?.kind === "reg" && a.slot === "src1" && b?.kind === "reg" && b.slot === "src2" ? "register" : undefined;
}

/** Statements of this list itself call a helper. */
export const callsHelper = (code: readonly Stmt[]): boolean => code.some(({ kind }) => kind === "helper");
const isBranch = (stmt: Stmt): boolean => stmt.kind === "branch" || stmt.kind === "jump";
const armsOf = (stmt: Stmt): readonly (readonly Stmt[])[] => (stmt.kind === "if" ? [stmt.then, stmt.otherwise] : []);
/** Somewhere inside it a helper is called. */
const asksHelper = (stmt: Stmt): boolean => armsOf(stmt).some((arm) => callsHelper(arm) || arm.some(asksHelper));

/** True when the instruction always calls a helper, or leaves the straight path anywhere but at its end. */
export function isForInterpreter(code: readonly Stmt[]): boolean {
  return code.some((stmt, i) => {
    if (stmt.kind === "helper" || (isBranch(stmt) && i !== code.length - 1)) return true;
    return armsOf(stmt).some((arm) => arm.some(branchesDeeper) || (!callsHelper(arm) && asksAfterEffect(arm)));
  });
}

const branchesDeeper = (stmt: Stmt): boolean => isBranch(stmt) || armsOf(stmt).some((arm) => arm.some(branchesDeeper));

/** True when a helper would be called where something has happened already. */
function asksAfterEffect(code: readonly Stmt[]): boolean {
  let effects = false;
  return code.some((stmt) => {
    if (asksHelper(stmt) && (effects || armsOf(stmt).some((arm) => !callsHelper(arm) && asksAfterEffect(arm))))
      return true;
    effects ||= hasEffect(stmt);
    return false;
  });
}

/**
 * The interpreter takes over from the beginning of an instruction, so nothing may have happened by then: an `if` with a
 * helper behind such an effect is tested first, which is the same where its condition is made of cached fields alone;
 * otherwise (`kept` is empty) the whole instruction is the interpreter's.
 */
export function hoistHelpers(code: readonly Stmt[]): { hoisted: Expr<"i32">[]; kept: readonly Stmt[] } {
  const hoisted: Expr<"i32">[] = [];
  const kept: Stmt[] = [];
  let effects = false;
  for (const stmt of code) {
    if (effects && stmt.kind === "if" && asksHelper(stmt)) {
      const isPlain = callsHelper(stmt.then) && stmt.otherwise.length === 0 && isPure(stmt.when);
      if (!isPlain) return { hoisted: [], kept: [] };
      hoisted.push(stmt.when);
      continue;
    }
    if (effects && missesToInterpreter(stmt)) return { hoisted: [], kept: [] };
    effects ||= hasEffect(stmt);
    kept.push(stmt);
  }
  return { hoisted, kept };
}

const isPure = (expr: Expr): boolean =>
  expr.kind === "const" ||
  expr.kind === "imm" ||
  (expr.kind === "field" && expr.live !== true) ||
  (expr.kind === "op" && expr.args.every(isPure));

const missesToInterpreter = (stmt: Stmt): boolean =>
  (stmt.kind === "translate" && stmt.access !== "load") || armsOf(stmt).some((arm) => arm.some(missesToInterpreter));

/** The arm of an `if` that calls a helper is left before it has done anything. */
const hasEffect = (stmt: Stmt): boolean =>
  stmt.kind === "if"
    ? armsOf(stmt).some((arm) => !callsHelper(arm) && arm.some(hasEffect))
    : stmt.kind !== "set" && stmt.kind !== "findBlock";
