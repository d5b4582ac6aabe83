// Bits of the 16550A. Source: National Semiconductor PC16550D data sheet (June 1995), table 2 and section 8.

export const FIFO_BYTES = 16;

/** Interrupt enable. */
export const IER = { received: 0x01, thrEmpty: 0x02, lineStatus: 0x04, modemStatus: 0x08 } as const;

/** Interrupt identification, in falling priority but for `none`. */
export const IIR = {
  none: 0x01,
  lineStatus: 0x06,
  characterTimeout: 0x0c,
  received: 0x04,
  thrEmpty: 0x02,
  modemStatus: 0x00,
  /** Both bits say that the FIFOs are on. */
  fifosOn: 0xc0,
} as const;

/** FIFO control; the resets clear themselves. */
export const FCR = { enable: 0x01, resetReceive: 0x02, resetTransmit: 0x04, held: 0xc9 } as const;
/** Bytes in the receive FIFO that raise an interrupt, by bits 7:6 of FCR. */
export const TRIGGER_LEVELS: readonly number[] = [1, 4, 8, 14];

export const LCR = { twoStopBits: 0x04, parity: 0x08, divisorLatch: 0x80 } as const;

export const MCR = { dtr: 0x01, rts: 0x02, out1: 0x04, out2: 0x08, loop: 0x10 } as const;

export const LSR = {
  dataReady: 0x01,
  overrun: 0x02,
  breakReceived: 0x10,
  thrEmpty: 0x20,
  transmitterEmpty: 0x40,
  errorInFifo: 0x80,
} as const;

export const MSR = {
  deltas: 0x0f,
  ringEnded: 0x04,
  cts: 0x10,
  dsr: 0x20,
  ring: 0x40,
  dcd: 0x80,
} as const;
