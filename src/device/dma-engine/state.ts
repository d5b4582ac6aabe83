// What the engine keeps besides its local memory and its PCI function, which are saved on their own.
import { field, optional, struct, u32, u64, type StateField } from "../../state/index.ts";

/** The transfer at hand. */
export type Transfer = {
  opcode: number;
  source: bigint;
  destination: bigint;
  lengthBytes: number;
  doneBytes: number;
  pattern: number;
  /** Running checksum. */
  crc: number;
};

/** Registers that hold something. */
type RegisterName =
  | "control"
  | "status"
  | "interruptStatus"
  | "interruptEnable"
  | "vectors"
  | "rate"
  | "sourceLow"
  | "sourceHigh"
  | "destinationLow"
  | "destinationHigh"
  | "length"
  | "pattern"
  | "repeat"
  | "listLow"
  | "listHigh"
  | "listCount"
  | "command"
  | "completed"
  | "faultCause"
  | "faultLow"
  | "faultHigh"
  | "checksum"
  | "doorbellCount"
  | "doorbellValue";

export type ProgressState = {
  transfer: Transfer | undefined;
  /** Next entry of the list that is worked through. */
  listIndex: number;
  /** How often the work was done already, and how often it is to be done again. */
  pass: number;
  passesLeft: number;
  moved: bigint;
};

export type DmaEngineState = { [K in RegisterName]: number } & ProgressState;

type FieldsOf<S> = readonly { [K in keyof S & string]: StateField<K, S[K]> }[keyof S & string][];

const transferFields: FieldsOf<Transfer> = [
  field("opcode", u32),
  field("source", u64),
  field("destination", u64),
  field("lengthBytes", u32),
  field("doneBytes", u32),
  field("pattern", u32),
  field("crc", u32),
];

export const progressFields: FieldsOf<ProgressState> = [
  field("transfer", optional(struct(transferFields))),
  field("listIndex", u32),
  field("pass", u32),
  field("passesLeft", u32),
  field("moved", u64),
];
