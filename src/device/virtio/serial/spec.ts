// The console device of VIRTIO 1.2 §5.3, which QEMU calls virtio-serial.
import { layout, openEnum, u16le, u32le, type Codec, type Layout, type OpenEnum } from "../../../base/index.ts";

/** Numbers of the feature bits, §5.3.3. F_SIZE is not offered: nobody tells us the size of the terminal. */
export const SerialFeature = { multiport: 1, emergWrite: 2 } as const;

/** Configuration space, §5.3.4. */
export const SerialConfig: Layout<{
  cols: Codec<number>;
  rows: Codec<number>;
  maxNrPorts: Codec<number>;
  emergWr: Codec<number>;
}> = layout("virtio_console_config", 12, { cols: u16le, rows: u16le, maxNrPorts: u32le, emergWr: u32le });

/** Message on the control queues, §5.3.6.2. */
export const ControlMessage: Layout<{ id: Codec<number>; event: Codec<number>; value: Codec<number> }> = layout(
  "virtio_console_control",
  8,
  { id: u32le, event: u16le, value: u16le },
);

export const ControlEvent: OpenEnum<{
  deviceReady: 0;
  portAdd: 1;
  portRemove: 2;
  portReady: 3;
  consolePort: 4;
  resize: 5;
  portOpen: 6;
  portName: 7;
}> = openEnum("ControlEvent", {
  deviceReady: 0,
  portAdd: 1,
  portRemove: 2,
  portReady: 3,
  consolePort: 4,
  resize: 5,
  portOpen: 6,
  portName: 7,
});

/** §5.3.2: port 0 has queues 0 and 1, the control queues are 2 and 3, port n has 2n + 2 and 2n + 3. */
export const CONTROL_RECEIVE = 2;
export const CONTROL_TRANSMIT = 3;

export function receiveQueue(portNumber: number): number {
  return portNumber === 0 ? 0 : 2 * portNumber + 2;
}

/** QEMU's queue sizes. */
export const DATA_QUEUE_SIZE = 128;
export const CONTROL_QUEUE_SIZE = 32;
