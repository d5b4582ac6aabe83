import { blob, describeState, field, u32, u64, type DescriptionOf } from "../../../state/index.ts";

export type EduState = {
  liveness: number;
  factorial: number;
  status: number;
  interruptStatus: number;
  source: bigint;
  destination: bigint;
  count: bigint;
  command: bigint;
  /** Nanoseconds until each is done; meaningless while neither is under way. */
  factorialLeftNs: bigint;
  dmaLeftNs: bigint;
  buffer: Uint8Array;
};

export const eduState: DescriptionOf<EduState> = describeState("edu", 1, [
  field("liveness", u32),
  field("factorial", u32),
  field("status", u32),
  field("interruptStatus", u32),
  field("source", u64),
  field("destination", u64),
  field("count", u64),
  field("command", u64),
  field("factorialLeftNs", u64),
  field("dmaLeftNs", u64),
  field("buffer", blob),
]);
