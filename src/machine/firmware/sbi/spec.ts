// Numbers of the RISC-V Supervisor Binary Interface, version 2.0 (https://github.com/riscv-non-isa/riscv-sbi-doc).

/** Extension ids (a7). The legacy ones are `LegacyCall`. */
export const Eid = {
  base: 0x10,
  time: 0x54494d45,
  ipi: 0x735049,
  rfence: 0x52464e43,
  hsm: 0x48534d,
  srst: 0x53525354,
  pmu: 0x504d55,
  dbcn: 0x4442434e,
} as const;

/** Chapter 5: extensions of version 0.1, each a single function that answers in a0 alone. */
export const LegacyCall = {
  setTimer: 0,
  putChar: 1,
  getChar: 2,
  clearIpi: 3,
  sendIpi: 4,
  remoteFenceI: 5,
  remoteSfenceVma: 6,
  remoteSfenceVmaAsid: 7,
  shutdown: 8,
} as const;

/** Standard errors, chapter 3. */
export const SbiError = {
  success: 0,
  failed: -1,
  notSupported: -2,
  invalidParam: -3,
  denied: -4,
  invalidAddress: -5,
  alreadyAvailable: -6,
  alreadyStarted: -7,
  alreadyStopped: -8,
  noSharedMemory: -9,
} as const;
export type SbiError = (typeof SbiError)[keyof typeof SbiError];

/** Version 2.0 as `get_spec_version` says it: major in bits 30:24, minor below. */
export const SPEC_VERSION = 0x0200_0000n;

/** Not one of the registered ids: "RATI". */
export const IMPLEMENTATION_ID = 0x5241_5449n;
export const IMPLEMENTATION_VERSION = 1n;

/** Hart states of the HSM extension, table 9.1. */
export const HartState = {
  started: 0,
  stopped: 1,
  startPending: 2,
  stopPending: 3,
  suspended: 4,
  suspendPending: 5,
  resumePending: 6,
} as const;
export type HartState = (typeof HartState)[keyof typeof HartState];

export const XLEN = 64;
/** `-1` as an unsigned register. */
export const ALL_ONES = 0xffff_ffff_ffff_ffffn;
