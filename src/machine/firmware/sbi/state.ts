// The built-in SBI's saved state. Everything else that it knows is in the harts.
import { describeState, field, list, u32, u64, type StateDescription, type StateField } from "../../../state/index.ts";

export type SbiState = {
  /** Ids of harts that suspended themselves. */
  suspended: number[];
  /** Supervisor timer deadline of each hart in ticks, for harts without Sstc; all ones when there is none. */
  deadlines: bigint[];
};

export const sbiState: StateDescription<
  readonly [StateField<"suspended", number[]>, StateField<"deadlines", bigint[]>]
> = describeState("sbi", 1, [field("suspended", list(u32)), field("deadlines", list(u64))]);
