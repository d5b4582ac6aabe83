// Saved state that every virtio device has, whatever its type and transport.
import { bool, field, list, struct, u16, u32, u64, u8, type StateField } from "../../state/index.ts";

/** One queue: its areas (addresses on the device's bus) and the device's places in its rings. */
export type QueueState = {
  size: number;
  ready: boolean;
  descriptorArea: bigint;
  driverArea: bigint;
  deviceArea: bigint;
  nextAvail: number;
  nextUsed: number;
  /** Used index at the last decision whether to notify. */
  signalled: number;
};

export type CommonState = {
  status: number;
  driverFeatures: bigint;
  configGeneration: number;
  queues: QueueState[];
};

type FieldsOf<S> = readonly { [K in keyof S & string]: StateField<K, S[K]> }[keyof S & string][];

const queueFields: FieldsOf<QueueState> = [
  field("size", u32),
  field("ready", bool),
  field("descriptorArea", u64),
  field("driverArea", u64),
  field("deviceArea", u64),
  field("nextAvail", u16),
  field("nextUsed", u16),
  field("signalled", u16),
];

/** The fields with which every device's description begins. */
export const commonFields: FieldsOf<CommonState> = [
  field("status", u8),
  field("driverFeatures", u64),
  field("configGeneration", u32),
  field("queues", list(struct(queueFields))),
];
