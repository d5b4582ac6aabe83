// How the interpreter gets into regions: the last free half of a decoded entry counts jumps to it, or, once a region can be
// entered there (`Handler.region`), numbers a record that says how.
//
// record: function (i32, index in the table, -1: none) · label (u16) · handler that it replaced (u16) · offset (i32) · budget (i32) ·
// how often it followed another region at once (i32) · whether it was entered since it was asked last (i32) · unused (8 bytes)
import type { FunctionType } from "../wasm/index.ts";

/**
 * A jump target that was reached so often is worth a region: half as often costs a boot a sixth more processor time in
 * emitter and optimizer, and saves none. Counts below it and record numbers from it on share a field.
 */
export const hotCount = 8192;
export const recordCount = 0x10000;
export const recordBytes = 32;
/** Offsets in a record. */
export const recordOffset = {
  function: 0,
  label: 4,
  handler: 6,
  /** Of the entry from the region's base: what to subtract from the pc. */
  offset: 8,
  /** What a run must have left to enter: no path to the next check of the budget is longer. */
  budget: 12,
  followed: 16,
  entered: 20,
} as const;
/** Every so often that a region is entered from another one at once, the compiler hears of it: a power of two. */
export const oftenFollowed = 16384;
export const recordsBytes: number = recordCount * recordBytes;

/** Parameters: vCPU's block, label, budget, base. Results: where to go on, and the budget left with an exit on top. */
export const regionType: FunctionType = { params: ["i32", "i32", "i32", "i64"], results: ["i64", "i32"] };

/** How a region was left, in the upper two bits of its second result. */
export const RegionExit = {
  /** On at the first result. */
  goto: 0,
  /** On at the first result, whose instruction is the interpreter's, even where a region begins. */
  interpret: 1,
  /** On at the pc field, after a trap or behind an instruction. */
  again: 2,
  /** The pc field is where to go on later. */
  leave: 3,
} as const;
export const exitShift = 30;
/** The greatest budget that fits below an exit. */
export const mostBudget: number = 2 ** exitShift - 1;

/** The table of all regions' functions. */
export const regionTableLength = 8192;
