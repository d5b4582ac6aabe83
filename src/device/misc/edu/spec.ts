// The educational PCI device of QEMU as a driver sees it (QEMU's docs/specs/edu.rst).

export const EDU_IDENTITY = { vendorId: 0x1234, deviceId: 0x11e8, revisionId: 0x10, classCode: 0x00_ff_00 } as const;
export const REGISTER_BAR = 0;
export const REGISTER_BAR_BYTES = 0x10_0000;

/** Version 1.0, and "edu" as well as hexadecimal digits can say it. */
export const IDENTIFICATION = 0x0100_00ed;

/** Byte offsets. Those below `source` have 32 bits, the others 64. */
export const Register = {
  identification: 0x00,
  /** Reads the inverse of what was written. */
  liveness: 0x04,
  factorial: 0x08,
  status: 0x20,
  interruptStatus: 0x24,
  raise: 0x60,
  acknowledge: 0x64,
  source: 0x80,
  destination: 0x88,
  count: 0x90,
  command: 0x98,
} as const;

export const Status = { computing: 0x01, interruptWhenDone: 0x80 } as const;
export const Interrupt = { factorial: 0x001, dma: 0x100 } as const;
/** `toBus`: from the device's buffer to memory; otherwise the other way. */
export const DmaCommand = { run: 1n, toBus: 2n, interruptWhenDone: 4n } as const;

/** The device's buffer in its own address space. */
export const BUFFER_ADDRESS = 0x4_0000n;
export const BUFFER_BYTES = 4096;
