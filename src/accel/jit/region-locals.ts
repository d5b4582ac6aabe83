// The locals of a region's function, the same in every region but for the cells at the end, so that the instructions'
// templates can name them.
import type { AccessLocals } from "../ir-lowering.ts";
import type { IrType } from "../ir.ts";
import type { Local, ValueType } from "../../wasm/index.ts";

const local = (index: number): Local => index as Local;

/** The parameters: see `regionType`. */
export const vcpuLocal: Local = local(0);
export const labelLocal: Local = local(1);
export const budgetLocal: Local = local(2);
export const baseLocal: Local = local(3);
/** Where to go on when the region is left, from its base, and how (`RegionExit`). */
export const exitOffsetLocal: Local = local(4);
export const accessLocals: AccessLocals = {
  address: local(5),
  value: local(6),
  slot: local(7),
  tlbLoad: local(8),
  tlbStore: local(9),
};
export const kindLocal: Local = local(10);

/** Fields that only helpers change are read once, at the entry. */
export const cachedFieldLimit = 3;
const firstField = 11;
export const fieldLocal = (index: number): Local => local(firstField + index);

/** Temporaries of one instruction. */
export const temporaryLimit: Readonly<Record<IrType, number>> = { i32: 8, i64: 12, f32: 8, f64: 10 };
const firstTemporary: Readonly<Record<IrType, number>> = {
  i32: firstField + cachedFieldLimit,
  i64: firstField + cachedFieldLimit + temporaryLimit.i32,
  f32: firstField + cachedFieldLimit + temporaryLimit.i32 + temporaryLimit.i64,
  f64: firstField + cachedFieldLimit + temporaryLimit.i32 + temporaryLimit.i64 + temporaryLimit.f32,
};
export const temporaryLocal = (type: IrType, index: number): Local => local(firstTemporary[type] + index);

/** Host addresses of groups of accesses (i32). */
export const groupLimit = 6;
const firstGroup = firstTemporary.f64 + temporaryLimit.f64;
export const groupLocal = (index: number): Local => local(firstGroup + index);

/** The tag of a TLB entry (i64). */
export const tagLocal: Local = local(firstGroup + groupLimit);

/** The first cell: registers in locals. */
export const firstCell: number = firstGroup + groupLimit + 1;

/** Locals after the parameters up to the cells, as runs of one type. */
export const localRuns: readonly { readonly count: number; readonly type: ValueType }[] = [
  { count: 3, type: "i64" },
  { count: 4 + cachedFieldLimit + temporaryLimit.i32, type: "i32" },
  { count: temporaryLimit.i64, type: "i64" },
  { count: temporaryLimit.f32, type: "f32" },
  { count: temporaryLimit.f64, type: "f64" },
  { count: groupLimit, type: "i32" },
  { count: 1, type: "i64" },
];
