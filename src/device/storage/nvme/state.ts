// What a controller keeps besides its PCI function: registers, queues, features, counters, and commands that are under
// way. Those are saved as they were submitted: all of them can be carried out once more.
import {
  bool,
  describeState,
  f64,
  field,
  list,
  struct,
  u16,
  u32,
  u64,
  u8,
  blob,
  type DescriptionOf,
  type StateField,
} from "../../../state/index.ts";

export type CompletionQueueState = {
  id: number;
  base: bigint;
  entries: number;
  vector: number;
  interrupts: boolean;
  head: number;
  tail: number;
  phase: number;
};

export type SubmissionQueueState = {
  id: number;
  base: bigint;
  entries: number;
  completionQueue: number;
  head: number;
  tail: number;
};

/** A command of a queue that was taken and not completed. */
export type CommandState = { queue: number; command: Uint8Array };
export type FeatureState = { key: number; value: number };
export type EventState = { type: number; info: number; page: number };
export type FormatState = { namespace: number; blockShift: number };
export type ErrorState = {
  number: bigint;
  queueId: number;
  commandId: number;
  status: number;
  block: bigint;
  namespaceId: number;
};

/** Registers that hold something. */
type RegisterName =
  | "interruptMaskSet"
  | "configuration"
  | "status"
  | "adminQueueAttributes"
  | "adminSubmissionLow"
  | "adminSubmissionHigh"
  | "adminCompletionLow"
  | "adminCompletionHigh";

export type ProgressState = {
  completionQueues: CompletionQueueState[];
  submissionQueues: SubmissionQueueState[];
  unfinished: CommandState[];
  eventRequests: Uint8Array[];
  events: EventState[];
  reportedEvents: number;
  features: FeatureState[];
  formats: FormatState[];
  errors: ErrorState[];
  errorCount: bigint;
  bytesRead: number;
  bytesWritten: number;
  readCommands: number;
  writeCommands: number;
  mediaErrors: number;
};

export type NvmeState = { [K in RegisterName]: number } & ProgressState;

type FieldsOf<S> = readonly { [K in keyof S & string]: StateField<K, S[K]> }[keyof S & string][];

const completionFields: FieldsOf<CompletionQueueState> = [
  field("id", u16),
  field("base", u64),
  field("entries", u32),
  field("vector", u16),
  field("interrupts", bool),
  field("head", u32),
  field("tail", u32),
  field("phase", u8),
];
const submissionFields: FieldsOf<SubmissionQueueState> = [
  field("id", u16),
  field("base", u64),
  field("entries", u32),
  field("completionQueue", u16),
  field("head", u32),
  field("tail", u32),
];
const commandFields: FieldsOf<CommandState> = [field("queue", u16), field("command", blob)];
const featureFields: FieldsOf<FeatureState> = [field("key", u32), field("value", u32)];
const eventFields: FieldsOf<EventState> = [field("type", u8), field("info", u8), field("page", u8)];
const formatFields: FieldsOf<FormatState> = [field("namespace", u32), field("blockShift", u8)];
const errorFields: FieldsOf<ErrorState> = [
  field("number", u64),
  field("queueId", u16),
  field("commandId", u16),
  field("status", u16),
  field("block", u64),
  field("namespaceId", u32),
];

const progressFields: FieldsOf<ProgressState> = [
  field("completionQueues", list(struct(completionFields))),
  field("submissionQueues", list(struct(submissionFields))),
  field("unfinished", list(struct(commandFields))),
  field("eventRequests", list(blob)),
  field("events", list(struct(eventFields))),
  field("reportedEvents", u8),
  field("features", list(struct(featureFields))),
  field("formats", list(struct(formatFields))),
  field("errors", list(struct(errorFields))),
  field("errorCount", u64),
  field("bytesRead", f64),
  field("bytesWritten", f64),
  field("readCommands", f64),
  field("writeCommands", f64),
  field("mediaErrors", f64),
];

export function nvmeState(registers: readonly StateField<string, unknown>[]): DescriptionOf<NvmeState> {
  return describeState("nvme", 1, [...registers, ...progressFields]) as DescriptionOf<NvmeState>;
}
