// The serial device as software sees it. A device of our own: docs/mdev-serial.md is its manual.
import { bit, type BitField } from "../../base/index.ts";

type Fields<N extends string> = Readonly<Record<N, BitField>>;

/** Vendor of virtual devices that nobody has registered; class: 16550-compatible serial controller. */
export const MDEV_SERIAL_ID = { vendorId: 0x1234, deviceId: 0x7262, classCode: 0x07_00_02 } as const;
/** What register `id` reads: "RS" and the version of the interface. */
export const INTERFACE_ID = 0x5253_0001;

/** The UART's eight registers, as I/O ports. */
export const UART_BAR = 0;
export const UART_BAR_BYTES = 8;
/** The UART's own input clock: 115200 baud after reset. */
export const UART_CLOCK_HZ = 3_686_400;

export const DMA_BAR = 1;
export const DMA_BAR_BYTES = 0x1000;

/** Byte offsets in the DMA BAR; every register has 32 bits. */
export const Register = {
  id: 0x00,
  status: 0x04,
  interruptStatus: 0x08,
  interruptEnable: 0x0c,
  /** Where what is to be sent lies. */
  sendLow: 0x10,
  sendHigh: 0x14,
  sendLength: 0x18,
  /** Any write begins sending, unless it sends already. */
  send: 0x1c,
  /** Where what arrives goes. */
  receiveLow: 0x20,
  receiveHigh: 0x24,
  receiveLength: 0x28,
  /** 1 begins to fill the buffer from its start, 0 ends it; then bytes go to the UART. */
  receive: 0x2c,
  /** Bytes in the buffer. */
  received: 0x30,
  faultLow: 0x34,
  faultHigh: 0x38,
} as const;

export const Status: Fields<"sending" | "receiving" | "fault"> = { sending: bit(0), receiving: bit(1), fault: bit(2) };
/** Causes of interrupts; `received` when the buffer is full, or the line falls silent with bytes in it. */
export const Cause = { sent: 1, received: 2, fault: 4 } as const;
