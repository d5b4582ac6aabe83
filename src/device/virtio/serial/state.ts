// Saved state of a virtio console device and its ports.
import { blob, bool, describeState, field, list, struct, u32, type StateField } from "../../../state/index.ts";
import type { DescriptionOf } from "../../../state/index.ts";
import { commonFields, type CommonState } from "../state.ts";

export type SerialPortState = {
  number: number;
  /** The guest has opened its end. */
  guestOpen: boolean;
  /** Bytes of the first buffer in the transmit queue that the back end has taken already. */
  sentBytes: number;
};

export type VirtioSerialState = CommonState & {
  ports: SerialPortState[];
  /** Control messages that wait for a buffer of the guest. */
  pendingControl: Uint8Array[];
};

const portFields: readonly {
  [K in keyof SerialPortState]: StateField<K, SerialPortState[K]>;
}[keyof SerialPortState][] = [field("number", u32), field("guestOpen", bool), field("sentBytes", u32)];

export const virtioSerialState: DescriptionOf<VirtioSerialState> = describeState("virtio-serial", 1, [
  ...commonFields,
  field("ports", list(struct(portFields))),
  field("pendingControl", list(blob)),
]);
